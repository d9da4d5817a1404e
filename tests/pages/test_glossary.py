"""The glossary is a page of its own, and every term is also a tooltip."""

from __future__ import annotations

import re
from pathlib import Path

from pages.components import glossary
from tests.pages.conftest import html, open_page


def test_every_term_that_is_used_is_defined_and_every_definition_is_listed(filled: Path) -> None:
    page = html(open_page("glossary.py"))
    for name, definition in glossary.DEFINITIONS.items():
        assert f"<dt>{name}</dt>" in page and definition.endswith(".")
    used = re.findall(r"glossary\.term\(\"([^\"]+)\"", "".join(p.read_text() for p in Path("pages").rglob("*.py")))
    assert used and set(used) <= set(glossary.DEFINITIONS)


def test_the_overview_links_to_the_glossary_and_does_not_repeat_it(filled: Path) -> None:
    app = open_page()
    assert "<dt>" not in html(app)
    assert [link.proto.label for link in app.get("page_link")] == ["Glossary: what the terms mean"]
