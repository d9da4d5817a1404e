"""The epochs of a target's identity: learning, a change, and the return to an earlier model.

Pure: rows in, rows out. An epoch's row has its reference and calibration, so the checks that they came from are not
needed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stats.identity import (
    LEARNING_CHECKS,
    LONG,
    SHORT,
    Prediction,
    Predictions,
    Texts,
    chance_of,
    is_like,
    judge,
    learn,
    median_score,
    score_predictions,
    score_texts,
)
from store.identity_tables import IdentityCheck, IdentityEpoch

LOGPROBS, TEXTS, DECLARED = "logprobs", "texts", "declared"
REFUSED = (400, 404, 405, 415, 422, 501)
"""HTTP statuses of a server that has no logprobs."""
Observation = Predictions | Texts


@dataclass(frozen=True)
class Known:
    """One target at one location in the store, oldest first. `checks`: those of the current epoch while it learns, else
    the newest ones, at least `LONG`; `scores`: of the current epoch, with the moments of their checks.
    """

    epochs: tuple[IdentityEpoch, ...] = ()
    checks: tuple[IdentityCheck, ...] = ()
    scores: tuple[tuple[int, float], ...] = ()

    @property
    def current(self) -> IdentityEpoch | None:
        """The epoch that has not ended."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.ended_at is None), None)


@dataclass(frozen=True)
class Step:
    """A check with its score, and the epochs that it changed or began."""

    check: IdentityCheck
    epochs: tuple[IdentityEpoch, ...] = ()


def evaluate_check(known: Known, check: IdentityCheck) -> Step:
    """Evaluate a new check. One that failed or observed nothing changes nothing."""
    mine = read_observed(check)
    if mine is None:
        return _without_observation(known, check)
    current = known.current
    if current is None or current.method != check.method:
        return Step(check, (*_end_epoch(current, check.started_at), _new_epoch(check, check.started_at)))
    reference = read_reference(current)
    if reference is None:
        return _learn(known, current, check)
    score = score_of(mine, reference)
    check = replace(check, epoch_at=current.began_at, score=score)
    if score is None:
        return Step(check)
    scores = [*known.scores, (check.started_at, score)]
    verdict = judge(read_calibration(current), [value for _, value in scores])
    if verdict.status != "changed" or verdict.first is None:
        return Step(check)
    changed = scores[verdict.first :]
    opened = _new_epoch(check, changed[0][0])
    opened = replace(opened, distance=median_score([value for _, value in changed]))
    checks = [one for one in (*known.checks, check) if _belongs(one, opened)]
    ended = replace(current, ended_at=opened.began_at)
    return Step(check, (ended, _recognize(opened, (*known.epochs[:-1], ended), checks)))


def _without_observation(known: Known, check: IdentityCheck) -> Step:
    """A server that stops returning logprobs is checked by texts after the fourth response without them."""
    current = known.current
    if not lacks_logprobs(check) or (current is not None and current.method != LOGPROBS):
        return Step(check)
    if current is None:
        return Step(check, (replace(_new_epoch(check, check.started_at), method=TEXTS),))
    newest = [*known.checks, check][-SHORT:]
    if len(newest) < SHORT or not all(map(lacks_logprobs, newest)):
        return Step(check)
    began_at = newest[0].started_at
    if began_at <= current.began_at:
        return Step(check)
    return Step(check, (*_end_epoch(current, began_at), replace(_new_epoch(check, began_at), method=TEXTS)))


def lacks_logprobs(check: IdentityCheck) -> bool:
    """Whether the server returned no logprobs: it refused them, or left them out."""
    refused = check.outcome == "caller_error" and check.http_status in REFUSED
    return check.method == LOGPROBS and check.observed is None and (check.outcome == "ok" or refused)


def is_learning(epoch: IdentityEpoch) -> bool:
    """Whether its reference is not complete yet, or was lost."""
    return read_reference(epoch) is None


def _end_epoch(epoch: IdentityEpoch | None, at: int) -> tuple[IdentityEpoch, ...]:
    return () if epoch is None else (replace(epoch, ended_at=max(at, epoch.began_at)),)


def _new_epoch(check: IdentityCheck, began_at: int) -> IdentityEpoch:
    return IdentityEpoch(check.target, check.location, began_at, check.method, check.started_at)


