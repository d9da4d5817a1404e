"""What a change is called, and which tokens are shown beside each other."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stats.events import Event, identity_events
from stats.identity import Prediction
from stats.identity_changes import identity_changes
from stats.identity_history import pair_tokens
from store.clock import DAY_MS
from store.identity_tables import IdentityEpoch
from tests.factories import NOON


def epoch(day: int, **more: Any) -> IdentityEpoch:
    values = {"method": "logprobs", "noticed_at": NOON + day * DAY_MS + 1} | more
    return IdentityEpoch("t", "here", NOON + day * DAY_MS, **values)


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ({"distance": 0.05}, "0.05 nat from before, as an engine, a kernel, other hardware or a nearly lossless "),
        ({"distance": 0.3}, "0.30 nat from before, more than an engine, a kernel or other hardware usually does"),
        ({"distance": 0.62}, "0.62 nat from before, as other weights or another prompt would"),
        ({"method": "texts"}, "it no longer returns logprobs, so its texts are compared"),
        ({"method": "declared"}, "it now reasons before it answers, so it is no longer checked"),
    ],
)
def test_a_change_says_how_far_it_is_and_what_that_can_mean(after: dict[str, Any], text: str) -> None:
    [change] = identity_changes([epoch(0, ended_at=NOON + DAY_MS), epoch(1, **after)])
    assert change.text.startswith(text)
    assert (change.at, change.noticed_at) == (NOON + DAY_MS, NOON + DAY_MS + 1)


def test_texts_are_counted() -> None:
    [change] = identity_changes([epoch(0, method="texts"), epoch(1, method="texts", distance=5.0)])
    assert change.text == "5 of its texts were never seen before"


def test_a_return_names_the_moment_before_which_it_was_so() -> None:
    listed = [
        epoch(0, ended_at=NOON + DAY_MS),
        epoch(1, ended_at=NOON + 2 * DAY_MS, distance=1.0),
        epoch(2, same_as=NOON, ended_at=NOON + 3 * DAY_MS),
        epoch(3, ended_at=NOON + 4 * DAY_MS, same_as=NOON + DAY_MS),
        epoch(4, same_as=NOON),
    ]
    assert [change.text for change in identity_changes(listed)][1:] == [
        "back to what it was before 2026-11-25 12:00 UTC",
        "back to what it was before 2026-11-26 12:00 UTC",
        "back to what it was before 2026-11-27 12:00 UTC",
    ]


def test_the_first_epoch_is_no_change_and_locations_are_looked_at_apart() -> None:
    there = IdentityEpoch("t", "there", NOON + 5, "logprobs", NOON + 5)
    assert identity_changes([epoch(0), there]) == []
    assert list(identity_events([epoch(0), epoch(1, distance=0.62), there])) == [
        Event(
            "identity_changed",
            NOON + DAY_MS,
            "t",
            "here",
            "0.62 nat from before, as other weights or another prompt would",
        )
    ]


def test_tokens_are_listed_by_the_higher_of_both_chances_and_a_missing_one_is_not_zero() -> None:
    before = Prediction({"a": math.log(0.5), "b": math.log(0.3), "rare": math.log(0.001)})
    after = Prediction({"a": math.log(0.25), "c": math.log(0.7)})
    assert [(pair.token, pair.before, pair.after) for pair in pair_tokens(before, after)] == [
        ("c", None, pytest.approx(0.7)),
        ("a", pytest.approx(0.5), pytest.approx(0.25)),
        ("b", pytest.approx(0.3), None),
    ]
