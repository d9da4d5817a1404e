"""The glossary is a page of its own, and every term is also a tooltip."""

from __future__ import annotations

import re
from pathlib import Path

from pages.components import glossary
from tests.pages.conftest import html, open_page


def test_the_glossary_page_defines_every_term(filled: Path) -> None:
    app = open_page("glossary.py")
    assert not app.exception
    assert re.findall(r"<dt>(.*?)</dt>", html(app)) == list(glossary.DEFINITIONS)


def test_the_overview_links_to_the_glossary_and_does_not_repeat_it(filled: Path) -> None:
    app = open_page()
    assert "<dt>" not in html(app)
    assert [link.proto.label for link in app.get("page_link")] == ["Glossary: what the terms mean"]
