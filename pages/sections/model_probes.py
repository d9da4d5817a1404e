"""The newest probes of a target, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlencode

from markupsafe import Markup

from pages.components import formatting, glossary
from pages.components.states import explained, state
from pages.components.table import Cell, Column, below, moment, table
from pages.queries import cache
from pages.shell.time_range import in_link
from store import Selection
from store.outcomes import DOWN, PAUSED
from store.schema import PROBES, Probe, Target

SHOWN = 50


def last_probes(url: str, target: Target, now: int, zone: str) -> Markup:
    """The newest probes, whatever the range."""
    selection = Selection(targets=(target.name,))
    probes = [Probe(*row) for row in cache.store(url).read(PROBES, selection, newest_first=True, limit=SHOWN)]
    reasons = any(_is_later(probe) for probe in probes)
    columns: list[str | Column] = [
        "Started",
        "Profile",
        "Outcome",
        Column("Error", "left wrap"),
        glossary.term("TTFT"),
        *([glossary.term("time to first answer token", "First answer")] if reasons else []),
        glossary.term("total time", "Total"),
        glossary.term("output speed", "Speed"),
        "Tokens in / out",
        "Cost",
        "Provider",
        glossary.term("lag", "Lag"),
    ]
    changes = _fingerprint_changes(probes)
    export = f"export?{urlencode({'table': 'probes', 'only': target.name} | in_link())}"
    return table(
        columns,
        [_cells(probe, now, zone, reasons, changes.get(place)) for place, probe in enumerate(probes)],
        kind="last",
        region="Last probes",
        most_px=360,
        note=Markup('<a href="{}" target="_self">View and export all of them</a>').format(export),
    )


def _is_later(probe: Probe) -> bool:
    """Whether its answer came after something else: reasoning."""
    first, answer = probe.ttft_ms, probe.first_answer_ms
    return first is not None and answer is not None and answer > first


def _fingerprint_changes(newest_first: Sequence[Probe]) -> dict[int, str]:
    """By place, the fingerprint before a change of it. Probes without one are passed over."""
    changes, later = {}, dict[str, tuple[int, str]]()
    for place, probe in enumerate(newest_first):
        location, fingerprint = probe.location, probe.system_fingerprint
        if not fingerprint:
            continue
        if location in later and later[location][1] != fingerprint:
            changes[later[location][0]] = fingerprint
        later[location] = (place, fingerprint)
    return changes


def _cells(probe: Probe, now: int, zone: str, reasons: bool, fingerprint_before: str | None) -> list[str | Cell | None]:
    outcome = probe.outcome
    kind = "up" if outcome == "ok" else "down" if outcome in DOWN else "paused" if outcome == PAUSED else "not_counted"
    return [
        moment(probe.started_at, now, zone),
        probe.profile,
        state(kind, _outcome(probe), formatting.describe_probe(asdict(probe)))
        + _fingerprint(probe, fingerprint_before),
        probe.error or "",
        formatting.latency(probe.ttft_ms),
        *([formatting.latency(probe.first_answer_ms)] if reasons else []),
        formatting.latency(probe.total_ms),
        formatting.speed(probe.tokens_per_second),
        f"{formatting.count(probe.prompt_tokens)} / {formatting.count(probe.completion_tokens)}",
        formatting.cost(probe.cost_usd),
        probe.provider or None,
        formatting.latency(probe.lag_ms),
    ]


def _outcome(probe: Probe) -> str:
    excluded = f" ({formatting.outcome(probe.measured_outcome)}, excluded)" if probe.measured_outcome else ""
    return formatting.outcome(probe.outcome) + excluded


def _fingerprint(probe: Probe, before: str | None) -> Markup:
    if before is None:
        return Markup()
    tip = f"system_fingerprint {probe.system_fingerprint}; previous probe: {before}"
    return below(explained("new fingerprint", tip))
