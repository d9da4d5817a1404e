"""The table of the comparison: one column a target, one row a fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from markupsafe import Markup

from pages.components import formatting, glossary, theme
from pages.components.request_estimate import describe_workload, estimate_seconds, estimate_usd
from pages.components.status_bars import status_bars
from pages.components.table import below, bold, quiet, table
from pages.queries import series_colours
from pages.queries.target_history import THROUGHPUT, TargetHistory
from pages.sections.compare_targets import REQUESTS, Column
from pages.shell import time_range
from routing.workload import Workload
from stats.median_difference import Difference
from store.schema import Model


def comparison(columns: list[Column], size: Workload) -> Markup:
    """The table; measurements only where there are any."""
    rows: list[list[str | None]] = []
    if any(column.history is not None for column in columns):
        for label, write in _MEASURED:
            cells = [_measured(column, write) for column in columns]
            if any(cells) or label not in (FIRST_ANSWER, GAPS):
                rows.append([_label(label), *cells])
    times = [bold(estimate_seconds(column.estimate)) for column in columns]
    if any(column.history is not None for column in columns):
        rows.append([f"Time of one request, {describe_workload(size)}", *times])
    costs = [bold(estimate_usd(column.estimate, REQUESTS)) for column in columns]
    rows.append([f"Cost of {REQUESTS:,d} requests, {describe_workload(size)}", *costs])
    for label, describe in _CATALOG:
        facts = [describe(column.model) if column.model is not None else "" for column in columns]
        rows.append([label, *(fact or None for fact in facts)])
    heads = ["", *(_head(column) for column in columns)]
    return Markup('<div class="u-card">{}</div>').format(table(heads, rows, kind="compare"))


def _label(label: str) -> str:
    term = _TERMS.get(label)
    return glossary.term(term, label) if term else label


def _head(column: Column) -> Markup:
    if column.target is not None:
        swatch = theme.swatch(series_colours.variable(column.number or 0))
        return Markup("{}<b>{}</b><br><code>{}</code>").format(swatch, column.name, column.target.model)
    name = column.model.name if column.model is not None else None
    return Markup("<b>{}</b><br>not probed").format(name or column.name)


def _measured(column: Column, write: Callable[[Column, TargetHistory], str]) -> str | None:
    return (write(column, column.history) or None) if column.history is not None else None


def _uptime(_column: Column, history: TargetHistory) -> str:
    uptime = history.uptime()
    return bold(formatting.percent(uptime.share)) + below(formatting.uptime_note(uptime))


def _success(_column: Column, history: TargetHistory) -> str:
    rate = history.success_rate()
    return formatting.percent(rate.share) + below(formatting.share_of(rate.ok, rate.ok + rate.failed))


def _latency(measure: str, quantile: Literal["p50", "p95", "p99"]) -> Callable[[Column, TargetHistory], str]:
    def write(_column: Column, history: TargetHistory) -> str:
        percentiles = history.percentiles(history.target.profile, measure)
        value: float | None = getattr(percentiles, quantile)
        if value is None:
            return ""
        return formatting.latency(value) + below(formatting.probes(percentiles.count) if percentiles.is_small else "")

    return write


def _difference(difference: Difference | None, write: Callable[[float | None], str], unit: str) -> str:
    """The difference from the first target with its confidence interval, or that the data does not show one."""
    if difference is None:
        return ""
    if not difference.is_shown:
        return quiet("no difference shown")
    low, high = (f"{'+' if bound > 0 else '−'}{write(abs(bound))}" for bound in (difference.low, difference.high))
    return f"{'+' if difference.by > 0 else '−'}{write(abs(difference.by))} {unit}" + below(f"95%: {low} to {high}")


def _speed(_column: Column, history: TargetHistory) -> str:
    speed = history.percentiles(THROUGHPUT, "tokens_per_second")
    return "" if speed.p50 is None else formatting.speed(speed.p50) + below(formatting.probes(speed.count))


def _pair(low_ms: float | None, high_ms: float | None, count: int, note: str) -> str:
    return f"{formatting.milliseconds(low_ms)} / {formatting.latency(high_ms)}" + below(
        f"{formatting.probes(count)}{note}"
    )


def _first_answer(_column: Column, history: TargetHistory) -> str:
    known = history.first_answer()
    return "" if known is None else _pair(known.p50, known.p95, known.count, history.newest_note)


def _gaps(_column: Column, history: TargetHistory) -> str:
    known = history.gaps()
    return "" if known is None else _pair(known.p50_ms, known.p99_ms, known.count, history.newest_note)


def _tokens(value: int | None) -> str:
    return "" if value is None else formatting.count(value)


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
_MEASURED: tuple[tuple[str, Callable[[Column, TargetHistory], str]], ...] = (
    ("Uptime", _uptime),
    ("", lambda _column, history: status_bars(history.bars_with_errors(), time_range.zone())),
    ("Success rate", _success),
    ("TTFT, p50", _latency("ttft_ms", "p50")),
    ("compared with the first", lambda column, _: _difference(column.slower, formatting.milliseconds, "ms")),
    ("TTFT, p95", _latency("ttft_ms", "p95")),
    ("TTFT, p99", _latency("ttft_ms", "p99")),
    (FIRST_ANSWER, _first_answer),
    ("Total time, p50", _latency("total_ms", "p50")),
    ("Output speed, p50", _speed),
    ("compared with the first", lambda column, _: _difference(column.faster, formatting.rate, "tok/s")),
    (GAPS, _gaps),
    ("Incidents", lambda _column, history: formatting.count(len(history.incidents))),
    ("Correct answers", lambda _column, history: formatting.percent(history.answers().share)),
)
_CATALOG: tuple[tuple[str, Callable[[Model], str]], ...] = (
    ("Price per million, in / out", formatting.prices),
    ("Context", lambda model: _tokens(model.context_tokens)),
    ("Max output", lambda model: _tokens(model.max_output_tokens)),
    ("Input", lambda model: (model.input_modalities or "").replace(",", ", ")),
)
