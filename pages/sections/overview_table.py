"""The overview's rows: what is asked of the statistics for each target, and how a row is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from statistics import median
from urllib.parse import urlencode

import streamlit as st

from pages.components import formatting, glossary, theme
from pages.components.metric import Metric
from pages.queries import cache, series_colours
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from pages.sections.model_header import RESTING_WORDS, last_seen
from pages.shell.time_range import in_link, zone
from stats.incidents import TargetState
from stats.samples import Percentiles
from stats.status_bars import MOST_BARS, Bar
from stats.uptime import Uptime
from store.clock import now_ms
from store.schema import Model, Probe, Target


@dataclass(frozen=True)
class Trends:
    """How a target did over the window: its strip, and its medians."""

    bars: list[Bar]
    ttft_line: list[float | None]
    speed_line: list[float | None]


@dataclass(frozen=True)
class Row:
    """What one target's row says."""

    target: Target
    model: Model | None
    state: TargetState
    uptime: Uptime
    ttft: Percentiles
    speed: Percentiles
    last_at: int | None
    newest: Probe | None
    trends: Callable[[], Trends]
    """Asked of the rows that are drawn alone."""


@dataclass(frozen=True)
class RowFilter:
    """Which targets are looked for: a part of their name, model or tags; whether only those that are not up; whether
    all of them, or the first `MOST_ROWS`.
    """

    text: str = ""
    only_troubled: bool = False
    everything: bool = False

    def fits(self, row: Row) -> bool:
        """Whether a row is wanted."""
        target = row.target
        said = f"{target.name} {target.model} {target.provider or ''} {target.tags or ''}".lower()
        return all(part in said for part in self.text.lower().split()) and not (
            self.only_troubled and row.state.status == "up"
        )


@dataclass(frozen=True)
class OverviewContent:
    """What the live part shows, ready to be sent; `is_new` when no target was ever probed."""

    is_new: bool
    rows: list[Row]
    metrics: list[Metric]
    table: str


MOST_ROWS = 30
"""Those that are down come first; the rest is a click, or a search, away."""
SLOT_MS = 10_000
"""So long the live part is the same for all who look at the same range."""


def shown(url: str, window: TimeRange, wish: RowFilter) -> OverviewContent:
    """The live part's content: made once in `SLOT_MS`, however many look at it."""
    since = None if window.is_live else window.since
    asked = (since, window.until - window.since, window.words, wish.text, wish.only_troubled, wish.everything)
    return _shown(url, *asked, zone(), tuple(in_link().items()), cache.rounded(now_ms(), SLOT_MS))


@st.cache_resource(ttl=60, max_entries=16, show_spinner=False)  # not copied for each viewer: nobody changes it
def _shown(
    url: str,
    since: int | None,
    span: int,
    said: str,
    text: str,
    only_troubled: bool,
    everything: bool,
    zone: str,
    link: tuple[tuple[str, str], ...],
    slot: int,
) -> OverviewContent:
    now = now_ms()
    window = TimeRange(now - span, now, True, said) if since is None else TimeRange(since, since + span, False, said)
    found = rows(url, [target for target in cache.targets(url) if target.state != "removed"], window, now)
    if all(row.last_at is None for row in found):
        return OverviewContent(True, [], [], "")
    wish = RowFilter(text, only_troubled)
    wanted = [row for row in found if wish.fits(row)]
    rows_html = table(url, wanted, now, zone, dict(link), everything=everything)
    return OverviewContent(False, wanted, summary(url, wanted, window, now), rows_html)


def rows(url: str, targets: list[Target], window: TimeRange, now: int) -> list[Row]:
    """A row for each target at each location, as configured: those that are down first, then by name."""
    models = cache.models(url)
    found = []
    for history in target_histories(url, targets, window, now, coarse=True):
        target, newest = history.target, cache.newest_of(url, history.target)
        found.append(
            Row(
                target=target,
                model=cache.model_of(target, models),
                state=history.state,
                uptime=history.uptime(),
                ttft=history.percentiles(target.profile, "ttft_ms"),
                speed=history.percentiles(THROUGHPUT, "tokens_per_second"),
                last_at=newest.started_at if newest is not None else None,
                newest=newest,
                trends=partial(_trends, history),
            )
        )
    order = {"down": 0, "not_counted": 1, "stale": 2, "waiting": 4, "disabled": 5}
    return sorted(found, key=lambda row: order.get(row.state.status, 3))


