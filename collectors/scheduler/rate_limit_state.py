"""Which targets rest because their servers asked for it, and the limits that the servers stated.

A rest is a target's, for all of its profiles, and is shared by the runs of a location (`shared_state`); a fresh shared
file begins with what the store has. Targets that share a key do not rest together: most servers count by model, too.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from settings.durations import in_words
from settings.targets import ProbeTarget
from store.horizon import horizon
from store.outcomes import UP
from store.rests import LONGEST_REST_MS, resting_until
from store.schema import RateLimit

QUIET_MS = 60_000
"""A row that only counts on is written so rarely; one whose target begins or ends to rest at once."""
UNCHANGED_MS = 600_000
"""How long a row may stay as it is when the server says the same again: its age tells who still sends it."""

Figures = tuple[int | None, ...]
NO_FIGURES: Figures = (None,) * 6


@dataclass(frozen=True, slots=True)
class Rest:
    """A target's last rest: when the server asked for it, until when (milliseconds UTC), why, and which server it was.
    One that was ended by a good response ends when that came.
    """

    noted_at: int
    until: int
    reason: str = ""
    server: str = ""

    def end(self, now: int) -> int | None:
        """When it ends; null when it is over."""
        return resting_until(self.noted_at, self.until, now)


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What one response states: when its probe began, its HTTP status, its outcome, the wait it asks for, and its
    limits (`RateLimits.figures`).
    """

    began_at: int
    status: int | None
    outcome: str
    wait_ms: int | None = None
    figures: Figures = NO_FIGURES


class RateLimitState:
    """The rests and limits of all targets, as one run knows them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._rests: dict[str, Rest] = {}
        self._stated: dict[str, tuple[int, Figures]] = {}
        self._written: dict[str, RateLimit] = {}
        self._lock = threading.Lock()

    def rest_reason(self, target: ProbeTarget, now: int) -> str | None:
        """Why a target is not probed at a moment; null when it does not rest."""
        rest = self._current(target)
        end = rest.end(now) if rest is not None else None
        return None if rest is None or end is None else describe_rest(end, rest.reason)

    def remaining_rest_s(self, target: ProbeTarget, now: int) -> float:
        """How long a target still rests; 0 when it does not."""
        rest = self._current(target)
        return ((rest.end(now) or now) - now) / 1_000 if rest is not None else 0.0

    def _current(self, target: ProbeTarget) -> Rest | None:
        """The target's rest, unless another server asked for it, before the configuration was changed."""
        with self._lock:
            rest = self._rests.get(target.name)
        return rest if rest is not None and rest.server in ("", _server(target)) else None

    def record(self, target: ProbeTarget, response: ResponseLimits, now: int) -> bool:
        """Remember what a response states; true when its target begins or ends to rest."""
        with self._lock:
            if response.figures != NO_FIGURES:
                self._stated[target.name] = now, response.figures
            known = self._rests.get(target.name)
            rest = _rest_after(known, response, now, _server(target))
            if rest is not None:
                self._rests[target.name] = rest
            return rest is not None

    def merge(self, rests: Mapping[str, Rest], now: int) -> None:
        """Take over what other runs noted: of each target the newest, unless its clock was ahead."""
        with self._lock:
            for target, rest in rests.items():
                known = self._rests.get(target)
                if rest.noted_at < horizon(now) and (known is None or known.noted_at < rest.noted_at):
                    self._rests[target] = rest

    def recent_rests(self, now: int) -> dict[str, Rest]:
        """What other runs are to know. A rest that is over stays for as long as a rest can last: an older row of the
        store must not start it again.
        """
        with self._lock:
            self._rests = {
                name: rest for name, rest in self._rests.items() if now - LONGEST_REST_MS < rest.noted_at < horizon(now)
            }
            return dict(self._rests)

    def seed(self, rows: Iterable[RateLimit], now: int) -> None:
        """Start with what the store has: the rows that are written, and rests that the shared file does not have."""
        for row in rows:
            self._written[row.target] = row
            if row.rests_until is not None and row.target not in self._rests:
                self.merge({row.target: Rest(row.updated_at, row.rests_until, row.reason or "")}, now)

    def changed_rows(self, location: str, now: int) -> list[RateLimit]:
        """The rows that the store does not have yet; they count as written from here on."""
        with self._lock:
            rows = [self._row(target, location, now) for target in self._stated.keys() | self._rests.keys()]
            changed = [row for row in rows if _is_news(row, self._written.get(row.target))]
            self._written |= {row.target: row for row in changed}
            return changed

    def _row(self, target: str, location: str, now: int) -> RateLimit:
        written, rest = self._written.get(target), self._rests.get(target)
        stated_at, figures = self._stated.get(target) or (0, NO_FIGURES if written is None else _figures(written))
        end = rest.end(now) if rest is not None else None
        noted_at = rest.noted_at if rest is not None else 0
        return RateLimit(
            target, location, max(stated_at, noted_at), end, rest.reason if rest and end else None, *figures
        )


def _rest_after(known: Rest | None, response: ResponseLimits, now: int, server: str) -> Rest | None:
    """The rest that a response begins or ends; null when it changes nothing."""
    end = known.end(now) if known is not None else None
    noted_at = now if known is None else max(now, known.noted_at + 1)  # so that other runs believe the newer one
    # sent before that was known; else the clock was set back since
    is_older = known is not None and end is not None and response.began_at <= known.noted_at <= now
    if response.wait_ms is not None:
        until = now + min(response.wait_ms, LONGEST_REST_MS)
        return None if is_older and until <= (end or 0) else Rest(noted_at, until, _reason(response), server)
    return Rest(noted_at, noted_at) if end is not None and not is_older and response.outcome in UP else None


def _is_news(row: RateLimit, written: RateLimit | None) -> bool:
    if written is None:
        return row.rests_until is not None or _figures(row) != NO_FIGURES
    if written.rests_until != row.rests_until:
        return True
    is_same = _figures(row) == _figures(written)
    return abs(row.updated_at - written.updated_at) >= (UNCHANGED_MS if is_same else QUIET_MS)


def _figures(row: RateLimit) -> Figures:
    return astuple(row)[-len(NO_FIGURES) :]


def _server(target: ProbeTarget) -> str:
    """What a rest was asked for: a target that gets another model, server or key of another name does not rest."""
    where = "\0".join((target.base_url, target.model, target.provider or "", target.api_key_env or ""))
    return hashlib.sha256(where.encode()).hexdigest()[:16]


def describe_rest(until: int, reason: str | None) -> str:
    """`rests until 12:03:10 because the server asked for it (HTTP 429, retry after 30 s)`."""
    return f"rests until {_clock(until)} because {reason}"


def _reason(response: ResponseLimits) -> str:
    wait_ms = response.wait_ms or 0
    where = f"HTTP {response.status}" if response.status is None or response.status >= 300 else "an error in its stream"
    most = "; a rest is at most a day" if wait_ms > LONGEST_REST_MS else ""
    return f"the server asked for it ({where}, retry after {in_words(wait_ms / 1_000)}{most})"


def _clock(moment: int) -> str:
    """The time of day where the collector runs; with its date where that is not today's."""
    local = time.localtime(moment / 1_000)
    is_today = time.strftime("%x", local) == time.strftime("%x")
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", local)
