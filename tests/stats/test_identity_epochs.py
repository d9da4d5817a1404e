"""What a sequence of checks comes to: learning, a change, the return to what was before, and what must not matter."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.checks import STEP_MS, CheckedTarget, check
from stats.identity import Prediction
from stats.identity_epochs import Known, evaluate_check, hash_text, read_observed, write_observed
from store.clock import DAY_MS, HOUR_MS
from tests.factories import NOON


@pytest.fixture
def learned() -> CheckedTarget:
    target = CheckedTarget(NOON)
    target.make(120, -1.0)
    return target


def test_the_first_120_checks_are_learned_from_every_fifth_as_reference(learned: CheckedTarget) -> None:
    epoch = learned.current
    assert (epoch.began_at, epoch.frozen_at) == (NOON, NOON + 119 * STEP_MS)
    assert len(json.loads(epoch.reference or "")) == 24
    assert len(json.loads(epoch.calibration or "")) == 96
    assert {one.score for one in learned.checks} == {None}


def test_before_that_nothing_is_judged() -> None:
    target = CheckedTarget(NOON)
    target.make(119, -1.0)
    assert target.current.frozen_at is None


def test_the_same_model_stays_in_its_epoch(learned: CheckedTarget) -> None:
    learned.make(300, -1.0)
    assert len(learned.epochs) == 1
    assert all(one.epoch_at == NOON and one.score is not None for one in learned.checks[120:])


def test_another_model_begins_an_epoch_with_its_first_check_and_the_old_one_stays(learned: CheckedTarget) -> None:
    learned.make(10, -1.0)
    changed_at = learned.at
    learned.make(4, -2.0)
    before, after = (learned.epochs[at] for at in sorted(learned.epochs))
    assert (before.ended_at, before.reference is None) == (changed_at, False)
    assert (after.began_at, after.noticed_at, after.frozen_at) == (changed_at, changed_at + 3 * STEP_MS, None)
    assert after.distance == pytest.approx(0.5, abs=0.05)  # "yes" is 1 nat away, "no" none


def test_three_checks_that_differ_are_no_change(learned: CheckedTarget) -> None:
    learned.make(10, -1.0)
    learned.make(3, -2.0)
    learned.make(10, -1.0)
    assert len(learned.epochs) == 1


def test_what_was_there_before_is_recognized_at_once_and_needs_no_learning(learned: CheckedTarget) -> None:
    learned.make(4, -2.0)
    learned.make(120, -2.0)
    back_at = learned.at
    learned.make(4, -1.0)
    assert learned.current.began_at == back_at
    assert learned.current.same_as == NOON
    assert learned.current.frozen_at is not None
    learned.make(30, -1.0)
    assert learned.current.began_at == back_at
    learned.make(4, -2.0)  # and the second one, too
    assert learned.current.same_as == sorted(learned.epochs)[1]


def test_a_return_before_the_new_one_was_learned_is_recognized_after_24_checks(learned: CheckedTarget) -> None:
    learned.make(10, -2.0)
    learned.make(40, -1.0)
    assert learned.current.same_as == NOON


def test_a_third_model_is_neither(learned: CheckedTarget) -> None:
    learned.make(124, -2.0)
    learned.make(4, -5.0)
    assert len(learned.epochs) == 3
    assert learned.current.same_as is None


def test_a_failed_check_is_a_row_and_nothing_else(learned: CheckedTarget) -> None:
    learned.make(50, -2.0, outcome="timeout", observed=None)
    assert len(learned.epochs) == 1


def test_a_check_that_nothing_can_be_compared_with_has_no_score_and_decides_nothing(learned: CheckedTarget) -> None:
    cached = write_observed((Prediction({"yes": -9.0, "no": -3.0}, 7),))
    learned.make(50, -1.0, observed=cached)
    assert len(learned.epochs) == 1
    assert {one.score for one in learned.checks[120:]} == {None}


def test_a_gap_is_no_change_and_learning_goes_on_after_it() -> None:
    target = CheckedTarget(NOON)
    target.make(60, -1.0)
    target.at += 30 * DAY_MS
    target.make(60, -1.0)
    assert target.current.frozen_at is not None
    target.at += 30 * DAY_MS
    target.make(40, -1.0)
    assert len(target.epochs) == 1


def test_a_clock_that_was_set_back_changes_nothing(learned: CheckedTarget) -> None:
    learned.make(10, -1.0)
    learned.at -= 2 * HOUR_MS
    learned.make(40, -1.0)
    assert len(learned.epochs) == 1


@pytest.mark.parametrize("lost", [{"reference": None}, {"calibration": "[]"}, {"reference": "[{"}])
def test_a_lost_reference_is_learned_again_from_what_is_there(learned: CheckedTarget, lost: dict[str, Any]) -> None:
    learned.epochs[NOON] = replace(learned.current, **lost)
    known = replace(learned.known(), checks=tuple(learned.checks))
    step = evaluate_check(known, check(learned.at, -1.0, learned.chance))
    assert [epoch.began_at for epoch in step.epochs] == [NOON]
    assert len(json.loads(step.epochs[0].calibration or "")) == 96


def test_lost_epochs_begin_again() -> None:
    step = evaluate_check(Known(), check(NOON, -1.0, random.Random(1)))
    assert [(epoch.began_at, epoch.frozen_at) for epoch in step.epochs] == [(NOON, None)]


def test_a_server_that_gives_no_logprobs_any_more_is_checked_by_texts_from_then_on(learned: CheckedTarget) -> None:
    began_at = learned.at
    learned.make(3, -1.0, observed=None)
    assert len(learned.epochs) == 1
    learned.make(1, -1.0, observed=None)
    assert (learned.current.began_at, learned.current.method) == (began_at, "texts")


def test_texts_that_never_occurred_are_a_change() -> None:
    target = CheckedTarget(NOON)
    usual = write_observed((hash_text("red"), hash_text("one")))
    target.make(130, 0.0, method="texts", observed=usual)
    changed_at = target.at
    target.make(4, 0.0, method="texts", observed=write_observed((hash_text("green"), hash_text("two"))))
    assert (target.current.began_at, target.current.distance) == (changed_at, 2.0)


def test_what_a_row_carries_can_be_read_again_and_anything_else_is_nothing() -> None:
    seen = (Prediction({"a": -1.5, "é": -2.0}, None), Prediction({"b": -0.5}, 3))
    row = check(NOON, 0.0, random.Random(1), observed=write_observed(seen))
    assert read_observed(row) == seen
    for text in ("", "{}", "[]", "[1]", '[{"logprobs": {}}]', '[{"logprobs": {"a": "x"}}]', "[" * 100_000):
        assert read_observed(replace(row, observed=text)) is None


@settings(max_examples=6)
@given(
    levels=st.lists(st.sampled_from([-1.0, -1.01, -2.0]), min_size=1, max_size=6),
    shift_ms=st.integers(-10 * 365 * DAY_MS, 10 * 365 * DAY_MS),
    name=st.text(min_size=1),
)
def test_names_and_moments_change_no_verdict(levels: list[float], shift_ms: int, name: str) -> None:
    one, other = CheckedTarget(NOON), CheckedTarget(NOON + shift_ms, name)
    for target in (one, other):
        target.make(120, -1.0)
        for level in levels:
            target.make(4, level)
    for epoch, moved in zip(one.epochs.values(), other.epochs.values(), strict=True):
        assert moved.began_at == epoch.began_at + shift_ms
        assert (moved.method, moved.distance, moved.calibration) == (epoch.method, epoch.distance, epoch.calibration)
        assert (moved.same_as is None) == (epoch.same_as is None)
    assert [check.score for check in one.checks] == [check.score for check in other.checks]
