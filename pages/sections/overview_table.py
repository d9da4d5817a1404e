"""The overview's rows, full or compact, in groups by tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from pages.components import formatting, glossary, notices, states, theme
from pages.components.request_estimate import request_estimate
from pages.components.sparkline import sparkline
from pages.components.status_bars import status_bars
from pages.components.table import bold, quiet
from pages.queries import cache, series_colours
from pages.queries.overview_rows import Group, Layout, Order, Row, group_rows
from pages.queries.target_history import THROUGHPUT, fleet_bars
from pages.sections.target_state import badge, why_key
from routing.workload import RequestEstimate, Workload
from stats.samples import Percentiles
from stats.status_bars import MOST_BARS, Bar
from store.schema import Model, Target

MOST_ROWS, MOST_COMPACT = 30, 100
"""Rows that are drawn before the viewer asks for all; those that are down come first."""


@dataclass(frozen=True)
class Drawing:
    """What all rows share: the moment (milliseconds UTC), the viewer's zone and workload, and the query that links to a
    target's page get.
    """

    url: str
    now: int
    zone: str
    link: dict[str, str]
    size: Workload | None
    layout: Layout
    says_location: bool
    colours: dict[str, int]


def most_rows(layout: Layout) -> int:
    """How many rows are drawn unless the viewer asks for all."""
    return MOST_COMPACT if layout.is_compact or layout.by_location else MOST_ROWS


def count_lines(targets: Sequence[Target], layout: Layout) -> int:
    """How many lines these targets at their locations take."""
    return len({target.name for target in targets} if layout.by_location else targets)


def overview_table(
    url: str,
    rows: list[Row],
    now: int,
    zone: str,
    link: dict[str, str],
    size: Workload | None = None,
    layout: Layout | None = None,
    *,
    everything: bool = True,
) -> Markup:
    """The first `most_rows`, or all. `link` is added to the query of links to a target's page."""
    layout = layout or Layout()
    says_location = len({row.target.location for row in rows}) > 1
    drawing = Drawing(url, now, zone, link, size, layout, says_location, series_colours.numbers(url))
    left = len(rows) if everything else most_rows(layout)
    groups = []
    for group in group_rows(rows, by_tag=layout.by_tag):
        shown = group.rows if everything else group.rows[: max(0, left)]
        left -= len(shown)
        groups.append((group, [(row, row.history.bars(MOST_BARS)) for row in shown]))
    widths = {bars[0].until - bars[0].since for _, shown in groups for _, bars in shown}
    each = formatting.duration(min(widths) / 1_000) + (" or more" if len(widths) > 1 else "")
    body = Markup().join(part for group, shown in groups if shown for part in _group(drawing, group, shown))
    return Markup('<div class="u u-list{}" role="table" aria-label="Targets">{}{}</div>').format(
        " compact" if layout.is_compact else "", _head(each, layout), body
    )


def _head(each: str, layout: Layout) -> Markup:
    context = Markup() if layout.is_compact else glossary.term("context", "Context") + ", "
    cells = (
        _sort_head(layout, "name", "Target", "target"),
        *([_sort_head(layout, "state", "State", "", _STATE_ORDER)] if layout.is_compact else []),
        _sort_head(layout, "uptime", "Uptime", "uptime", after=f", each bar {each}"),
        *([_column_head(Markup('<span class="u-hidden">Uptime in numbers</span>'))] if layout.is_compact else []),
        _sort_head(layout, "p95", "TTFT, p95" if layout.is_compact else "Time to first token", "TTFT"),
        _sort_head(layout, "speed", "Speed" if layout.is_compact else "Output speed", "output speed"),
        _sort_head(layout, "price", "Price per M" if layout.is_compact else "price per M", "price", before=context),
        _column_head("Last probe", Markup(' class="last"')),
    )
    return Markup('<div class="u-row head" role="row">{}</div>').format(Markup().join(cells))


