"""The overview: one row a target, and the numbers above the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, glossary, notices, states, theme
from pages.components.metric import Metric
from pages.components.request_estimate import request_estimate
from pages.components.sparkline import sparkline
from pages.components.status_bars import status_bars
from pages.components.table import bold, quiet
from pages.queries import cache, series_colours
from pages.queries.error_budgets import ErrorBudget, error_budgets
from pages.queries.listed_prices import priced_row
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from pages.sections.target_state import badge
from pages.shell.time_range import in_link, zone
from routing.workload import RequestEstimate, Workload, estimate_request
from stats.incidents import TargetState
from stats.samples import Percentiles
from stats.status_bars import MOST_BARS, Bar
from stats.uptime import Uptime
from store.clock import DAY_MS, now_ms
from store.schema import Model, Probe, Target


@dataclass(frozen=True)
class Row:
    """What one target's row shows; its bars and trends are computed only where it is drawn."""

    history: TargetHistory
    model: Model | None
    newest: Probe | None
    uptime: Uptime
    ttft: Percentiles
    speed: Percentiles
    budget: ErrorBudget | None
    """Of the last 30 days; null for a target without an objective."""

    @property
    def target(self) -> Target:
        """At one location."""
        return self.history.target

    @property
    def state(self) -> TargetState:
        """What it is now."""
        return self.history.state

    @property
    def last_at(self) -> int | None:
        """When it was last probed (milliseconds UTC)."""
        return self.newest.started_at if self.newest is not None else None


@dataclass(frozen=True)
class RowFilter:
    """Which targets are shown: a part of their name, model or tags; whether only those that are not up; whether all of
    them, or the first `MOST_ROWS`.
    """

    text: str = ""
    only_troubled: bool = False
    everything: bool = False

    def matches(self, row: Row) -> bool:
        """Whether a row is wanted."""
        target = row.target
        text = f"{target.name} {target.model} {target.provider or ''} {target.tags or ''}".lower()
        return all(part in text for part in self.text.lower().split()) and not (
            self.only_troubled and row.state.status == "up"
        )


@dataclass(frozen=True)
class OverviewContent:
    """What the live part shows, ready to be sent; `is_new` when no target was ever probed."""

    is_new: bool
    rows: list[Row]
    metrics: list[Metric]
    table: Markup


MOST_ROWS = 30
"""Those that are down come first; the rest is a click, or a search, away."""
SLOT_MS = 10_000
"""How long the live part is the same for all viewers of the same range."""


def overview_content(
    url: str, window: TimeRange, row_filter: RowFilter, size: Workload | None = None
) -> OverviewContent:
    """The live part's content: made once in `SLOT_MS`, however many look at it. `size`: of the viewer's requests."""
    since = None if window.is_live else window.since
    view = (since, window.until - window.since, window.words, row_filter, size)
    return _content(url, *view, zone(), tuple(in_link().items()), cache.rounded(now_ms(), SLOT_MS))


# not copied for each viewer: nobody changes it
@st.cache_resource(ttl=60, max_entries=16, show_spinner=False, hash_funcs={RowFilter: hash, Workload: hash})
def _content(
    url: str,
    since: int | None,
    span: int,
    words: str,
    row_filter: RowFilter,
    size: Workload | None,
    zone: str,
    link: tuple[tuple[str, str], ...],
    slot: int,
) -> OverviewContent:
    now = now_ms()
    window = TimeRange(now - span, now, True, words) if since is None else TimeRange(since, since + span, False, words)
    fleet = rows(url, [target for target in cache.targets(url) if target.state != "removed"], window, now)
    if all(row.last_at is None for row in fleet):
        return OverviewContent(True, [], [], Markup())
    wanted = [row for row in fleet if row_filter.matches(row)]
    html = overview_table(url, wanted, now, zone, dict(link), size, everything=row_filter.everything)
    return OverviewContent(False, wanted, summary(url, fleet, window, now), html)


