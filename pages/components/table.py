"""Tables in HTML, and the pieces their cells are made of. markupsafe escapes whatever is not `Markup`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pages.components import formatting
from store.schema import Endpoint

NOTE = Markup('<div class="q" style="margin-top:8px">{}</div>')
_REGION = Markup(' tabindex="0" role="region" aria-label="{}" style="max-height:{}px"')
NOTHING = Markup('<div class="u q">{}</div>')
"""What stands in the place of a table without rows."""


@dataclass(frozen=True)
class Column:
    """A column: its head, and the CSS class of its head and cells."""

    head: str
    kind: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell with a tooltip."""

    content: str
    tip: str


def table(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[str | Cell | None]],
    *,
    kind: str = "",
    note: str = "",
    region: str = "",
    most_px: int = 420,
    groups: Sequence[tuple[str, int]] = (),
) -> Markup:
    """A table that scrolls sideways when it is too wide; a null cell is a dash. `region` names, for a screen reader,
    one that also scrolls down when it is higher than `most_px`. `groups`: headings above the columns, and how many
    columns each spans.
    """
    plain = [column if isinstance(column, Column) else Column(column) for column in columns]
    head = Markup().join(Markup("<th{}>{}</th>").format(_class(each.kind), each.head) for each in plain)
    spans = Markup().join(Markup('<th colspan="{}" scope="colgroup">{}</th>').format(n, text) for text, n in groups)
    above = Markup('<tr class="groups">{}</tr>').format(spans) if groups else Markup()
    body = Markup().join(
        Markup("<tr>{}</tr>").format(Markup().join(map(_cell, row, (each.kind for each in plain)))) for row in rows
    )
    return Markup(
        '<div class="u"><div class="u-scroll"{}><table class="u-table{}">{}<tbody>{}</tbody></table></div>{}</div>'
    ).format(
        _REGION.format(region, most_px) if region else "",
        f" {kind}" if kind else "",
        Markup("<thead>{}<tr>{}</tr></thead>").format(above, head) if any(each.head for each in plain) else "",
        body,
        NOTE.format(note) if note else "",
    )


def _cell(cell: str | Cell | None, kind: str) -> Markup:
    if isinstance(cell, Cell):
        return Markup('<td{} data-tip="{}">{}</td>').format(_class(kind), cell.tip, cell.content)
    return Markup("<td{}>{}</td>").format(_class(kind), formatting.DASH if cell is None else cell)


def _class(kind: str) -> Markup:
    return Markup(' class="{}"').format(kind) if kind else Markup()


def bold(text: str) -> Markup:
    """What a row is about."""
    return Markup("<b>{}</b>").format(text)


def quiet(text: str | None) -> Markup:
    """In a quieter colour; nothing for no text."""
    return Markup('<span class="q">{}</span>').format(text) if text else Markup()


def below(text: str | None) -> Markup:
    """A quieter line below a cell's own; nothing for no text."""
    return Markup('<span class="more">{}</span>').format(text) if text else Markup()


def provider(endpoint: Endpoint) -> Markup:
    """A provider and the quantization that it serves."""
    return bold(endpoint.provider or endpoint.tag) + " " + quiet(endpoint.quantization)


def moment(at: int, now: int, zone: str) -> Cell:
    """`4 s ago`, with the exact time as a tooltip."""
    return Cell(formatting.ago(at, now), formatting.exact(at, zone))
