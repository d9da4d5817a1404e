"""The overview's live part, computed once for all viewers of the same view: the sentence, the metrics and the rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

from pages.components import formatting
from pages.components.metric import Metric
from pages.components.states import WORDS
from pages.queries import cache
from pages.queries.overview_rows import Layout, Row, RowFilter, filter_rows, rows, sort_rows
from pages.queries.situation import observations
from pages.queries.time_range import TimeRange
from pages.sections.overview_locations import locations_table
from pages.sections.overview_sentence import sentence_line
from pages.sections.overview_table import count_lines, most_rows, overview_table
from pages.shell.time_range import in_link, zone
from routing.workload import Workload
from stats.situation import describe_situation
from store.clock import DAY_MS, now_ms

SLOT_MS = 10_000
"""How long the live part is shared by all viewers of a range."""
NO_MATCH = Markup('<div class="u u-card q">No targets match your search.</div>')
PROBED = ("up", "degraded", "down", "not_counted", "stale")


@dataclass(frozen=True)
class OverviewContent:
    """What the live part shows, ready to be sent; `is_new` when no target was ever probed. `lines`: how many the table
    has when none is left out.
    """

    is_new: bool
    rows: list[Row]
    lines: int
    metrics: list[Metric]
    table: Markup


@dataclass(frozen=True)
class _Fleet:
    """Every target in a range that ends at `now` (milliseconds UTC) or earlier."""

    rows: list[Row]
    window: TimeRange
    now: int

    @property
    def is_new(self) -> bool:
        return all(row.last_at is None for row in self.rows)


def overview_content(
    url: str, window: TimeRange, row_filter: RowFilter, layout: Layout, size: Workload | None
) -> OverviewContent:
    """The live part's content, computed once per `SLOT_MS`. `size`: of the viewer's requests."""
    return _content(url, *_view(window), row_filter, layout, size, zone(), tuple(in_link().items()))


def first_sentence(url: str, window: TimeRange) -> Markup:
    """What is wrong now, and where, whatever the range; computed as often as the rest."""
    return _sentence(url, *_view(window), tuple(in_link().items()))


def _view(window: TimeRange) -> tuple[int | None, int, str, int]:
    since = None if window.is_live else window.since
    return since, window.until - window.since, window.words, cache.rounded(now_ms(), SLOT_MS)


# the three results are shared and not copied: nobody changes them
@st.cache_resource(ttl=60, max_entries=8, show_spinner=False)
def _fleet(url: str, since: int | None, span: int, words: str, slot: int) -> _Fleet:
    now = now_ms()
    window = TimeRange(now - span, now, True, words) if since is None else TimeRange(since, since + span, False, words)
    return _Fleet(rows(url, [one for one in cache.targets(url) if one.state != "removed"], window, now), window, now)


@st.cache_resource(ttl=60, max_entries=8, show_spinner=False)
def _sentence(
    url: str, since: int | None, span: int, words: str, slot: int, link: tuple[tuple[str, str], ...]
) -> Markup:
    fleet = _fleet(url, since, span, words, slot)
    if fleet.is_new:
        return Markup()
    parts = describe_situation(observations(url, [row.history for row in fleet.rows], fleet.now))
    return sentence_line(parts, dict(link))


@st.cache_resource(
    ttl=60, max_entries=16, show_spinner=False, hash_funcs={RowFilter: hash, Layout: hash, Workload: hash}
)
def _content(
    url: str,
    since: int | None,
    span: int,
    words: str,
    slot: int,
    row_filter: RowFilter,
    layout: Layout,
    size: Workload | None,
    zone: str,
    link: tuple[tuple[str, str], ...],
) -> OverviewContent:
    fleet = _fleet(url, since, span, words, slot)
    if fleet.is_new:
        return OverviewContent(True, [], 0, [], Markup())
    now, carried = fleet.now, dict(link)
    wanted = sort_rows(filter_rows(fleet.rows, row_filter, by_location=layout.by_location), layout, size, now)
    lines = count_lines([row.target for row in wanted], layout)
    if not wanted:
        html = NO_MATCH
    elif layout.by_location:
        most = lines if row_filter.everything else most_rows(layout)
        html = locations_table(url, wanted, carried, most)
    else:
        html = overview_table(url, wanted, now, zone, carried, size, layout, everything=row_filter.everything)
    return OverviewContent(False, wanted, lines, summary(url, fleet.rows, fleet.window, now, carried), html)


def summary(url: str, rows: list[Row], window: TimeRange, now: int, link: dict[str, str]) -> list[Metric]:
    """The four metrics at the top."""
    probed = [row for row in rows if row.state.status in PROBED]
    medians = [row.ttft.p50 for row in rows if row.ttft.p50 is not None]
    measured = {row.target.name for row in rows if row.ttft.p50 is not None}
    probes = sum(row.uptime.probes for row in rows)
    covered = [row.uptime.coverage for row in probed]
    coverage = formatting.percent(sum(covered) / len(covered)) if covered else formatting.DASH
    return [
        _targets_up(rows, probed, now, link),
        Metric(
            "Median time to first token",
            formatting.milliseconds(median(medians) if medians else None),
            "ms",
            f"over {formatting.plural(len(measured), 'target')} {window.words}",
            "TTFT",
        ),
        Metric(f"Probes {window.words}", formatting.count(probes), "", f"coverage {coverage}", "coverage"),
        _spent(url, now),
    ]


def _targets_up(rows: list[Row], probed: list[Row], now: int, link: dict[str, str]) -> Metric:
    """Degraded targets are up; of targets without a recent probe nothing is known."""

    def count(status: str, words: str) -> Markup:
        number = sum(row.state.status == status for row in rows)
        return filter_link(f"{number} {words}", status, link) if number else Markup()

    down = [row for row in probed if row.state.status == "down"]
    slow = sum(row.state.status == "degraded" for row in probed)
    up = sum(row.state.status == "up" for row in probed) + slow
    notes = []
    if down:
        longest = min(down, key=lambda row: row.state.since or 0)
        for_s = (now - (longest.state.since or longest.last_at or now)) / 1_000
        notes = [Markup("{}, {} for {}").format(count("down", "down"), longest.target.name, formatting.duration(for_s))]
    notes += [count("degraded", "degraded"), count("stale", "not seen lately")]
    notes += [] if down else [count("paused", "paused"), count("waiting", "waiting for a key")]
    note = Markup(", ").join(note for note in notes if note) or "none down"
    has_several = len({row.target.name for row in probed}) < len(probed)
    of = f"of {len(probed)}{', counted at each location' if has_several else ''}"
    return Metric("Targets up", str(up), of, note, tone="down" if down else "degraded" if slow else "")


def filter_link(text: str, status: str, link: dict[str, str]) -> Markup:
    """A link to the overview with only the targets in a state; `link` is added to its query."""
    address = f"./?{urlencode({'show': WORDS[status]} | link)}"
    return Markup('<a href="{}" target="_self">{}</a>').format(address, text)


def _spent(url: str, now: int) -> Metric:
    today = cache.spending(url, now - now % DAY_MS, now - now % DAY_MS + DAY_MS)
    unpriced = sum(spending.unpriced_requests for spending in today)
    costs = cache.costs(url, cache.rounded(now, 300_000))
    so_far, projected = sum(cost.month_usd for cost in costs), sum(cost.projected_usd for cost in costs)
    note = formatting.plural(sum(spending.requests for spending in today), "request")
    note += f", {formatting.count(unpriced)} of them at unknown cost" if unpriced else ""
    note += f"; this month {formatting.money(so_far)}, projected {formatting.money(projected)}" if projected else ""
    usd = formatting.money(sum(spending.cost_usd for spending in today))
    return Metric("Spent today (UTC)", usd, "", note, "spent")