def _learn(known: Known, current: IdentityEpoch, check: IdentityCheck) -> Step:
    checks = [one for one in (*known.checks, check) if _belongs(one, current)]
    if len(checks) >= LONG and (recognized := _recognize(current, known.epochs, checks)) is not current:
        return Step(check, (recognized,))
    observations = _observations(checks) if len(checks) >= LEARNING_CHECKS else []
    learned = learn(observations, score_of)
    if learned is None:
        return Step(check)
    frozen = replace(
        current,
        frozen_at=check.started_at,
        reference=json.dumps([_plain(observations[place]) for place in learned.reference]),
        calibration=json.dumps(learned.calibration),
    )
    return Step(check, (frozen,))


def _belongs(check: IdentityCheck, epoch: IdentityEpoch) -> bool:
    return check.started_at >= epoch.began_at and check.method == epoch.method


def _recognize(
    opened: IdentityEpoch, earlier: Sequence[IdentityEpoch], checks: Sequence[IdentityCheck]
) -> IdentityEpoch:
    """The epoch with the reference of the earlier epoch that its newest checks resemble most; unchanged when they
    resemble none.
    """
    newest = _observations(checks[-LONG:])
    best: tuple[float, IdentityEpoch] | None = None
    for epoch in earlier:
        reference = read_reference(epoch)
        if reference is None or epoch.method != opened.method or epoch.began_at >= opened.began_at:
            continue
        scores = [score for one in newest if (score := score_of(one, reference)) is not None]
        calibration = read_calibration(epoch)
        if is_like(calibration, scores) and (best is None or chance_of(scores, calibration) > best[0]):
            best = chance_of(scores, calibration), epoch
    if best is None:
        return opened
    like = best[1]
    same_as = like.same_as if like.same_as is not None else like.began_at
    newest_at = checks[-1].started_at
    return replace(opened, frozen_at=newest_at, same_as=same_as, reference=like.reference, calibration=like.calibration)


# -- the JSON in rows


def write_observed(observation: Observation) -> str:
    """The JSON of an observation."""
    return json.dumps(_plain(observation), ensure_ascii=False)


def _plain(observation: Observation) -> list[object]:
    return [
        one if isinstance(one, str) else {"cached": one.cached_tokens, "logprobs": dict(one.logprobs)}
        for one in observation
    ]


def read_observed(check: IdentityCheck) -> Observation | None:
    """The observation of a check; null when it failed, had none, or cannot be read."""
    return None if check.observed is None or check.outcome != "ok" else _observation(_parse_json(check.observed))


def read_reference(epoch: IdentityEpoch) -> list[Observation] | None:
    """The observations that an epoch's checks are compared with; null while it learns, and when they were lost."""
    values = _parse_json(epoch.reference)
    if epoch.frozen_at is None or not isinstance(values, list) or not read_calibration(epoch):
        return None
    found = [one for value in values if (one := _observation(value)) is not None]
    return found or None


def read_calibration(epoch: IdentityEpoch) -> list[float]:
    """The scores of equal checks of the epoch; empty when they are unknown."""
    values = _parse_json(epoch.calibration)
    return [float(value) for value in values if isinstance(value, int | float)] if isinstance(values, list) else []


def score_of(mine: Observation, reference: Sequence[Observation]) -> float | None:
    """The distance of a check from a reference of the same method; null when they cannot be compared."""
    predictions, texts = _as_predictions(mine), _as_texts(mine)
    if predictions:
        return score_predictions(predictions, [known for one in reference if (known := _as_predictions(one))])
    return score_texts(texts, [read for one in reference if (read := _as_texts(one))])


def _as_predictions(observation: Observation) -> Predictions:
    return tuple(one for one in observation if isinstance(one, Prediction))


def _as_texts(observation: Observation) -> Texts:
    return tuple(one for one in observation if isinstance(one, str))


def hash_text(text: str) -> str:
    """The hash that stands for a text: no output of a model is kept."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _observations(checks: Iterable[IdentityCheck]) -> list[Observation]:
    return [one for check in checks if (one := read_observed(check)) is not None]


def _parse_json(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _observation(value: object) -> Observation | None:
    if not isinstance(value, list) or not value:
        return None
    texts = tuple(one for one in value if isinstance(one, str))
    if len(texts) == len(value):
        return texts
    predictions = tuple(one for given in value if (one := _prediction(given)) is not None)
    return predictions if len(predictions) == len(value) else None


def _prediction(value: object) -> Prediction | None:
    if not isinstance(value, dict) or not isinstance(value.get("logprobs"), dict) or not value["logprobs"]:
        return None
    logprobs, cached = value["logprobs"], value.get("cached")
    if not all(isinstance(one, int | float) for one in logprobs.values()):
        return None
    return Prediction(logprobs, cached if isinstance(cached, int) else None)