def _trends(history: TargetHistory) -> Trends:
    return Trends(
        history.bars(MOST_BARS),
        history.median_line(history.target.profile, "ttft_ms"),
        history.median_line(THROUGHPUT, "tokens_per_second"),
    )


def _troubles(found: list[Row], now: int) -> str:
    """What is not up, in words. Of targets that nobody looks at any more it is not known whether they are down."""
    down, stale, waiting = (
        [row for row in found if row.state.status == status] for status in ("down", "stale", "waiting")
    )
    said = []
    if down:
        longest = min(down, key=lambda row: row.state.since or 0)
        for_s = (now - (longest.state.since or longest.last_at or now)) / 1_000
        said = [f"{len(down)} down, {longest.target.name} for {formatting.duration(for_s)}"]
    said += [f"{len(stale)} not seen lately"] if stale else []
    said += [f"{len(waiting)} waiting for a key"] if waiting and not down else []
    return ", ".join(said) or "none is down"


def summary(url: str, found: list[Row], window: TimeRange, now: int) -> list[Metric]:
    """The four numbers on top."""
    judged = [row for row in found if row.state.status in ("up", "down", "not_counted", "stale")]
    up = [row for row in judged if row.state.status == "up"]
    down = [row for row in judged if row.state.status == "down"]
    medians = [row.ttft.p50 for row in found if row.ttft.p50 is not None]
    middle = median(medians) if medians else None
    probes = sum(row.uptime.probes for row in found)
    day = now - now % 86_400_000
    spent = cache.spending(url, day, day + 86_400_000)
    requests = sum(spending.requests for spending in spent)
    usd = sum(spending.cost_usd for spending in spent)
    unpriced = sum(spending.unpriced_requests for spending in spent)
    unknown = f", {unpriced} of them of unknown cost" if unpriced else ""
    covered = [row.uptime.coverage for row in judged]
    coverage = formatting.percent(sum(covered) / len(covered)) if covered else formatting.DASH
    return [
        Metric("Targets up", str(len(up)), f"of {len(judged)}", _troubles(found, now), tone="down" if down else ""),
        Metric(
            "Median time to first token",
            formatting.milliseconds(middle),
            "ms",
            f"over {formatting.plural(len(medians), 'target')} {window.words}",
            "TTFT",
        ),
        Metric(
            f"Probes {window.words}", formatting.count(probes), "", f"{coverage} of the time is covered", "coverage"
        ),
        Metric(
            "Spent today (UTC)",
            formatting.money(usd),
            "",
            f"{formatting.count(requests)} requests{unknown}{_month(url, now)}",
            "spent",
        ),
    ]


def _month(url: str, now: int) -> str:
    """This month's cost so far, and what it will come to."""
    found = cache.costs(url, cache.rounded(now, 300_000))
    so_far, in_all = sum(cost.month_usd for cost in found), sum(cost.projected_usd for cost in found)
    return f"; this month {formatting.money(so_far)}, at this pace {formatting.money(in_all)}" if in_all else ""


def table(url: str, found: list[Row], now: int, zone: str, link: dict[str, str], *, everything: bool = True) -> str:
    """The first `MOST_ROWS` as HTML, or all. `link` is what a link to a target's page carries along."""
    if not found:
        return '<div class="u u-card q">No target is like that. Clear the search above.</div>'
    shown = [(row, row.trends()) for row in (found if everything else found[:MOST_ROWS])]
    widths = {trends.bars[0].until - trends.bars[0].since for _, trends in shown}
    each = (
        formatting.duration(min(widths) / 1_000)
        if len(widths) == 1
        else f"{formatting.duration(min(widths) / 1_000)} or more"
    )
    head = (
        f'<div class="u-row head"><div>{glossary.term("target", "Target")}</div>'
        f"<div>{glossary.term('uptime', 'Uptime')}, each bar {each}</div>"
        f"<div>{glossary.term('TTFT', 'Time to first token')}</div>"
        f"<div>{glossary.term('output speed', 'Output speed')}</div>"
        f"<div>{glossary.term('context', 'Context')}, {glossary.term('price', 'price per M')}</div>"
        '<div class="last">Last probe</div></div>'
    )
    places, numbers = len({row.target.location for row in found}), series_colours.numbers(url)
    body = "".join(
        _html(
            row,
            trends,
            now,
            zone,
            places > 1,
            numbers.get(row.target.name, 0),
            link,
            cache.resting(url, row.target, now),
        )
        for row, trends in shown
    )
    return f'<div class="u u-list">{head}{body}</div>'


