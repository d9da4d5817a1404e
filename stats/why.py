"""How a probe counts in its target's state and uptime, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stats.summary import Summary
from stats.uptime import Uptime
from store.outcomes import DOWN, NOT_COUNTED, UP

REASONS = {
    "ok": "it produced tokens and ended properly",
    "timeout": "it was not over within the target's timeout",
    "connection_error": "there was no connection, or it broke before a response",
    "server_error": "the server failed, or was out of capacity",
    "stream_error": "the response began and did not end properly",
    "invalid_response": "it was no response of a model",
    "empty": "it ended properly, without a token",
    "rate_limited": "your rate or quota is used up, which says nothing about the model",
    "caller_error": "your key, credit or request was refused, which says nothing about the model",
    "not_found": "the model is not offered there",
    "offline": "nothing was reached from this location: its own network was down",
    "internal_error": "Uptoken itself failed",
    "paused": "a maintenance window or a pause, or the range was excluded afterwards",
}
"""How a probe ended, by outcome."""
Kind = Literal["up", "down", "not_counted", "paused", "nothing"]


@dataclass(frozen=True)
class Counted:
    """How one probe counts, and why."""

    kind: Kind
    reason: str


def classify_probe(outcome: str, stands_for_s: float, measured_outcome: str | None = None) -> Counted:
    """How a probe counts. A failed first attempt decides no time: the probe that confirms it or not does."""
    reason = REASONS.get(outcome, "")
    if measured_outcome is not None:
        return Counted("paused", f"it was excluded afterwards; measured was {measured_outcome.replace('_', ' ')}")
    if outcome == "paused":
        return Counted("paused", reason)
    if outcome in NOT_COUNTED:
        return Counted("not_counted", reason)
    if stands_for_s <= 0:
        return Counted("nothing", f"{reason}; the next probe decided this slot")
    return Counted("up" if outcome in UP else "down", reason)


@dataclass(frozen=True)
class UptimeReasons:
    """The parts of an uptime. `undecided_s`: the time that no probe decided. By outcome, how many probes did not count
    (`not_counted`), and how many failed, confirmed or not (`failed`).
    """

    uptime: Uptime
    undecided_s: float
    not_counted: tuple[tuple[str, int], ...]
    failed: tuple[tuple[str, int], ...]


def uptime_reasons(counts: Summary, uptime: Uptime) -> UptimeReasons:
    """The parts of an uptime, from the counts of the profile that decides it."""
    known_s = uptime.up_s + uptime.down_s + uptime.not_counted_s
    return UptimeReasons(
        uptime,
        max(0.0, uptime.window_s - known_s),
        _counts(counts, sorted(NOT_COUNTED)),
        _counts(counts, sorted(DOWN)),
    )


def _counts(counts: Summary, outcomes: list[str]) -> tuple[tuple[str, int], ...]:
    found = [(outcome, counts[outcome]) for outcome in outcomes if counts[outcome]]
    return tuple(sorted(found, key=lambda pair: -pair[1]))
