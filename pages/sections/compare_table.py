"""The comparison's table: one column per target, one row per fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from markupsafe import Markup

from pages.components import formatting, glossary, theme
from pages.components.request_estimate import describe_workload, estimate_seconds, estimate_usd
from pages.components.states import with_tip
from pages.components.status_bars import status_bars
from pages.components.table import below, bold, table
from pages.queries import series_colours
from pages.queries.target_history import THROUGHPUT, TargetHistory
from pages.sections.compare_targets import REQUESTS, Column, Share, answers_of, success_of
from pages.shell import time_range
from routing.workload import Workload
from store.schema import Model


def comparison(columns: list[Column], size: Workload) -> Markup:
    """The table; rows of measurements only if a target has some."""
    rows: list[list[str | None]] = []
    first = next((column for column in columns if column.history is not None), None)
    if first is not None:
        for label, write in _MEASURED:
            cells = [_measured(column, first, write) for column in columns]
            if any(cells) or label not in (FIRST_ANSWER, GAPS):
                rows.append([_label(label), *cells])
    if any(column.history is not None for column in columns):
        times = [estimate_seconds(column.estimate) for column in columns]
        rows.append([f"Duration of one request, {describe_workload(size)}", *times])
    costs = [_cost(column, columns[0]) for column in columns]
    rows.append([f"Cost of {REQUESTS:,d} requests, {describe_workload(size)}", *costs])
    for label, describe in _CATALOG:
        facts = [_fact(column, describe) for column in columns]
        rows.append([label, *(fact or None for fact in facts)])
    heads = ["", *(_head(column) for column in columns)]
    return Markup('<div class="u-card">{}</div>').format(table(heads, rows, kind="compare", note=_note(columns, first)))


def _note(columns: list[Column], first: Column | None) -> str:
    name = (first or columns[0]).name
    return (
        f"Green and red: the difference from {name}, shown where its 95% interval excludes zero. Bold: the best value "
        "of a row, if it differs from every other by that rule."
    )


def _label(label: str) -> str:
    term = _TERMS.get(label)
    return glossary.term(term, label) if term else label


def _head(column: Column) -> Markup:
    if column.target is not None:
        swatch = theme.swatch(series_colours.variable(column.number or 0))
        place = Markup("<br>from {}").format(column.location) if column.location else ""
        return Markup("{}<b>{}</b><br><code>{}</code>{}").format(swatch, column.name, column.target.model, place)
    name = column.model.name if column.model is not None else None
    return Markup("<b>{}</b><br>not probed").format(name or column.name)


Write = Callable[[Column, TargetHistory, Column], str]
"""Writes a cell; the last argument is the column that the others are compared with."""


def _measured(column: Column, first: Column, write: Write) -> str | None:
    return (write(column, column.history, first) or None) if column.history is not None else None


def _emphasized(column: Column, row: str, text: str) -> Markup:
    return bold(text) if row in column.best else Markup.escape(text)


def _delta(by: float, text: str, *, is_better: bool, tip: str) -> Markup:
    """A difference from the first column, on its own line."""
    tone, sign = "better" if is_better else "worse", "+" if by > 0 else "−"
    return Markup('<span class="more">{}</span>').format(
        with_tip(Markup('<span class="u-delta {}">{}{}</span>').format(tone, sign, text), tip)
    )


def _uptime(column: Column, history: TargetHistory, first: Column) -> str:
    uptime = history.uptime()
    number = _emphasized(column, "uptime", formatting.percent(uptime.share))
    than = first.history.uptime() if first.history is not None and column is not first else None
    mine = (uptime.share, uptime.interval) if uptime.share is not None and uptime.interval is not None else None
    other = (than.share, than.interval) if than and than.share is not None and than.interval is not None else None
    return number + _share_delta(mine, other, first) + below(formatting.uptime_note(uptime))


def _success(column: Column, history: TargetHistory, first: Column) -> str:
    rate, than = history.success_rate(), success_of(first.history) if column is not first else None
    number = _emphasized(column, "success", formatting.percent(rate.share))
    delta = _share_delta(success_of(history), than, first)
    return number + delta + below(formatting.share_of(rate.ok, rate.ok + rate.failed))


def _answers(column: Column, history: TargetHistory, first: Column) -> str:
    than = answers_of(first.history) if column is not first else None
    number = _emphasized(column, "answers", formatting.percent(history.answers().share))
    return number + _share_delta(answers_of(history), than, first)


def _share_delta(share: Share | None, than: Share | None, first: Column) -> Markup:
    """The difference in percentage points; empty if the two intervals overlap."""
    if share is None or than is None or (share[1][0] <= than[1][1] and than[1][0] <= share[1][1]):
        return Markup()
    by = share[0] - than[0]
    tip = f"{formatting.bounds(share[1])}% here and {formatting.bounds(than[1])}% of {first.name}: 95% intervals"
    points = abs(by) * 100
    return _delta(by, f"{points:{'.0f' if points >= 10 else '.2g'}} points", is_better=by > 0, tip=tip)


def _latency(measure: str, quantile: Literal["p50", "p95", "p99"]) -> Write:
    def write(column: Column, history: TargetHistory, first: Column) -> str:
        percentiles = history.percentiles(history.target.profile, measure)
        value: float | None = getattr(percentiles, quantile)
        if value is None:
            return ""
        small = below(formatting.probes(percentiles.count) if percentiles.is_small else "")
        if quantile != "p50":  # these have no interval
            return formatting.latency(value) + small
        number = _emphasized(column, measure, formatting.latency(value))
        return number + _median_delta(column, measure, formatting.milliseconds, "ms", first) + small

    return write


def _median_delta(
    column: Column, measure: str, write: Callable[[float | None], str], unit: str, first: Column
) -> Markup:
    """The difference of a median with its confidence interval, or a note that the data shows none."""
    difference = column.differences.get(measure)
    if difference is None:
        return Markup()
    if not difference.is_shown:
        return below("no clear difference")
    low, high = (f"{'+' if bound > 0 else '−'}{write(abs(bound))}" for bound in (difference.low, difference.high))
    is_better = (difference.by > 0) == (measure == "tokens_per_second")
    tip = f"Compared with {first.name}; 95%: {low} to {high} {unit}"
    return _delta(difference.by, f"{write(abs(difference.by))} {unit}", is_better=is_better, tip=tip)


def _cost(column: Column, first: Column) -> str:
    usd, than = column.estimate.usd, first.estimate.usd
    number = _emphasized(column, "cost", estimate_usd(column.estimate, REQUESTS))
    if usd is None or than is None or usd == than:
        return number
    difference = formatting.cost(abs(usd - than) * REQUESTS)
    return number + _delta(usd - than, difference, is_better=usd < than, tip=f"Compared with {first.name}")


def _fact(column: Column, describe: Callable[[Column, Model], str]) -> str:
    return describe(column, column.model) if column.model is not None else ""


def _speed(column: Column, history: TargetHistory, first: Column) -> str:
    speed = history.percentiles(THROUGHPUT, "tokens_per_second")
    if speed.p50 is None:
        return ""
    number = _emphasized(column, "tokens_per_second", formatting.speed(speed.p50))
    delta = _median_delta(column, "tokens_per_second", formatting.rate, "tok/s", first)
    return number + delta + below(formatting.probes(speed.count))


def _pair(low_ms: float | None, high_ms: float | None, count: int, note: str) -> str:
    return f"{formatting.milliseconds(low_ms)} / {formatting.latency(high_ms)}" + below(
        f"{formatting.probes(count)}{note}"
    )


def _first_answer(_column: Column, history: TargetHistory, _first: Column) -> str:
    known = history.first_answer()
    return "" if known is None else _pair(known.p50, known.p95, known.count, history.newest_note)


def _gaps(_column: Column, history: TargetHistory, _first: Column) -> str:
    known = history.gaps()
    return "" if known is None else _pair(known.p50_ms, known.p99_ms, known.count, history.newest_note)


def _tokens(fact: Literal["context_tokens", "max_output_tokens"]) -> Callable[[Column, Model], str]:
    def write(column: Column, model: Model) -> str:
        value: int | None = getattr(model, fact)
        return "" if value is None else _emphasized(column, fact, formatting.count(value))

    return write


FIRST_ANSWER, GAPS = "Time to first answer token, p50 / p95", "Inter-token latency, p50 / p99"
_TERMS = {
    FIRST_ANSWER: "time to first answer token",
    GAPS: "inter-token latency",
    "Uptime": "uptime",
    "Success rate": "success rate",
    "TTFT, p50": "TTFT",
    "TTFT, p95": "p50, p95",
    "Total time, p50": "total time",
    "Output speed, p50": "output speed",
    "Incidents": "incident",
    "Correct answers": "correct answers",
}
_MEASURED: tuple[tuple[str, Write], ...] = (
    ("Uptime", _uptime),
    ("", lambda _column, history, _first: status_bars(history.bars_with_errors(), time_range.zone())),
    ("Success rate", _success),
    ("TTFT, p50", _latency("ttft_ms", "p50")),
    ("TTFT, p95", _latency("ttft_ms", "p95")),
    ("TTFT, p99", _latency("ttft_ms", "p99")),
    (FIRST_ANSWER, _first_answer),
    ("Total time, p50", _latency("total_ms", "p50")),
    ("Output speed, p50", _speed),
    (GAPS, _gaps),
    ("Incidents", lambda _column, history, _first: formatting.count(len(history.incidents))),
    ("Correct answers", _answers),
)
_CATALOG: tuple[tuple[str, Callable[[Column, Model], str]], ...] = (
    ("Price per million, in / out", lambda _column, model: formatting.prices(model)),
    ("Context", _tokens("context_tokens")),
    ("Max output", _tokens("max_output_tokens")),
    ("Input", lambda _column, model: (model.input_modalities or "").replace(",", ", ")),
)
