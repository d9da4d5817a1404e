"""The overview's first line: is it me or them? Each part links to its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from pages.components.states import WORDS
from stats.situation import Part


def sentence_line(parts: Sequence[Part], link: dict[str, str]) -> Markup:
    """The sentence, with its parts as links; `link` is added to their queries. Empty when there is nothing to say."""
    if not parts:
        return Markup()
    linked = Markup().join(
        Markup('{}<a href="{}" target="_self">{}</a>').format(
            part.glue if place else "", _address(part, link), part.text
        )
        for place, part in enumerate(parts)
    )
    return Markup('<div class="u u-sentence" role="status">{}.</div>').format(linked)


def _address(part: Part, link: dict[str, str]) -> str:
    """The address of a part's evidence."""
    if part.kind in ("target", "claim", "traffic"):
        tab = {"claim": {"tab": "Providers"}, "traffic": {"tab": "Traffic"}}.get(part.kind, {})
        return f"model?{urlencode({'target': part.of} | tab | link)}"
    if part.kind == "network":
        return f"system?{urlencode(link)}"
    chosen = {
        "status": {"show": WORDS.get(part.of, "all")},
        "host": {"find": part.of},
        "locations": {"by_location": "true"},
    }.get(part.kind, {})
    query = urlencode(chosen | link)
    return f"./?{query}" if query else "./"
