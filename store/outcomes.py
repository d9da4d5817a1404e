"""How a probe or a request can end, and what each of these ends counts as."""

from __future__ import annotations

from typing import Literal

Outcome = Literal[
    "ok",
    "timeout",
    "connection_error",
    "server_error",
    "stream_error",
    "invalid_response",
    "empty",
    "rate_limited",
    "caller_error",
    "not_found",
    "offline",
    "internal_error",
    "paused",
]
CONFIGURATION = "configuration"
"""The collector of the runs that record each time a configuration was taken over, or was wrong."""
ALERTS = "alerts"
"""The collector of the runs that record each message to a channel, and whether the channel took it."""
INTERNAL_ERROR = "internal_error"
"""Uptoken itself failed while probing: it says nothing of the target, and is shown where the collectors are."""
PAUSED = "paused"
"""A maintenance window, a pause that a person asked for, or a range that was excluded afterwards."""
UP: frozenset[str] = frozenset({"ok"})
DOWN: frozenset[str] = frozenset(
    {"timeout", "connection_error", "server_error", "stream_error", "invalid_response", "empty"}
)
NOT_COUNTED: frozenset[str] = frozenset(
    {"rate_limited", "caller_error", "not_found", "offline", INTERNAL_ERROR, PAUSED}
)
MAY_BE_BILLED: frozenset[str] = frozenset(
    {"ok", "timeout", "stream_error", "invalid_response", "empty", INTERNAL_ERROR}
)
"""Outcomes in which a model may have worked: what a row's cost does not say is reckoned at its worst."""