def _sort_head(
    layout: Layout, order: Order, text: str, term: str, tip: str = "", *, before: str = "", after: str = ""
) -> Markup:
    """The head of a column that rows can be sorted by: the glossary's `term`, or with a `tip` of its own."""
    direction = "none"
    if layout.order == order:
        direction = "ascending" if (order in _ASCENDING) != layout.is_reversed else "descending"
    button = states.sortable(order, text, tip or glossary.DEFINITIONS[term], direction)
    return _column_head(Markup("{}{}{}").format(before, button, after), Markup(' aria-sort="{}"').format(direction))


def _column_head(content: str, attributes: str = "") -> Markup:
    """`attributes`: HTML that begins with a space."""
    return Markup('<div role="columnheader"{}>{}</div>').format(attributes, content)


_ASCENDING: tuple[Order, ...] = ("name", "uptime", "speed")
"""Orders that begin with the lowest value, because that one needs attention."""
_STATE_ORDER = "The state now. The worst comes first."


def _group(drawing: Drawing, group: Group, shown: Sequence[tuple[Row, list[Bar]]]) -> Iterator[Markup]:
    if group.name is not None:
        yield _group_head(drawing, group.name, group)
    draw = _compact_row if drawing.layout.is_compact else _row
    yield from (draw(drawing, row, bars) for row, bars in shown)


def _group_head(drawing: Drawing, name: str, group: Group) -> Markup:
    """A group's name, its worst state and how many targets have it, and one status bar for all of them."""
    worst, count = group.worst, len({row.target.name for row in group.rows})
    alike = len({row.target.name for row in group.rows if row.state.status == worst})
    words = states.WORDS[worst] if alike == count else f"{alike} of {count} {states.WORDS[worst]}"
    bars = status_bars(fleet_bars([row.history for row in group.rows], MOST_BARS), drawing.zone)
    return Markup(
        '<div class="u-group" role="row"><div role="rowheader"><b role="heading" aria-level="2">{}</b> {}</div>'
        '<div role="cell">{}</div><div role="cell">{}</div></div>'
    ).format(name, quiet(formatting.plural(count, "target")), states.state(worst, words), bars)


def _row(drawing: Drawing, row: Row, bars: list[Bar]) -> Markup:
    target, history = row.target, row.history
    colour = series_colours.variable(drawing.colours.get(target.name, 0))
    return Markup(
        '<div class="u-row{}" role="row"><div class="wide" role="rowheader">{}<br><code>{}</code>{}<br>{}{}</div>'
        '<div class="wide" role="cell">{}<div style="margin-top:5px">{} {}{}</div></div>'
        '<div role="cell">{}{}</div><div role="cell">{}{}</div><div role="cell">{}</div>{}</div>'
    ).format(
        _off(row),
        _name(drawing, row, colour),
        target.model,
        f" · {target.location}" if drawing.says_location else "",
        _badge(drawing, row),
        notices.countdown_mark(row.model, drawing.now),
        status_bars(bars, drawing.zone),
        _uptime(row),
        quiet(formatting.uptime_note(row.uptime) if row.state.status != "waiting" else "not probed"),
        _budget(row),
        _number(row.ttft, formatting.milliseconds, "ms", with_p95=True),
        sparkline(history.median_line(target.profile, "ttft_ms"), colour),
        _number(row.speed, formatting.rate, "tok/s", with_p95=False),
        sparkline(history.median_line(THROUGHPUT, "tokens_per_second"), colour),
        _facts(row.model, row.estimate(drawing.size, drawing.now)),
        _last(drawing, row, Markup('<span class="only-narrow">last probe</span>')),
    )


