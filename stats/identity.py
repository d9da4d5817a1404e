"""Whether an endpoint still serves the same model: the distance of a check from a reference, and whether it is noise.

The method is that of LT (arXiv 2512.03816) and B3IT (2602.11083), with the distance to the *nearest* reference check
instead of the usual one: load makes neighbours alike, and against the usual vector that gave 11.3% false alarms at a
nominal 5%. Everything here is pure: no clock, no name, no store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import comb
from statistics import median
from typing import Literal, TypeVar

FLOOR = -40.0
"""In nats. Anything less likely counts as impossible: servers write it as -9999, -inf or not at all."""
DECIMALS = 6
"""Of a score: stored and new scores are rounded alike, so that equal ones compare as equal."""
LEARNING_CHECKS = 120
"""An epoch begins with these: every fifth check is reference, the other 96 are its calibration."""
REFERENCE_EVERY = 5
FEWEST_CALIBRATION = 96
SHORT, LONG = 4, 24
"""The newest checks that are compared with the calibration, in a row."""
ALPHA = 5e-7
"""The probability of a false alarm of each of the two tests, per check."""
LIKE = 0.01
"""Below this probability some checks are not taken for those of an earlier epoch."""
JUDGED_SCORES = 480
"""The newest scores of which rolling splits are made: 20 days of hourly checks."""
NEARLY_LOSSLESS, OTHER_WEIGHTS = 0.1, 0.5
"""In nats: up to the first, another engine, kernel or hardware explains a distance; above the second, the weights or
the prompt differ.
"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's first token after one prompt: the log probabilities of some tokens, and how many tokens of the prompt
    came from a cache (null: not stated).
    """

    logprobs: Mapping[str, float]
    cached_tokens: int | None = None


Predictions = tuple[Prediction, ...]
"""One check: a prediction for each of the fixed prompts, in their order."""
Texts = tuple[str, ...]
"""One check without logprobs: for each of the fixed prompts, the hash of its text."""
Check = TypeVar("Check")


def distance(one: Prediction, other: Prediction) -> float:
    """The mean absolute difference of logprobs over all tokens that either lists, in nats. A token that a list lacks
    counts as its least likely one, which is the most that it can be.
    """
    if not one.logprobs or not other.logprobs:
        raise ValueError("a prediction has no token")
    least, other_least = min(one.logprobs.values()), min(other.logprobs.values())
    tokens = sorted(one.logprobs.keys() | other.logprobs.keys())
    gaps = (
        abs(max(one.logprobs.get(token, least), FLOOR) - max(other.logprobs.get(token, other_least), FLOOR))
        for token in tokens
    )
    return sum(gaps) / len(tokens)


def score_predictions(check: Predictions, reference: Sequence[Predictions]) -> float | None:
    """The mean over prompts of the smallest distance to any reference check whose prompt was cached as far; null where
    a prompt has none: a cached and an uncached vector of one model differ by up to 0.2 nat.
    """
    nearest = []
    for number, mine in enumerate(check):
        alike = (
            known[number]
            for known in reference
            if number < len(known) and known[number].cached_tokens == mine.cached_tokens
        )
        least = min((distance(mine, known) for known in alike), default=None)
        if least is None:
            return None
        nearest.append(least)
    return round(sum(nearest) / len(nearest), DECIMALS) if nearest else None


def score_texts(check: Texts, reference: Sequence[Texts]) -> float | None:
    """The number of texts that no reference check has for the same prompt; null without a reference."""
    if not reference:
        return None
    return float(
        sum(
            text not in {known[number] for known in reference if number < len(known)}
            for number, text in enumerate(check)
        )
    )


# -- the test


@lru_cache(maxsize=64)
def _upper_tail(recent: int, calibration: int) -> tuple[float, ...]:
    """For each U from 0 to recent x calibration, the probability of at least so many ordered pairs when all orders of
    the values are equally likely: Mann and Whitney's U exactly, from the Gaussian binomial coefficient.
    """
    most = recent * calibration
    counts = [1] + [0] * most
    for step in range(1, recent + 1):
        for place in range(most, calibration + step - 1, -1):  # times 1 - q^(calibration + step)
            counts[place] -= counts[place - calibration - step]
        for place in range(step, most + 1):  # by 1 - q^step
            counts[place] += counts[place - step]
    total = comb(recent + calibration, recent)
    return tuple(above / total for above in reversed(list(accumulate(reversed(counts)))))


def chance_of(recent: Sequence[float], calibration: Sequence[float]) -> float:
    """The probability of scores at least as high as these if nothing has changed since the calibration: an exact
    one-sided rank test. Equal values count against a change.
    """
    return _chance(recent, sorted(calibration))


def _chance(recent: Sequence[float], ordered: Sequence[float]) -> float:
    above = sum(bisect_left(ordered, score) for score in recent)
    return _upper_tail(len(recent), len(ordered))[above]


def _is_alarm(recent: Sequence[float], ordered: Sequence[float]) -> bool:
    return bool(recent) and bool(ordered) and _chance(recent, ordered) <= ALPHA


@dataclass(frozen=True, slots=True)
class Splits:
    """How often the test gives an alarm within one epoch, where nothing is known to have changed."""

    alarms: int
    count: int

    @property
    def rate(self) -> float | None:
        """The share of splits with an alarm; null without any."""
        return self.alarms / self.count if self.count else None

    @property
    def is_stable(self) -> bool:
        """Whether the promised rate holds here: among so few splits it allows no alarm."""
        return self.alarms == 0


def rolling_splits(calibration: Sequence[float], scores: Sequence[float] = ()) -> Splits:
    """The test on every stretch of an epoch's own scores: of 4 and of 24 in a row against the rest of the calibration,
    and of those that follow against the 96 before each stretch. A split counts once, however many of the two it is an
    alarm of.
    """
    alarms = count = 0
    known, later = list(calibration), list(scores[-JUDGED_SCORES:])
    for began in range(len(known) - SHORT + 1):
        found = False
        for length in (SHORT, LONG):
            if began + length <= len(known):
                found = found or _is_alarm(
                    known[began : began + length], sorted([*known[:began], *known[began + length :]])
                )
        alarms, count = alarms + found, count + 1
    line = known + later
    for ended in range(len(known) + 1, len(line) + 1):
        found = any(
            _is_alarm(line[ended - length : ended], sorted(line[max(0, ended - length - len(known)) : ended - length]))
            for length in (SHORT, LONG)
            if ended - length >= FEWEST_CALIBRATION
        )
        alarms, count = alarms + found, count + 1
    return Splits(alarms, count)


Status = Literal["same", "changed", "unstable"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the test. `first`: the place of the first score of a change."""

    status: Status
    first: int | None = None


