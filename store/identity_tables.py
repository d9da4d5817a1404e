"""The tables of model identity: checks, and the epochs in which a target served one model."""

from __future__ import annotations

from dataclasses import dataclass

from store.table import TABLES, Integer, Moment, Real, Row, Text, table


@table(
    "identity_checks",
    key=("target", "started_at", "location"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
)
@dataclass(frozen=True, slots=True)
class IdentityCheck(Row):
    """One check of whether a target still serves the same model, with its distance from the reference.

    `observed` is JSON: by prompt the logprobs of the first token, or a hash of the text; never the text itself.
    """

    target: Text
    started_at: Moment
    location: Text
    method: Text  # logprobs, texts
    outcome: Text  # as of a probe
    requests: Integer
    alternatives: Integer | None = None  # tokens whose logprobs were asked for
    observed: Text | None = None
    epoch_at: Moment | None = None  # the epoch that the score refers to
    score: Real | None = None  # of logprobs in nats; of texts how many were new; null while learning
    http_status: Integer | None = None
    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    cost_usd: Real | None = None
    provider: Text | None = None
    served_model: Text | None = None
    system_fingerprint: Text | None = None
    error: Text | None = None


@table(
    "identity_epochs",
    key=("target", "location", "began_at"),
    time="began_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class IdentityEpoch(Row):
    """A period in which a target served one model, from the first check that differs from those before.

    `reference` and `calibration` are JSON: the observations that checks are compared with, and the scores of
    equal ones.
    """

    target: Text
    location: Text
    began_at: Moment
    method: Text  # logprobs, texts; declared: a reasoning model, which is not checked
    noticed_at: Moment  # the check that showed the change
    ended_at: Moment | None = None
    frozen_at: Moment | None = None  # null: still learning
    same_as: Moment | None = None  # the beginning of the earlier epoch that it is like
    distance: Real | None = None  # how far its first checks were from the epoch before
    reference: Text | None = None
    calibration: Text | None = None


IDENTITY_CHECKS = TABLES["identity_checks"]
IDENTITY_EPOCHS = TABLES["identity_epochs"]
EPOCH_COLUMNS = IDENTITY_EPOCHS.names[:-2]
"""All but the two long ones."""