def rows(url: str, targets: list[Target], window: TimeRange, now: int) -> list[Row]:
    """A row for each target at each location, as configured: those that are down first, then by name."""
    models, budgets = cache.models(url), error_budgets(url, targets, now)
    unsorted = [
        Row(
            history,
            cache.model_of(history.target, models),
            cache.newest_of(url, history.target),
            history.uptime(),
            history.percentiles(history.target.profile, "ttft_ms"),
            history.percentiles(THROUGHPUT, "tokens_per_second"),
            budgets.get((history.target.name, history.target.location)),
        )
        for history in target_histories(url, targets, window, now, coarse=True)
    ]
    order = {"down": 0, "degraded": 1, "not_counted": 2, "stale": 3, "paused": 5, "waiting": 6, "disabled": 7}
    return sorted(unsorted, key=lambda row: order.get(row.state.status, 4))


def summary(url: str, rows: list[Row], window: TimeRange, now: int) -> list[Metric]:
    """The four numbers on top."""
    probed = [row for row in rows if row.state.status in ("up", "degraded", "down", "not_counted", "stale")]
    medians = [row.ttft.p50 for row in rows if row.ttft.p50 is not None]
    probes = sum(row.uptime.probes for row in rows)
    covered = [row.uptime.coverage for row in probed]
    coverage = formatting.percent(sum(covered) / len(covered)) if covered else formatting.DASH
    return [
        _targets_up(rows, probed, now),
        Metric(
            "Median time to first token",
            formatting.milliseconds(median(medians) if medians else None),
            "ms",
            f"over {formatting.plural(len(medians), 'target')} {window.words}",
            "TTFT",
        ),
        Metric(f"Probes {window.words}", formatting.count(probes), "", f"coverage {coverage}", "coverage"),
        _spent(url, now),
    ]


def _targets_up(rows: list[Row], probed: list[Row], now: int) -> Metric:
    """Of targets that have no recent probe it is not known whether they are down; degraded ones are up."""
    slow = sum(row.state.status == "degraded" for row in probed)
    up = sum(row.state.status == "up" for row in probed) + slow
    down, stale = ([row for row in probed if row.state.status == status] for status in ("down", "stale"))
    waiting = sum(row.state.status == "waiting" for row in rows)
    notes = []
    if down:
        longest = min(down, key=lambda row: row.state.since or 0)
        for_s = (now - (longest.state.since or longest.last_at or now)) / 1_000
        notes = [f"{len(down)} down, {longest.target.name} for {formatting.duration(for_s)}"]
    notes += [f"{slow} degraded"] if slow else []
    notes += [f"{len(stale)} not seen lately"] if stale else []
    paused = sum(row.state.status == "paused" for row in rows)
    notes += [f"{paused} paused"] if paused and not down else []
    notes += [f"{waiting} waiting for a key"] if waiting and not down else []
    note = ", ".join(notes) or "none down"
    return Metric("Targets up", str(up), f"of {len(probed)}", note, tone="down" if down else "degraded" if slow else "")


def _spent(url: str, now: int) -> Metric:
    today = cache.spending(url, now - now % DAY_MS, now - now % DAY_MS + DAY_MS)
    unpriced = sum(spending.unpriced_requests for spending in today)
    costs = cache.costs(url, cache.rounded(now, 300_000))
    so_far, projected = sum(cost.month_usd for cost in costs), sum(cost.projected_usd for cost in costs)
    note = formatting.plural(sum(spending.requests for spending in today), "request")
    note += f", {unpriced} of them of unknown cost" if unpriced else ""
    note += f"; this month {formatting.money(so_far)}, projected {formatting.money(projected)}" if projected else ""
    usd = formatting.money(sum(spending.cost_usd for spending in today))
    return Metric("Spent today (UTC)", usd, "", note, "spent")


def overview_table(
    url: str,
    rows: list[Row],
    now: int,
    zone: str,
    link: dict[str, str],
    size: Workload | None = None,
    *,
    everything: bool = True,
) -> Markup:
    """The first `MOST_ROWS`, or all. `link` is what a link to a target's page carries along."""
    if not rows:
        return Markup('<div class="u u-card q">No targets match your search.</div>')
    shown = [(row, row.history.bars(MOST_BARS)) for row in (rows if everything else rows[:MOST_ROWS])]
    widths = {bars[0].until - bars[0].since for _, bars in shown}
    each = formatting.duration(min(widths) / 1_000) + (" or more" if len(widths) > 1 else "")
    head = Markup(
        '<div class="u-row head"><div>{}</div><div>{}, each bar {}</div><div>{}</div><div>{}</div>'
        '<div>{}, {}</div><div class="last">Last probe</div></div>'
    ).format(
        glossary.term("target", "Target"),
        glossary.term("uptime", "Uptime"),
        each,
        glossary.term("TTFT", "Time to first token"),
        glossary.term("output speed", "Output speed"),
        glossary.term("context", "Context"),
        glossary.term("price", "price per M"),
    )
    say_location, numbers = len({row.target.location for row in rows}) > 1, series_colours.numbers(url)
    body = (
        _row(
            row,
            bars,
            now,
            zone,
            f" · {row.target.location}" if say_location else "",
            series_colours.variable(numbers.get(row.target.name, 0)),
            _link(row.target, link, say_location),
            cache.resting(url, row.target, now),
            _estimate(url, row, size, now),
        )
        for row, bars in shown
    )
    return Markup('<div class="u u-list">{}{}</div>').format(head, Markup().join(body))


