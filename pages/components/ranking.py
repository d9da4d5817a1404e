"""A ranking: the largest first, each with a bar of its share of the largest."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pages.components import formatting
from pages.components.table import NOTE

_LINE = Markup(
    '<div class="u-rank"><span>{}. {}</span><span class="bar"><i style="width:{:.1f}%"></i></span><span>{}</span></div>'
)


def ranking(rows: Sequence[tuple[str, float]], note: str) -> Markup:
    """Names and their values, in the order given, and a quieter line below."""
    most = max(value for _, value in rows) or 1
    lines = (
        _LINE.format(number, name, value / most * 100, formatting.large(value))
        for number, (name, value) in enumerate(rows, 1)
    )
    return Markup('<div class="u">{}{}</div>').format(Markup().join(lines), NOTE.format(note))
