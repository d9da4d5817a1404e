"""The table of the comparison: one column a target, one row a fact."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from pages.components import formatting, glossary, theme
from pages.queries import series_colours
from pages.sections.compare_targets import REQUESTS, Column
from pages.sections.model_header import View
from routing.selection import RoutingRequest
from stats.median_difference import Difference
from stats.samples import Percentiles
from store.schema import Model


def table(found: list[Column], wish: RoutingRequest, zone: str) -> str:
    """All of it; what is measured only where something is."""
    size = f"{wish.prompt_tokens:,d} in, {wish.completion_tokens:,d} out"
    lines = []
    if any(column.view is not None for column in found):
        measured = [(label, [_measured(column, write, zone) for column in found]) for label, write in _MEASURED]
        lines += [_line(label, cells) for label, cells in measured if label not in (FIRST_ANSWER, GAPS) or any(cells)]
    lines.append(
        _line(
            f"Cost of {REQUESTS:,d} requests, {size}",
            [f"<b>{formatting.cost(column.cost_usd)}</b>" for column in found],
        )
    )
    lines += [
        _line(label, [write(column.model) if column.model is not None else "" for column in found])
        for label, write in _TOLD
    ]
    heads = "".join(f"<th>{_head(column)}</th>" for column in found)
    return (
        '<div class="u u-card"><div class="u-scroll"><table class="u-table compare"><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div></div>"
    )


def _line(label: str, cells: list[str]) -> str:
    word = _WORDS.get(label)
    said = glossary.term(word, label) if word else escape(label)
    return f"<tr><td>{said}</td>{''.join(f'<td>{cell or formatting.DASH}</td>' for cell in cells)}</tr>"


def _head(column: Column) -> str:
    if column.target is not None:
        swatch = theme.swatch(series_colours.variable(column.number or 0))
        return f"{swatch}<b>{escape(column.name)}</b><br><code>{escape(column.target.model)}</code>"
    name = column.model.name if column.model is not None else None
    return f"<b>{escape(name or column.name)}</b><br>not probed"


def _measured(column: Column, write: Callable[[Column, View, str], str], zone: str) -> str:
    return write(column, column.view, zone) if column.view is not None else ""


def _with_note(text: str, note: str) -> str:
    return f'{text}<span class="more">{note}</span>' if note else text


def _uptime(_column: Column, view: View, _zone: str) -> str:
    return _with_note(f"<b>{formatting.percent(view.uptime.share)}</b>", formatting.uptime_note(view.uptime))


def _success(_column: Column, view: View, _zone: str) -> str:
    rated = view.success
    return _with_note(
        formatting.percent(rated.share), f"{formatting.count(rated.ok)} of {formatting.count(rated.ok + rated.failed)}"
    )


def _times(found: Percentiles | None, value: float | None) -> str:
    if found is None or value is None:
        return ""
    return _with_note(f"{formatting.milliseconds(value)} ms", formatting.probes(found.count) if found.is_small else "")


def _difference(found: Difference | None, write: Callable[[float | None], str], unit: str) -> str:
    """How much more or less than the first one, and how sure; or that the data cannot tell."""
    if found is None:
        return ""
    if not found.is_shown:
        return '<span class="q">no difference shown</span>'
    low, high = (f"{'+' if bound > 0 else '−'}{write(abs(bound))}" for bound in (found.low, found.high))
    return _with_note(f"{'+' if found.by > 0 else '−'}{write(abs(found.by))} {unit}", f"95%: {low} to {high}")


def _speed(_column: Column, view: View, _zone: str) -> str:
    if view.speed.p50 is None:
        return ""
    return _with_note(f"{formatting.rate(view.speed.p50)} tok/s", formatting.probes(view.speed.count))


def _answer(view: View) -> str:
    found = view.first_answer
    if found is None:
        return ""
    pair = f"{formatting.milliseconds(found.p50)} / {formatting.milliseconds(found.p95)} ms"
    return _with_note(pair, f"{formatting.probes(found.count)}{view.newest_note}")


def _gaps(view: View) -> str:
    found = view.gaps
    if found is None:
        return ""
    pair = f"{formatting.milliseconds(found.p50_ms)} / {formatting.milliseconds(found.p99_ms)} ms"
    return _with_note(pair, f"{formatting.plural(found.count, 'probe')}{view.newest_note}")


def _price(model: Model) -> str:
    return f"{formatting.price(model.usd_per_million_input)} / {formatting.price(model.usd_per_million_output)}"


def _tokens(value: int | None) -> str:
    return "" if value is None else f"{value:,d}"


FIRST_ANSWER, GAPS = "Time to first answer token, p50 / p95", "Inter-token latency, p50 / p99"
_WORDS = {
    FIRST_ANSWER: "first answer",
    GAPS: "inter-token latency",
    "Uptime": "uptime",
    "Requests that succeeded": "success rate",
    "TTFT, p50": "TTFT",
    "TTFT, p95": "p50, p95",
    "Total time, p50": "total time",
    "Output speed, p50": "output speed",
    "Incidents": "incident",
    "Answers right": "answers right",
}
_MEASURED: tuple[tuple[str, Callable[[Column, View, str], str]], ...] = (
    ("Uptime", _uptime),
    ("", lambda _column, view, zone: theme.strip(view.bars, zone)),
    ("Requests that succeeded", _success),
    ("TTFT, p50", lambda _column, view, _zone: _times(view.ttft, view.ttft.p50)),
    ("against the first", lambda column, _view, _zone: _difference(column.slower, formatting.milliseconds, "ms")),
    ("TTFT, p95", lambda _column, view, _zone: _times(view.ttft, view.ttft.p95)),
    ("TTFT, p99", lambda _column, view, _zone: _times(view.ttft, view.ttft.p99)),
    (FIRST_ANSWER, lambda _column, view, _zone: _answer(view)),
    ("Total time, p50", lambda column, _view, _zone: _times(column.total, column.total.p50 if column.total else None)),
    ("Output speed, p50", _speed),
    ("against the first", lambda column, _view, _zone: _difference(column.faster, formatting.rate, "tok/s")),
    (GAPS, lambda _column, view, _zone: _gaps(view)),
    ("Incidents", lambda _column, view, _zone: formatting.count(len(view.incidents))),
    ("Answers right", lambda _column, view, _zone: formatting.percent(view.answers.share)),
)
_TOLD: tuple[tuple[str, Callable[[Model], str]], ...] = (
    ("Price per million, in / out", _price),
    ("Context", lambda model: _tokens(model.context_tokens)),
    ("Longest reply", lambda model: _tokens(model.max_output_tokens)),
    ("Takes", lambda model: escape((model.input_modalities or "").replace(",", ", "))),
)
