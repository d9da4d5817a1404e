"""Events from every source, with expectations worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stats.change_points import Shift
from stats.events import (
    Event,
    ServedModel,
    alert_events,
    catalog_events,
    declared_events,
    filter_events,
    gap_events,
    incident_events,
    merge_events,
    served_model_events,
    shift_events,
)
from stats.incidents import Incident
from stats.status_bars import Bar
from store.alert_tables import Alert
from tests.factories import DAY, MINUTE, NOON, model


def test_an_incident_is_two_events_and_one_that_is_not_over_is_one() -> None:
    over = Incident(NOON, NOON + 12 * MINUTE, NOON + DAY, True, "server_error", 12, "secret")
    still = Incident(NOON + DAY, None, NOON + DAY + MINUTE, True, "timeout", 2, None)
    assert list(incident_events("a", "here", [over, still])) == [
        Event("down", NOON, "a", "here", "server error", 720.0),
        Event("recovered", NOON + 12 * MINUTE, "a", "here", "", 720.0),
        Event("down", NOON + DAY, "a", "here", "timeout"),
    ]


def test_a_sent_alert_is_an_event_a_channel_and_a_degradation_is_one_whoever_it_was_sent_to() -> None:
    slow = Alert(
        *("a", "degraded", "here", "ops", NOON + 2 * MINUTE, NOON),
        closed_at=NOON + 9 * MINUTE,
        ended_at=NOON + 8 * MINUTE,
        cause="too slow",
        sent_at=NOON + 3 * MINUTE,
        recovery_sent_at=NOON + 10 * MINUTE,
    )
    silenced = replace(slow, channel="boss", held="silenced", sent_at=None, recovery_sent_at=None)
    budget = Alert("*", "budget", "here", "ops", NOON, NOON, sent_at=NOON + MINUTE)
    assert merge_events([alert_events([slow, silenced, budget])], NOON, NOON + DAY) == [
        Event("alert", NOON + 10 * MINUTE, "a", "here", "sent to ops: degraded is over"),
        Event("alert", NOON + 3 * MINUTE, "a", "here", "sent to ops: degraded, too slow"),
        Event("alert", NOON + MINUTE, None, "here", "sent to ops: budget"),
        Event("degraded", NOON, "a", "here", "too slow", 480.0),
    ]


def test_a_change_point_says_what_went_from_which_level_to_which() -> None:
    [event] = shift_events("a", "here", "TTFT p50", "ms", [Shift(NOON, 412.4, 1_180.2, 0.001)])
    assert event == Event("change_point", NOON, "a", "here", "TTFT p50 from 412 to 1,180 ms")


def test_a_catalogs_versions_are_events_of_price_context_and_retirement() -> None:
    first = model(NOON, valid_to=NOON + DAY, usd_per_million_input="1", context_tokens=8_192, expires_at=None)
    second = model(NOON + DAY, usd_per_million_input="2", context_tokens=32_768, expires_at=NOON + 9 * DAY)
    assert sorted(catalog_events("a", [second, first]), key=lambda event: (event.at, event.kind)) == [
        Event("context", NOON + DAY, "a", None, "context from 8,192 to 32,768 tokens"),
        Event("price", NOON + DAY, "a", None, "price in from 1 to 2 USD per million tokens"),
        Event("retirement", NOON + DAY, "a", None, "last day from unknown to 2026-12-03"),
        Event("retirement", NOON + 9 * DAY, "a", None, "last day in the catalog"),
    ]


def test_a_model_that_left_the_catalog_and_came_back_is_two_events() -> None:
    first, second = model(NOON, valid_to=NOON + DAY), model(NOON + 2 * DAY)
    found = sorted(catalog_events("a", [first, second]), key=lambda event: event.at)
    assert [(event.kind, event.at, event.text) for event in found] == [
        ("retirement", NOON + DAY, "no longer listed"),
        ("retirement", NOON + 2 * DAY, "listed again"),
    ]
    assert list(catalog_events("a", [replace(first, name="A", valid_to=None)])) == []


def bars(states: str) -> list[Bar]:
    """`u` is a minute up, `d` down, `n` not counted, `.` without data."""
    seconds = {"u": (60.0, 0.0, 0.0), "d": (0.0, 60.0, 0.0), "n": (0.0, 0.0, 60.0), ".": (0.0, 0.0, 0.0)}
    return [
        Bar(NOON + n * MINUTE, NOON + (n + 1) * MINUTE, *seconds[state], probes=int(state != "."))
        for n, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("..uuu..ud", [(5, 120.0)]),  # what is before the first probe is no gap
        ("u.n...d.u", [(1, 60.0), (3, 180.0), (7, 60.0)]),
        ("uuu.", []),  # the last bar is not over
        ("uuu...", [(3, None)]),
        ("....", []),
        ("", []),
    ],
)
def test_a_gap_is_a_stretch_without_probes(states: str, expected: list[tuple[int, float | None]]) -> None:
    found = [((event.at - NOON) // MINUTE, event.lasted_s) for event in gap_events("here", bars(states))]
    assert found == expected


def looked_up(probes: list[ServedModel]) -> tuple[Callable[[int, int], ServedModel | None], list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def find(since: int, until: int) -> ServedModel | None:
        asked.append((since, until))
        return next((probe for probe in probes if since <= probe.at < until), None)

    return find, asked


@pytest.mark.parametrize("changed_at", [1, 2, 499, 500, 501, 998, 999])
@pytest.mark.parametrize("gap", [range(0), range(300, 700), range(2, 999)])
def test_the_first_response_of_another_model_is_found_whichever_it_is(changed_at: int, gap: range) -> None:
    probes = [ServedModel(n * MINUTE, "old" if n < changed_at else "new") for n in range(1_000) if n not in gap]
    first = next(probe for probe in probes if probe.name == "new")
    find, asked = looked_up(probes)
    [event] = served_model_events("a", "here", [probes[0], None, probes[-1]], find)
    assert event == Event("served_model", first.at, "a", "here", "from old to new")
    assert len(asked) < 40, "it halves what it does not know"


def test_another_prompt_template_shows_in_the_tokens_of_the_same_prompt_and_one_token_is_another_number() -> None:
    def events(*counts: str) -> list[Event]:
        probes = [ServedModel(n * MINUTE, count) for n, count in enumerate(counts)]
        return list(declared_events("prompt tokens", "a", "here", [probes[0], probes[-1]], looked_up(probes)[0]))

    assert events("25", "25", "45") == [Event("declared", 2 * MINUTE, "a", "here", "prompt tokens from 25 to 45")]
    assert events("25", "25", "26") == []


def test_a_target_that_answers_with_several_models_has_no_event_for_each() -> None:
    probes = [ServedModel(n * MINUTE, "ab"[n % 2]) for n in range(100)]
    find, asked = looked_up(probes)
    assert list(served_model_events("a", "here", probes, find)) == [] == asked


def test_events_of_a_range_are_merged_newest_first_and_filtered() -> None:
    one, two = Event("down", NOON, "a", "here", "x"), Event("price", NOON + 1, "b", None, "y")
    gap = Event("gap", NOON + 2, None, "here", "no probes")
    merged = merge_events([[one, gap], [two, one]], NOON, NOON + 2)
    assert merged == [two, one], "the range is half-open, and an event is there once"
    assert filter_events([gap, two, one], ["down", "gap"]) == [gap, one]
    assert filter_events([gap, two, one], targets=["b"]) == [two]
    assert filter_events([gap, two, one]) == [gap, two, one]