def _row(
    row: Row,
    bars: list[Bar],
    now: int,
    zone: str,
    location: str,
    colour: str,
    link: str,
    rest: tuple[int, str] | None,
    estimate: RequestEstimate | None,
) -> Markup:
    target, state, history = row.target, row.state, row.history
    since = "" if state.since is None else f", {formatting.duration((now - state.since) / 1_000)}"
    return Markup(
        '<div class="u-row{}"><div class="wide"><a href="{}" target="_self" data-target="{}">{}{}</a><br>'
        '<code>{}</code>{}<br>{}{}</div><div class="wide">{}<div style="margin-top:5px">{} {}{}</div></div>'
        '<div>{}{}</div><div>{}{}</div><div>{}</div><div class="last" data-tip="{}">'
        '<span class="only-narrow">last probe</span>{}</div></div>'
    ).format(
        " off" if state.status == "disabled" else "",
        link,
        target.name,
        theme.swatch(colour),
        target.name,
        target.model,
        location,
        badge(state, target, row.newest, rest, since, now, zone),
        notices.countdown_mark(row.model, now),
        status_bars(bars, zone),
        bold(formatting.percent(row.uptime.share) if row.uptime.share is not None else ""),
        quiet(formatting.uptime_note(row.uptime) if state.status != "waiting" else "not probed"),
        _budget(row.budget),
        _number(row.ttft, formatting.milliseconds, "ms", with_p95=True),
        sparkline(history.median_line(target.profile, "ttft_ms"), colour),
        _number(row.speed, formatting.rate, "tok/s", with_p95=False),
        sparkline(history.median_line(THROUGHPUT, "tokens_per_second"), colour),
        _facts(row.model, estimate),
        formatting.exact(row.last_at, zone) if row.last_at is not None else "",
        formatting.ago(row.last_at, now),
    )


def _budget(budget: ErrorBudget | None) -> Markup:
    if budget is None:
        return Markup()
    words = f"30 d error budget {notices.budget_in_words(budget.left)}"
    said = states.state("down", words) if budget.left < 0 else quiet(words)
    return Markup("<br>{}").format(states.with_tip(said, glossary.DEFINITIONS["error budget"]))


def _link(target: Target, link: dict[str, str], say_location: bool) -> str:
    location = {"location": target.location} if say_location else {}
    return f"model?{urlencode({'target': target.name} | location | link)}"


def _number(value: Percentiles, write: Callable[[float | None], str], unit: str, *, with_p95: bool) -> Markup:
    if value.p50 is None:
        return quiet(formatting.DASH)
    note = f" p95 {write(value.p95)}" if with_p95 and not value.is_small else f" · {formatting.probes(value.count)}"
    return Markup('<span class="big">{}</span> {}').format(write(value.p50), quiet(f"{unit}{note}"))


def _estimate(url: str, row: Row, size: Workload | None, now: int) -> RequestEstimate | None:
    if size is None:
        return None
    return estimate_request(size, row.ttft.p50, row.speed.p50, priced_row(url, row.target, row.model), now)


def _facts(model: Model | None, estimate: RequestEstimate | None) -> Markup:
    if model is None:
        return request_estimate(estimate) or quiet(formatting.DASH)
    prices = {model.usd_per_million_input, model.usd_per_million_output}
    price = f"price {formatting.UNKNOWN}" if None in prices else formatting.prices(model)
    facts = (formatting.context(model.context_tokens), quiet("free" if prices == {"0"} else price))
    return Markup("<br>").join(part for part in (*facts, request_estimate(estimate)) if part)
