"""What an alert about failures would have sent for one target, from the store's raw probes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from alerts.dry_run import PastMessage, past_messages
from alerts.facts import Slot, WatchedTarget
from alerts.flapping import QUIET_MS
from alerts.history import PROBE_COLUMNS, make_slot
from pages.queries import cache
from settings.alerts import AlertRule
from store import Selection
from store.clock import DAY_MS, HOUR_MS, MINUTE_MS
from store.schema import PROBES, Target

DAYS = 30
LONGEST_ROW = 20
"""The largest `after` and `clear_after` that an `[[alert]]` may have."""
MOST_READ, MOST_LOOKED_AT = 16_000, 4_000
"""Slots of one target that are read, once, and that a drag looks at: each takes less than 0.1 s. A month of minutes
has 43,200, and a rule would take 0.9 s over them. About failures it says the same without the hours in which nothing
failed.
"""
_MARGIN = 3
_NEEDED = LONGEST_ROW + _MARGIN
_FLAPPING_MS = QUIET_MS + 5 * MINUTE_MS
_MOST_AFTER_A_GAP = 500


@dataclass(frozen=True)
class DryRun:
    """What would have been sent since a moment (milliseconds UTC). `is_cut`: it failed too often to look further."""

    messages: list[PastMessage]
    since: int
    is_cut: bool


@dataclass(frozen=True)
class _Known:
    """The slots that matter to a rule about failures, oldest first."""

    slots: list[Slot]
    since: int
    is_cut: bool


def dry_run(url: str, target: Target, after: int, clear_after: int, now: int) -> DryRun:
    """What an `[[alert]]` about `down` would have sent in the last `DAYS` days."""
    known = _known(url, target, cache.rounded(now, MINUTE_MS))
    rule = AlertRule(("down",), (), (), (), after, clear_after)
    watched = WatchedTarget(target.name, "", target.every_s)
    slots = _around_failures(known.slots, max(after, clear_after) + _MARGIN, target.every_s)
    newest = slots[-MOST_LOOKED_AT:]
    messages = past_messages(rule, [watched], {target.name: newest})
    if len(newest) < len(slots):
        return DryRun(messages, newest[0].at, True)
    return DryRun(messages, known.since, known.is_cut)


def _around_failures(slots: Iterable[Slot], needed: int, every_s: float) -> list[Slot]:
    """Without what this rule need not see: after `needed` good slots in a row all is over, unless it was flapping,
    which takes three failures.
    """
    kept: list[Slot] = []
    failed: deque[int] = deque(maxlen=3)
    good, row_ms = 0, round(needed * every_s * 1_000)
    for slot in slots:
        if not slot.is_up:
            good = 0
            failed.append(slot.at)
        elif slot.decides:
            good += 1
        may_flap = len(failed) == 3 and failed[-1] - failed[0] <= 2 * HOUR_MS + row_ms
        if good <= needed or (may_flap and slot.at - failed[-1] <= _FLAPPING_MS + row_ms):
            kept.append(slot)
    return kept


# the slots of one target are the same at each drag; not copied, since nobody changes them
@st.cache_resource(ttl=300, max_entries=16, show_spinner=False, hash_funcs={Target: hash})
def _known(url: str, target: Target, now: int) -> _Known:
    since = now - DAYS * DAY_MS
    failed, is_cut = _read(url, target, since, now, MOST_READ, failed=True)
    windows = _windows([slot.at for slot in failed], target.every_s, now)
    slots: list[Slot] = []
    later = now
    for began, ended in reversed(windows):  # the newest first: they are what there is room for
        found, is_full = _read(url, target, began, ended, MOST_READ - len(slots))
        if is_full:
            return _Known(found + slots, found[0].at if found else later, True)
        if sum(slot.is_up is True and slot.decides for slot in found[-_NEEDED:]) < _NEEDED:
            found += _after_gap(url, target, ended, later)
        slots, later = found + slots, began
    first_at = cache.first_at(url).get(target.name, now)
    return _Known(slots, later if is_cut else max(since, min(first_at, now)), is_cut)


def _windows(failed: Iterable[int], every_s: float, now: int) -> list[tuple[int, int]]:
    """From each failure until it is surely over, and no longer flapping; those that touch are one."""
    length_ms = round(_NEEDED * every_s * 1_000) + _FLAPPING_MS
    windows: list[tuple[int, int]] = []
    for at in failed:
        began = windows.pop()[0] if windows and at <= windows[-1][1] else at
        windows.append((began, min(at + length_ms, now)))
    return windows


def _after_gap(url: str, target: Target, since: int, until: int) -> list[Slot]:
    """Where nothing was probed after a failure, it was over when it was probed again."""
    rows = cache.store(url).read(
        PROBES, Selection(since, until, (target.name,)), columns=PROBE_COLUMNS, limit=_MOST_AFTER_A_GAP
    )
    return _slots(target, rows)


def _read(
    url: str, target: Target, since: int, until: int, limit: int, *, failed: bool = False
) -> tuple[list[Slot], bool]:
    """The newest slots between two moments, oldest first, and whether there may be more than `limit`."""
    selection = Selection(since, until, (target.name,), failed=failed)
    rows = list(cache.store(url).read(PROBES, selection, columns=PROBE_COLUMNS, newest_first=True, limit=limit))
    return _slots(target, reversed(rows)), len(rows) >= limit


def _slots(target: Target, rows: Iterable[tuple[Any, ...]]) -> list[Slot]:
    return [
        make_slot(at, *rest)
        for _, at, location, profile, *rest in rows
        if (location, profile) == (target.location, target.profile)
    ]