def _html(
    row: Row,
    trends: Trends,
    now: int,
    zone: str,
    say_location: bool,
    number: int,
    carried: dict[str, str],
    rest: tuple[int, str] | None,
) -> str:
    target, colour = row.target, series_colours.variable(number)
    where = f" · {escape(target.location)}" if say_location else ""
    link = escape(f"model?{urlencode({'target': target.name} | carried)}", quote=True)
    last = formatting.exact(row.last_at, zone) if row.last_at is not None else ""
    return (
        f'<div class="u-row{" off" if row.state.status == "disabled" else ""}">'
        f'<div class="wide"><a href="{link}" target="_self" data-target="{escape(target.name, quote=True)}">'
        f"{theme.swatch(colour)}{escape(target.name)}</a><br><code>{escape(target.model)}</code>{where}<br>"
        f"{_state(row, now, zone, rest)}</div>"
        f'<div class="wide">{theme.strip(trends.bars, zone)}<div style="margin-top:5px"><b>'
        f'{formatting.percent(row.uptime.share) if row.uptime.share is not None else ""}</b> <span class="q">'
        f"{formatting.uptime_note(row.uptime) if row.state.status != 'waiting' else 'not probed'}</span></div></div>"
        f"<div>{_number(row.ttft, formatting.milliseconds, 'ms', True)}{theme.spark(trends.ttft_line, colour)}</div>"
        f"<div>{_number(row.speed, formatting.rate, 'tok/s', False)}{theme.spark(trends.speed_line, colour)}</div>"
        f"<div>{_facts(row.model)}</div>"
        f'<div class="last" data-tip="{last}"><span class="only-narrow">last probe</span>'
        f"{formatting.ago(row.last_at, now)}</div></div>"
    )


def _state(row: Row, now: int, zone: str, rest: tuple[int, str] | None) -> str:
    state = row.state
    if rest is not None:
        until, why = rest
        said = f'<span data-tip="{escape(why, quote=True)}">{{}}</span>'
        text = f"resting until {formatting.until(until, zone, now)}"
        if state.status in RESTING_WORDS:
            return said.format(theme.state("not_counted", text))
        return _state(row, now, zone, None) + said.format(f'<span class="q">, {text}</span>')
    if state.status == "waiting":
        return theme.state("waiting", formatting.waiting_for_key(row.target.api_key_env))
    if state.status == "never":
        return theme.state("never", "not probed in this window")
    if state.status == "not_counted":
        return theme.state("not_counted", formatting.outcome(state.outcome), last_seen(state, row.newest))
    if state.status == "stale":
        return theme.state("stale", f"no probe since {formatting.clock(state.since or now, zone, now)}")
    since = "" if state.since is None else f", {formatting.duration((now - state.since) / 1_000)}"
    return theme.state(state.status, f"{state.status}{since}", last_seen(state, row.newest))


def _number(value: Percentiles, write: object, unit: str, with_p95: bool) -> str:
    assert callable(write)
    if value.p50 is None:
        return f'<span class="q">{formatting.DASH}</span>'
    p95 = f" p95 {write(value.p95)}" if with_p95 and not value.is_small else f" · {formatting.probes(value.count)}"
    return f'<span class="big">{write(value.p50)}</span> <span class="q">{unit}{p95}</span>'


def _facts(model: Model | None) -> str:
    if model is None:
        return f'<span class="q">{formatting.DASH}</span>'
    prices = {model.usd_per_million_input, model.usd_per_million_output}
    if prices == {"0"}:
        price = "free"
    elif None in prices:
        price = "price not known"
    else:
        price = f"{formatting.price(model.usd_per_million_input)} / {formatting.price(model.usd_per_million_output)}"
    return f'{formatting.context(model.context_tokens)}<br><span class="q">{price}</span>'