def _compact_row(drawing: Drawing, row: Row, bars: list[Bar]) -> Markup:
    """One line; what does not fit is in the full row and on the target's page."""
    colour = series_colours.variable(drawing.colours.get(row.target.name, 0))
    location = quiet(f" · {row.target.location}") if drawing.says_location else ""
    estimate = row.estimate(drawing.size, drawing.now)
    p95 = f" {formatting.milliseconds(row.ttft.p95)}" if row.ttft.p95 is not None and not row.ttft.is_small else ""
    return Markup(
        '<div class="u-row{}" role="row"><div class="name" role="rowheader">{}{}</div><div role="cell">{}</div>'
        '<div class="bars" role="cell">{}</div><div role="cell">{}</div><div role="cell">{}{}</div>'
        '<div role="cell">{}</div><div role="cell">{}</div>{}</div>'
    ).format(
        _off(row),
        _name(drawing, row, colour),
        location,
        _badge(drawing, row),
        status_bars(bars, drawing.zone),
        _uptime(row) or quiet(formatting.DASH),
        bold(formatting.milliseconds(row.ttft.p50)) if row.ttft.p50 is not None else quiet(formatting.DASH),
        quiet(p95),
        bold(formatting.rate(row.speed.p50)) if row.speed.p50 is not None else quiet(formatting.DASH),
        quiet(_price(row.model)) if estimate is None else request_estimate(estimate),
        _last(drawing, row),
    )


def _off(row: Row) -> str:
    return " off" if row.state.status == "disabled" else ""


def _name(drawing: Drawing, row: Row, colour: str) -> Markup:
    name = row.target.name
    link = _link(row.target, drawing.link, drawing.says_location)
    return Markup('<a href="{}" target="_self" data-target="{}" title="{}">{}{}</a>').format(
        link, name, name, theme.swatch(colour), name
    )


def _badge(drawing: Drawing, row: Row) -> Markup:
    state, now = row.state, drawing.now
    since = "" if state.since is None else f", {formatting.duration((now - state.since) / 1_000)}"
    rest = cache.resting(drawing.url, row.target, now)
    return badge(state, row.target, row.newest, rest, since, now, drawing.zone)


def _uptime(row: Row) -> Markup:
    if row.uptime.share is None:
        return Markup()
    number = bold(formatting.percent(row.uptime.share))
    return states.with_tip(number, formatting.uptime_note(row.uptime), why_key(row.target, "uptime"))


def _last(drawing: Drawing, row: Row, label: Markup | None = None) -> Markup:
    when = formatting.exact(row.last_at, drawing.zone) if row.last_at is not None else ""
    ago = formatting.ago(row.last_at, drawing.now)
    return Markup('<div class="last" role="cell" data-tip="{}">{}{}</div>').format(when, label or "", ago)


def _budget(row: Row) -> Markup:
    budget = row.budget
    if budget is None:
        return Markup()
    words = f"30 d error budget {notices.budget_in_words(budget.left)}"
    said = states.state("down", words) if budget.left < 0 else quiet(words)
    return Markup("<br>{}").format(states.with_tip(said, glossary.DEFINITIONS["error budget"]))


def _link(target: Target, link: dict[str, str], says_location: bool) -> str:
    location = {"location": target.location} if says_location else {}
    return f"model?{urlencode({'target': target.name} | location | link)}"


def _number(value: Percentiles, write: Callable[[float | None], str], unit: str, *, with_p95: bool) -> Markup:
    if value.p50 is None:
        return quiet(formatting.DASH)
    note = f" p95 {write(value.p95)}" if with_p95 and not value.is_small else f" · {formatting.probes(value.count)}"
    return Markup('<span class="big">{}</span> {}').format(write(value.p50), quiet(f"{unit}{note}"))


def _facts(model: Model | None, estimate: RequestEstimate | None) -> Markup:
    if model is None:
        return request_estimate(estimate) or quiet(formatting.DASH)
    facts = (formatting.context(model.context_tokens), quiet(_price(model)))
    return Markup("<br>").join(part for part in (*facts, request_estimate(estimate)) if part)


def _price(model: Model | None) -> str:
    if model is None:
        return formatting.DASH
    prices = {model.usd_per_million_input, model.usd_per_million_output}
    if None in prices:
        return f"price {formatting.UNKNOWN}"
    return "free" if prices == {"0"} else formatting.prices(model)
