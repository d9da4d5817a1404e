"""Which of a probe's times count."""

from __future__ import annotations

from store.outcomes import UP
from store.schema import LAG_LIMIT_MS


def is_believed(outcome: str, lag_ms: float | None) -> bool:
    """Whether a probe's times count: it succeeded, on a machine that was not overloaded."""
    return outcome in UP and not (lag_ms or 0.0) > LAG_LIMIT_MS
