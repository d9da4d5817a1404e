"""Whatever a server, a router or a CSV says, no page runs it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from store import open_store
from store.schema import TABLE_OF, Row
from tests.pages.conftest import now_ms, open_page, rows

pytestmark = pytest.mark.thorough

SCRIPT = "<img src=x onerror=alert(1)>"
MARKDOWN = "[click](javascript:alert(2)) ![x](https://evil.example/x.png) `code` :red[x] $x$"
KEPT = {
    "outcome", "profile", "state", "source", "canonical_slug", "usd_per_million_input", "usd_per_million_output",
    "usd_per_request", "collector", "route", "more_prices", "base_url", "location",
}  # fmt: skip
"""Words that the code itself chooses, or reads as more than text."""


def _hostile(row: Row, word: str) -> Row:
    """The row with the word in each text that comes from outside."""
    changed: dict[str, Any] = {}
    kinds = {column.name: column.kind for column in TABLE_OF[type(row)].columns}
    for field in fields(row):
        value = getattr(row, field.name)
        if kinds[field.name] == "text" and isinstance(value, str) and field.name not in KEPT:
            changed[field.name] = f"{value} {word}"
    return replace(row, **changed)


def _shown(app: AppTest) -> str:
    found = []
    for element in app.main:
        proto = getattr(element, "proto", None)
        for name in ("body", "value", "label", "srcdoc"):
            text = getattr(proto, name, None)
            if isinstance(text, str):
                found.append(text)
    return "\n".join(found)


@pytest.mark.parametrize(
    "page",
    ["overview", "model", "compare", "routing", "catalog", "targets", "alerts", "export", "system", "public_status"],
)
@pytest.mark.parametrize("word", [SCRIPT, MARKDOWN], ids=["script", "markdown"])
def test_what_comes_from_outside_is_shown_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, word: str
) -> None:
    url = f"sqlite:///{tmp_path}/hostile.db"
    store = open_store(url)
    store.write([_hostile(row, word) for row in rows(now_ms())])
    store.close()
    monkeypatch.setenv("UPTOKEN_STORE", url)
    app = open_page("" if page == "overview" else f"{page}.py")
    assert not app.exception
    text = _shown(app)
    assert SCRIPT not in text
    if page in ("overview", "model") and word is SCRIPT:
        assert "&lt;img src=x onerror=alert(1)&gt;" in text, "this looks at too little"
    for element in app.main:  # tooltips are Markdown, too
        assert "![x](http" not in getattr(getattr(element, "proto", None), "help", ""), element
    for element in app.markdown:
        if not element.allow_html:
            assert "](javascript:" not in re.sub(r"\\\]", "", element.value), element.value
            assert "![x](http" not in element.value, element.value
