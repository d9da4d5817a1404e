"""Distances, the rank test and the splits by hand, and what must not matter: names and the clock."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stats.identity import (
    ALPHA,
    Prediction,
    chance_of,
    distance,
    is_like,
    judge,
    learn,
    rolling_splits,
    score_predictions,
    score_texts,
    size_of,
)

RISING = [number / 100 for number in range(96)]
"""0.00 to 0.95: a calibration without ties."""


def mixed(count: int, of: list[float] = RISING) -> list[float]:
    """So many of its values in an order that no stretch of which stands out: 37 and 96 have no common factor."""
    return [of[37 * place % len(of)] for place in range(count)]


USUAL = mixed(96)


def test_a_distance_is_the_mean_over_all_tokens_and_a_missing_one_counts_as_the_lists_least() -> None:
    one, other = Prediction({"a": -1.0, "b": -2.0}), Prediction({"a": -1.5, "c": -3.0})
    # a: 0.5; b: -2 against -3, 1; c: -2 against -3, 1
    assert distance(one, other) == pytest.approx(2.5 / 3)


def test_what_is_nearly_impossible_is_as_good_as_impossible() -> None:
    assert distance(Prediction({"a": -1.0, "b": -9999.0}), Prediction({"a": -1.0, "b": -41.0})) == 0
    assert distance(Prediction({"a": -1.0, "b": float("-inf")}), Prediction({"a": -1.0, "b": -39.0})) == 0.5


def test_a_score_is_the_mean_over_prompts_of_the_nearest_reference() -> None:
    first, second = Prediction({"a": -1.0}), Prediction({"b": -2.0})
    reference = [
        (Prediction({"a": -1.5}), Prediction({"b": -2.1})),  # 0.5 and 0.1
        (Prediction({"a": -1.2}), Prediction({"b": -4.0})),  # 0.2 and 2.0
    ]
    assert score_predictions((first, second), reference) == pytest.approx((0.2 + 0.1) / 2)


def test_only_a_reference_that_was_cached_as_far_is_compared_and_without_one_there_is_no_score() -> None:
    reference = [(Prediction({"a": -1.0}, 0),), (Prediction({"a": -3.0}, 12),)]
    assert score_predictions((Prediction({"a": -1.0}, 12),), reference) == 2.0
    assert score_predictions((Prediction({"a": -1.0}, 7),), reference) is None
    assert score_predictions((Prediction({"a": -1.0}),), reference) is None


def test_texts_are_counted_that_the_reference_never_had_for_their_prompt() -> None:
    reference = [("red", "one"), ("blue", "one")]
    assert score_texts(("blue", "one"), reference) == 0
    assert score_texts(("green", "red"), reference) == 2  # "red" was the text of another prompt
    assert score_texts(("red",), []) is None


def test_the_chance_is_exact() -> None:
    """Of the 10 ways in which 2 of 5 values can be the newest, one puts both on top, and another one less."""
    assert chance_of([4, 5], [1, 2, 3]) == pytest.approx(1 / 10)
    assert chance_of([3, 5], [1, 2, 4]) == pytest.approx(2 / 10)
    assert chance_of([1, 2], [3, 4, 5]) == 1
    # by hand over all 84 ways: 3 of 9 that exceed the other 6 in 13 or more of 18 pairs
    above = [sum(a > b for a in chosen for b in range(9) if b not in chosen) for chosen in combinations(range(9), 3)]
    recent, rest = [3.0, 6.0, 7.0], [0.0, 1.0, 2.0, 4.0, 5.0, 8.0]  # 3 + 5 + 5 = 13
    assert chance_of(recent, rest) == pytest.approx(sum(pairs >= 13 for pairs in above) / comb(9, 3))


def test_ties_count_against_an_alarm() -> None:
    assert chance_of([1.0] * 24, [1.0] * 96) == 1


def test_four_checks_alarm_only_when_all_of_them_exceed_the_whole_calibration() -> None:
    """1 in C(100, 4) = 3,921,225 is below 5e-7, and 2 in as many are not."""
    assert chance_of([1, 1.1, 1.2, 1.3], RISING) == pytest.approx(1 / 3_921_225)
    assert chance_of([0.945, 1.1, 1.2, 1.3], RISING) == pytest.approx(2 / 3_921_225)
    assert 1 / 3_921_225 < ALPHA < 2 / 3_921_225
    assert judge(USUAL, [*mixed(30), 1, 1.1, 1.2, 1.3]).status == "changed"
    assert judge(USUAL, [*mixed(30), 0.945, 1.1, 1.2, 1.3]).status == "same"


def test_a_change_began_with_the_first_check_that_differs() -> None:
    verdict = judge(USUAL, [*mixed(30), 2, 2, 2, 2])
    assert (verdict.status, verdict.first) == ("changed", 30)


def test_a_shift_that_four_checks_cannot_show_is_found_in_twenty_four() -> None:
    """All 24 in the top third: U is about 24 x 80 = 1,920, above the 1,863 from which the chance is below 5e-7."""
    high = [0.70 + 0.01 * (7 * place % 25) for place in range(24)]
    assert judge(USUAL, mixed(30) + high[:4]).status == "same"
    verdict = judge(USUAL, mixed(30) + high)
    assert (verdict.status, verdict.first) == ("changed", 30)


def test_identical_checks_never_alarm() -> None:
    assert judge([0.0] * 96, [0.0] * 500).status == "same"
    assert rolling_splits([0.0] * 96, [0.0] * 24).rate == 0


def test_a_target_whose_own_scores_come_in_bursts_is_not_judged() -> None:
    """Four in a row above all others, within the calibration itself: the promise does not hold for such a target."""
    bursts = [*mixed(40), 3, 3.1, 3.2, 3.3, *mixed(52)]
    splits = rolling_splits(bursts)
    assert (splits.alarms, splits.count) == (1, 93)
    assert judge(bursts, [4, 4, 4, 4]).status == "unstable"


def test_splits_go_on_after_the_calibration() -> None:
    assert rolling_splits(RISING[::5] * 5).count == 97
    assert rolling_splits(mixed(96), mixed(60)).count == 93 + 60
    assert rolling_splits(mixed(96), [*mixed(30), 2, 2, 2, 2, *mixed(30)]).alarms > 0


def test_nothing_is_learned_from_too_few_checks_or_too_few_with_a_score() -> None:
    assert learn(["x"] * 119, lambda _one, _known: 0.0) is None
    assert learn(["x"] * 120, lambda _one, _known: None) is None
    learned = learn([str(number) for number in range(120)], lambda one, _known: float(one))
    assert learned is not None
    assert learned.reference == tuple(range(0, 120, 5))
    assert learned.calibration == tuple(float(number) for number in range(120) if number % 5)


def test_some_checks_are_like_a_calibration_unless_that_is_unlikely() -> None:
    assert is_like(RISING, [0.2, 0.5, 0.1, 0.9])
    assert not is_like(RISING, [0.94, 0.95, 0.96, 0.97])
    assert not is_like(RISING, [0.2, 0.5, 0.1])


def test_a_distance_has_a_meaning() -> None:
    assert [size_of(nats) for nats in (0.0, 0.1, 0.3, 0.5, 0.51)] == ["small", "small", "medium", "medium", "large"]


scores = st.lists(st.integers(0, 30).map(float), min_size=0, max_size=40)


@settings(max_examples=60)
@given(calibration=st.lists(st.integers(0, 30).map(float), min_size=96, max_size=96), newest=scores)
def test_only_the_order_of_scores_matters(calibration: list[float], newest: list[float]) -> None:
    """A rank test: any rising function of all scores leaves every verdict as it is."""
    changed = judge([value**3 + 1 for value in calibration], [value**3 + 1 for value in newest])
    assert judge(calibration, newest) == changed


@settings(max_examples=60)
@given(st.permutations(list("abcdef")), st.lists(st.floats(-50, 0), min_size=6, max_size=6))
def test_the_names_of_tokens_do_not_matter(names: list[str], values: list[float]) -> None:
    one, other = dict(zip("abcdef", values, strict=True)), dict(zip("abcdef", reversed(values), strict=True))
    renamed = dict(zip("abcdef", names, strict=True))
    swapped = [Prediction({renamed[token]: value for token, value in logprobs.items()}) for logprobs in (one, other)]
    assert distance(*swapped) == pytest.approx(distance(Prediction(one), Prediction(other)))
