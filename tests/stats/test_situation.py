"""Is it me or them? Situations worked out by hand, each with the sentence that somebody should read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stats.situation import Observation, by_location, describe_situation, sentence


def seen(name: str, status: str = "up", host: str = "acme.com", **more: Any) -> Observation:
    plain = Observation(name, "here", host, True, f"model of {name}", None, "up")
    return replace(plain, status=status, **more)


def others(count: int, host: str = "other.example", **more: Any) -> list[Observation]:
    return [seen(f"other {n}", host=host, **more) for n in range(count)]


def offline(name: str, **more: Any) -> Observation:
    return seen(name, "not_counted", is_offline=True, **more)


SITUATIONS: dict[str, tuple[list[Observation], str]] = {
    # -- is it me?
    "own network down": (
        [offline("A"), offline("B", host="b.example")],
        "Your own network is down: no target could be reached, which says nothing about them.",
    ),
    "own network down, one target": (
        [offline("A")],
        "Your own network is down: no target could be reached, which says nothing about it.",
    ),
    "own network down at one of two locations": (
        [offline("A", location="Oslo"), seen("A", location="Bonn"), seen("B", location="Bonn")],
        "Your network in Oslo is down; both targets are up.",
    ),
    "own network down, a model on this machine answers": (
        [offline("A"), seen("Local", host="127.0.0.1:8095", is_remote=False)],
        "Your own network is down; Local is up.",
    ),
    "a rate limit is an answer, so the network is there": (
        [offline("A"), seen("B", "not_counted", host="b.example"), seen("C", host="c.example")],
        "1 of 2 targets is up; 1 is not counted.",
    ),
    "everything outside is down, behind several hosts": (
        [seen("A", "down"), seen("B", "down", host="b.example"), seen("Local", host="::1", is_remote=False)],
        "2 of 3 targets are down, behind 2 different hosts; nothing outside answers, so it may be your own network.",
    ),
    "the only remote target is down": (
        [seen("A", "down"), seen("Local", host="::1", is_remote=False)],
        "A is down, behind acme.com, the only target there; nothing else outside is probed, so your own network is not "
        "ruled out.",
    ),
    "a model on this machine is down": (
        [seen("Local", "down", host="::1", is_remote=False), *others(2)],
        "Local is down, behind ::1, the only target there.",
    ),
    "all outside fail, but a server answers with an error": (
        [seen("A", "down", has_response=True), seen("B", "down", host="b.example", has_response=True)],
        "Both targets are down, behind 2 different hosts.",
    ),
    "the only remote target answers with an error": (
        [seen("A", "down", has_response=True), seen("Local", host="::1", is_remote=False)],
        "A is down, behind acme.com, the only target there.",
    ),
    "another target was last probed before the trouble began": (
        [seen("A", "down", since=3_600_000), *others(1, probed_at=1_800_000)],
        "A is down, behind acme.com, the only target there.",
    ),
    "another target was probed by the same tick": (
        [seen("A", "down", since=3_600_000), *others(1, probed_at=3_599_990)],
        "A is down, behind acme.com, the only target there; your network is fine.",
    ),
    # -- or them?
    "one host": (
        [seen("A", "down"), seen("B", "down"), seen("C", "down"), *others(9)],
        "3 of 12 targets are down, all behind acme.com; your network is fine.",
    ),
    "slow only, and the router says so": (
        [*(seen(name, "degraded", claimed=(0.94, 0.94)) for name in "ABC"), *others(9)],
        "3 of 12 targets are slow, all behind acme.com; your network is fine; the router reports 94% for them in the "
        "last 30 minutes.",
    ),
    "a part of a host": (
        [seen("A", "down"), seen("B", "down"), seen("C"), *others(2)],
        "2 of 5 targets are down, both behind acme.com, where another target is up; your network is fine.",
    ),
    "one provider behind a router": (
        [
            seen("A", "down", provider="Alpha"),
            seen("B", "down", host="direct.example", provider="Alpha"),
            *others(2, provider="Beta"),
        ],
        "2 of 4 targets are down, both served by Alpha; your network is fine.",
    ),
    "one model at two hosts": (
        [seen("A", "down", model="m/1"), seen("B", "down", host="b.example", model="m/1"), *others(2)],
        "2 of 4 targets are down, both serving m/1; your network is fine.",
    ),
    "one location": (
        [
            seen("A", "down", location="Frankfurt"),
            seen("A", location="Oslo"),
            seen("B", location="Frankfurt", host="b.example"),
            seen("B", location="Oslo", host="b.example"),
        ],
        "A is down from Frankfurt only; your network is fine.",
    ),
    "two of three locations": (
        [seen("A", "down", location=place) for place in ("Bonn", "Cork")] + [seen("A", location="Oslo")],
        "A is down from Bonn and Cork only; nothing else outside is probed, so your own network is not ruled out.",
    ),
    "one target of several at its host": (
        [seen("A", "down"), seen("B"), seen("C"), *others(1)],
        "A is down, behind acme.com, where 2 other targets are up; your network is fine.",
    ),
    "all behind the one host that there is": (
        [seen("A", "down"), seen("B", "down")],
        "Both targets are down; nothing else outside is probed, so your own network is not ruled out.",
    ),
    "slow, where others are not": (
        [seen("A", "degraded"), seen("B", "degraded"), seen("C"), *others(1)],
        "2 of 4 targets are slow, both behind acme.com, where another target is fine; your network is fine.",
    ),
    "a name keeps its case as the first word": ([seen("hangs", "down", host="::1", is_remote=False)], "hangs is down."),
    "a name keeps its case when nothing is wrong": ([seen("gemma-3")], "gemma-3 is up."),
    "a name keeps its case while it is paused": ([seen("gemma-3", "paused")], "gemma-3 is paused."),
    "down and slow": (
        [seen("A", "down"), seen("B", "degraded", host="b.example"), *others(2)],
        "A is down, behind acme.com, the only target there; B is slow, behind b.example, the only target there; your "
        "network is fine.",
    ),
    # -- what is claimed, and what passed
    "the router claims fine while it is down": (
        [seen("A", "down", claimed=(0.999, 1.0)), *others(1)],
        "A is down, behind acme.com, the only target there; your network is fine; the router reports 99.9% to 100% for "
        "it in the last 30 minutes.",
    ),
    "measured fine, claimed down": (
        [seen("A", claimed=(0.3, 0.62)), *others(2)],
        "All 3 targets are up; but the router reports 30% to 62% for A in the last 30 minutes.",
    ),
    "one bad endpoint of a model with a good one is no news": (
        [seen("A", claimed=(0.3, 0.99)), *others(1)],
        "Both targets are up.",
    ),
    "own requests fail as well": (
        [seen("A", "down", requests=40, failed=12), *others(1)],
        "A is down, behind acme.com, the only target there; your network is fine; 12 of the 40 "
        "requests you sent to it failed in the last 30 minutes.",
    ),
    "own requests pass, and they are few": (
        [seen("A", "down", requests=1), *others(1)],
        "A is down, behind acme.com, the only target there; your network is fine; the only request "
        "you sent to it succeeded in the last 30 minutes.",
    ),
    "own requests that are few fail": (
        [seen("A", "down", requests=3, failed=2), *others(1)],
        "A is down, behind acme.com, the only target there; your network is fine; 2 of only 3 requests you sent to it "
        "failed in the last 30 minutes.",
    ),
    "measured fine, own requests fail": (
        [seen("A", requests=40, failed=12), *others(1)],
        "Both targets are up; but 12 of your 40 requests to A failed in the last 30 minutes.",
    ),
    "few failed requests are no news": ([seen("A", requests=9, failed=9), *others(1)], "Both targets are up."),
    # -- nothing is wrong, or nothing is known
    "everything fine": ([seen("A"), seen("B"), seen("C")], "All 3 targets are up."),
    "one target, fine": ([seen("A")], "A is up."),
    "a slow target is up, and said to be slow": ([seen("A", "degraded")], "A is slow."),
    "only just begun": (
        [seen("A", is_new=True), seen("B", is_new=True)],
        "Both targets are up; they have been probed only a few times so far.",
    ),
    "down, and only just begun": (
        [seen("A", "down", is_new=True), *others(1)],
        "A is down, behind acme.com, the only target there; your network is fine; it has been probed only a few times so far.",
    ),
    "one not counted": ([seen("A", "not_counted"), *others(2)], "2 of 3 targets are up; 1 is not counted."),
    "none counted": ([seen("A", "not_counted"), seen("B", "not_counted")], "None of their probes counted recently."),
    "nobody probes any more": (
        [seen("A", "stale"), seen("B", "stale")],
        "Nothing is known right now: no target was probed recently.",
    ),
    "one is not probed any more": (
        [seen("A", "stale"), *others(2)],
        "Both targets are up; 1 was not probed recently.",
    ),
    "one was never probed": (
        [seen("A", "never"), *others(3)],
        "All 3 targets are up; 1 was never probed.",
    ),
    "paused": ([seen("A", "paused"), seen("B", "paused")], "Both targets are paused."),
    "one paused": ([seen("A", "paused"), *others(2)], "Both targets are up; 1 is paused."),
    "one waits for its key": ([seen("A", "waiting")], "A is waiting for a key."),
    "no target": ([], ""),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_sentence_says_what_the_data_shows(situation: str) -> None:
    observations, expected = SITUATIONS[situation]
    assert sentence(describe_situation(observations)) == expected


def test_each_part_names_its_evidence() -> None:
    observations = [seen(name, "degraded", claimed=(0.94, 0.94)) for name in "ABC"] + others(9)
    assert [(part.kind, part.of) for part in describe_situation(observations)] == [
        ("status", "degraded"),
        ("host", "acme.com"),
        ("network", ""),
        ("claim", "A"),
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"Bonn": "up", "Oslo": "up"}, "up everywhere"),
        ({"Bonn": "down", "Oslo": "up"}, "down from Bonn only"),
        ({"Bonn": "down", "Cork": "down", "Oslo": "up"}, "down from Bonn and Cork only"),
        ({"Bonn": "down", "Oslo": "down"}, "down everywhere"),
        ({"Bonn": "degraded", "Oslo": "up"}, "slow from Bonn only"),
        ({"Bonn": "down", "Oslo": "degraded"}, "down from Bonn only"),
        ({"Bonn": "stale", "Oslo": "up"}, "up where it is known"),
        ({"Bonn": "stale", "Oslo": "down"}, "down where it is known"),
        ({"Bonn": "down", "Cork": "up", "Oslo": "stale"}, "down from Bonn only"),
        ({"Bonn": "stale", "Oslo": "paused"}, ""),
    ],
)
def test_a_target_is_down_everywhere_or_from_some_locations_only(statuses: dict[str, Any], expected: str) -> None:
    assert by_location(statuses) == expected
