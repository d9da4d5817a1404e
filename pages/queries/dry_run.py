"""What an `[[alert]]` would have sent for one target, from the last 30 days in the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from alerts.dry_run import PastMessage, UsualTtft, messages_from_facts, messages_from_findings, past_messages
from alerts.facts import Slot, WatchedTarget
from alerts.flapping import QUIET_MS
from alerts.history import PROBE_COLUMNS, make_slot
from alerts.rules.slo_burn import burns_over_time
from pages.queries import cache
from pages.queries.dry_run_facts import OF_FACTS, facts_of
from pages.queries.dry_run_slow import slow_slots, usual_by_hour
from settings.alerts import AlertRule
from stats.degraded import FEWEST, WINDOW_MS
from store import Selection
from store.clock import DAY_MS, HOUR_MS, MINUTE_MS
from store.outcomes import INTERNAL_ERROR
from store.schema import PROBES, Target

DAYS = 30
LONGEST_ROW = 20
"""The largest `after` and `clear_after` that an `[[alert]]` may have."""
MOST_READ, MOST_MEASURED = 16_000, 50_000
"""Slots of one target that are read, once: around failures, and of all that were measured (a month of minutes has
43,200). They take about 0.1 s and 0.4 s.
"""
MOST_LOOKED_AT = 2_000
"""Slots that a drag looks at: it takes up to 0.07 s. A rule takes 0.9 s over a month of minutes, and says the same
without the hours in which nothing was bad.
"""
IN_A_ROW = ("down", "degraded", "wrong_answers")
"""Kinds that `after` and `clear_after` are about."""
KINDS = (*IN_A_ROW, "slo_burn", INTERNAL_ERROR, *OF_FACTS)
_MARGIN = 3
_NEEDED = LONGEST_ROW + _MARGIN
_FLAPPING_MS = QUIET_MS + 5 * MINUTE_MS
_MOST_AFTER_A_GAP = 500


@dataclass(frozen=True)
class Trial:
    """An alert to try; `ttft_max_s` and `slo` are those that the target would have."""

    kind: str = "down"
    after: int = 2
    clear_after: int = 2
    ttft_max_s: float | None = None
    slo: float | None = None


@dataclass(frozen=True)
class DryRun:
    """The messages since a moment (milliseconds UTC). `is_cut`: there were too many failures to look further back."""

    messages: list[PastMessage]
    since: int
    is_cut: bool


@dataclass(frozen=True)
class _Known:
    """The slots that matter to a rule, oldest first. `slow_at`: when the target was slower than its usual."""

    slots: list[Slot]
    since: int
    is_cut: bool
    slow_at: frozenset[int] = frozenset()


def dry_run(url: str, target: Target, trial: Trial, now: int) -> DryRun:
    """What an `[[alert]]` about one of `KINDS` would have sent in the last `DAYS` days."""
    rule = AlertRule((trial.kind,), (), (), (), trial.after, trial.clear_after)
    ttft_max_ms = None if trial.ttft_max_s is None else trial.ttft_max_s * 1_000
    watched = WatchedTarget(target.name, "", target.every_s, ttft_max_ms=ttft_max_ms, slo=trial.slo)
    minute = cache.rounded(now, MINUTE_MS)
    if trial.kind in OF_FACTS:
        since = minute - DAYS * DAY_MS
        return DryRun(
            messages_from_facts(rule, [watched], facts_of(url, target, trial.kind, since, minute)), since, False
        )
    if trial.kind in ("down", INTERNAL_ERROR):
        known = _known(url, target, minute)
        return _of_slots(known, rule, watched, _judge(trial, known), max(trial.after, trial.clear_after) + _MARGIN)
    known = _measured(url, target, minute)
    if trial.kind == "slo_burn":
        found = burns_over_time(target.name, known.slots, trial.slo or 0.0)
        return DryRun(messages_from_findings(rule, watched, found), known.since, known.is_cut)
    needed = max(trial.after, trial.clear_after, FEWEST if trial.kind == "degraded" else 0) + _MARGIN
    if trial.kind == "degraded":
        usual = usual_by_hour(url, target, minute)
        return _of_slots(
            known, rule, watched, _judge(trial, known), needed, WINDOW_MS, lambda _, at: usual.get(at - at % HOUR_MS)
        )
    return _of_slots(known, rule, watched, _judge(trial, known), needed)


def _of_slots(
    known: _Known,
    rule: AlertRule,
    watched: WatchedTarget,
    judge: Callable[[Slot], bool | None],
    needed: int,
    lead_ms: int = 0,
    usual: UsualTtft | None = None,
) -> DryRun:
    kept, unobserved = _around_bad(known.slots, judge, needed, watched.every_s, lead_ms)
    newest = kept[-MOST_LOOKED_AT:]
    messages = past_messages(rule, [watched], {watched.name: newest}, usual, unobserved)
    if len(newest) < len(kept):
        return DryRun(messages, newest[0].at, True)
    return DryRun(messages, known.since, known.is_cut)


def _around_bad(
    slots: Sequence[Slot], judge: Callable[[Slot], bool | None], needed: int, every_s: float, lead_ms: int
) -> tuple[list[Slot], set[int]]:
    """The slots that a rule needs: after `needed` good ones in a row everything is over, unless the target was
    flapping, which takes three bad ones. With the slots of `lead_ms` before them, and the moments of those.
    """
    kept: list[Slot] = []
    unobserved: set[int] = set()
    bad: deque[int] = deque(maxlen=3)
    good, row_ms, next_place = 0, round(needed * every_s * 1_000), 0
    for place, slot in enumerate(slots):
        verdict = judge(slot)
        if verdict is False:
            good = 0
            bad.append(slot.at)
        elif verdict and slot.decides:
            good += 1
        may_flap = len(bad) == 3 and bad[-1] - bad[0] <= 2 * HOUR_MS + row_ms
        if not (bad and good <= needed) and not (may_flap and slot.at - bad[-1] <= _FLAPPING_MS + row_ms):
            continue
        if lead_ms and next_place < place:
            began = place
            while began > next_place and slots[began - 1].at > slot.at - lead_ms:
                began -= 1
            kept += slots[began:place]
            unobserved.update(lead.at for lead in slots[began:place])
        kept.append(slot)
        next_place = place + 1
    return kept, unobserved


def _judge(trial: Trial, known: _Known) -> Callable[[Slot], bool | None]:
    """Whether a slot is good; null for one that says nothing."""
    if trial.kind == INTERNAL_ERROR:
        return lambda slot: slot.outcome != INTERNAL_ERROR
    if trial.kind == "wrong_answers":
        return lambda slot: slot.answer_ok
    if trial.kind == "down":
        return lambda slot: bool(slot.is_up)
    limit_ms = float("inf") if trial.ttft_max_s is None else trial.ttft_max_s * 1_000
    slow_at = known.slow_at
    return lambda slot: None if slot.ttft_ms is None else slot.ttft_ms <= limit_ms and slot.at not in slow_at


# the slots of one target are the same at every drag; not copied, because nobody changes them
@st.cache_resource(ttl=300, max_entries=16, show_spinner=False, hash_funcs={Target: hash})
def _known(url: str, target: Target, now: int) -> _Known:
    since = now - DAYS * DAY_MS
    failed, is_cut = _read(url, target, since, now, MOST_READ, failed=True)
    windows = _windows([slot.at for slot in failed], target.every_s, now)
    slots: list[Slot] = []
    later = now
    for began, ended in reversed(windows):  # the newest first, because the number of slots is limited
        found, is_full = _read(url, target, began, ended, MOST_READ - len(slots))
        if is_full:
            return _Known(found + slots, found[0].at if found else later, True)
        if sum(slot.is_up is True and slot.decides for slot in found[-_NEEDED:]) < _NEEDED:
            found += _after_gap(url, target, ended, later)
        slots, later = found + slots, began
    first_at = cache.first_at(url).get(target.name, now)
    return _Known(slots, later if is_cut else max(since, min(first_at, now)), is_cut)


# not copied, because nobody changes them
@st.cache_resource(ttl=300, max_entries=4, show_spinner=False, hash_funcs={Target: hash})
def _measured(url: str, target: Target, now: int) -> _Known:
    """Every slot, for rules that look at more than failures."""
    since = now - DAYS * DAY_MS
    slots, is_cut = _read(url, target, since, now, MOST_MEASURED)
    first_at = cache.first_at(url).get(target.name, now)
    began = slots[0].at if is_cut and slots else max(since, min(first_at, now))
    return _Known(slots, began, is_cut, slow_slots(slots, usual_by_hour(url, target, now)))


def _windows(failed: Iterable[int], every_s: float, now: int) -> list[tuple[int, int]]:
    """From each failure until it is certainly over and no longer flapping; overlapping windows are merged."""
    length_ms = round(_NEEDED * every_s * 1_000) + _FLAPPING_MS
    windows: list[tuple[int, int]] = []
    for at in failed:
        began = windows.pop()[0] if windows and at <= windows[-1][1] else at
        windows.append((began, min(at + length_ms, now)))
    return windows


def _after_gap(url: str, target: Target, since: int, until: int) -> list[Slot]:
    """The first slots after a gap: a failure before it was over when the target was probed again."""
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