def judge(calibration: Sequence[float], scores: Sequence[float]) -> Verdict:
    """Test an epoch's newest scores (oldest first) against its calibration. An alarm is `unstable` when the scores
    before it would have given one, too.
    """
    ordered = sorted(calibration)
    alarmed = [length for length in (SHORT, LONG) if len(scores) >= length and _is_alarm(scores[-length:], ordered)]
    if not alarmed:
        return Verdict("same")
    first = _first_changed(ordered, scores, max(alarmed))
    is_stable = rolling_splits(calibration, scores[:first]).is_stable
    return Verdict("changed", first) if is_stable else Verdict("unstable")


def _first_changed(ordered: Sequence[float], scores: Sequence[float], window: int) -> int:
    """Where the change most likely began: the beginning within the window whose scores differ most from the
    calibration, by the deviation of their ranks from the expected ones. In a window of 4 all differ, and scores before
    it that differ, too, belong to the change.
    """
    size = len(ordered)
    best, first = 0.0, len(scores) - SHORT
    above = 0
    for length in range(1, min(len(scores), max(window, LONG)) + 1):
        above += bisect_left(ordered, scores[-length])
        usual = length * size / 2
        spread = (length * size * (length + size + 1) / 12) ** 0.5
        if length >= SHORT and (above - usual) / spread > best:
            best, first = (above - usual) / spread, len(scores) - length
    return first


# -- an epoch


@dataclass(frozen=True, slots=True)
class Learned:
    """The places of the reference among the checks that an epoch began with, and the scores of the others."""

    reference: tuple[int, ...]
    calibration: tuple[float, ...]


def learn(checks: Sequence[Check], score: Callable[[Check, Sequence[Check]], float | None]) -> Learned | None:
    """The reference and calibration of an epoch that began with these checks; null while there are too few of them, or
    too few with a score.
    """
    places = range(len(checks))
    reference = places[::REFERENCE_EVERY]
    if len(checks) < LEARNING_CHECKS:
        return None
    known = [checks[place] for place in reference]
    scores = (score(checks[place], known) for place in places if place % REFERENCE_EVERY)
    calibration = tuple(value for value in scores if value is not None)
    return Learned(tuple(reference), calibration) if len(calibration) >= FEWEST_CALIBRATION else None


def is_like(calibration: Sequence[float], scores: Sequence[float]) -> bool:
    """Whether some scores could belong to an epoch with this calibration; false for fewer than `SHORT`."""
    return len(scores) >= SHORT and chance_of(scores, calibration) > LIKE


Size = Literal["small", "medium", "large"]


def size_of(nats: float) -> Size:
    """What explains a distance: another engine, kernel, hardware or a nearly lossless requantization (small), or other
    weights or another prompt (large).
    """
    return "small" if nats <= NEARLY_LOSSLESS else "large" if nats > OTHER_WEIGHTS else "medium"


def median_score(scores: Sequence[float]) -> float | None:
    """The median of some scores; null of none."""
    return median(scores) if scores else None
