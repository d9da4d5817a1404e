"""Addresses that nobody meant: each page and route answers with a sentence or its default, never with a traceback."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.downloads import ROUTES
from pages.queries import access
from pages.shell.time_range import WORKLOAD_KEYS
from store import open_store
from tests.collectors.cli_fixture import ROOT
from tests.pages.conftest import now_ms, open_page, rows

PAGES = (
    "",
    "model.py",
    "compare.py",
    "routing.py",
    "catalog.py",
    "targets.py",
    "alerts.py",
    "export.py",
    "system.py",
    "public_status.py",
)
LONG = "9" * 400
VALUES = [
    LONG,
    f"-{LONG}",
    f"0.{LONG}",
    f"1e{LONG}",
    "1e400",
    "nan",
    "inf",
    "-1",
    "",
    "²³",
    "٣",
    "\x00",
    "\udcff".encode("utf-8", "replace").decode(),
    "../../etc/passwd",
    "<script>",
    "a" * 5_000,
]
RANGES = [
    {"from": "20261124T1000Z", "to": "99991231T2359Z"},
    {"from": "00010101T0000Z", "to": "20261124T1000Z"},
    {"from": "00010101T0000", "to": "99991231T2359"},
    {"from": "20000101T0000Z", "to": "20991231T2359Z"},
    {"from": "0001-01-01T00:00:00+23:59", "to": "9999-12-31T23:59:59-23:59"},
    {"from": LONG, "to": LONG},
    {"from": f"{LONG}-01-01", "to": "2026-11-24"},
    {"from": "1970-01-01", "to": "1970-01-01"},
    {"from": "\x00", "to": "²"},
]


@pytest.fixture(scope="module", autouse=True)
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One store for all of them: nothing is written by an address, and nothing here depends on how old the rows are."""
    url = f"sqlite:///{tmp_path_factory.mktemp('odd')}/pages.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    st.cache_data.clear()
    st.cache_resource.clear()
    with pytest.MonkeyPatch.context() as here:
        here.setenv("UPTOKEN_STORE", url)
        yield
    st.cache_resource.clear()


@functools.cache
def parameters() -> list[str]:
    """The name of each control that is kept in the address, as the pages' source says it."""
    found = set(WORKLOAD_KEYS)
    for path in (ROOT / "pages").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call):
                words = {word.arg: word.value for word in call.keywords}
                is_bound = "bind" in words or getattr(call.func, "id", "") in ("numeric", "_pick", "_switch")
                if is_bound and isinstance(words.get("key"), ast.Constant):
                    found.add(words["key"].value)
    return sorted(found)


def test_the_parameters_are_found() -> None:
    assert {"range", "target", "prompt", "output", "most_in", "with", "q", "only", "takes", "activity_of"} <= set(
        parameters()
    )


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_odd_values_in_its_address_is_drawn(page: str) -> None:
    for value in VALUES:
        app = open_page(page, **dict.fromkeys(parameters(), value))
        assert [problem.value for problem in app.exception] == [], value[:20]


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_an_odd_range_in_its_address_is_drawn(page: str) -> None:
    for odd in RANGES:
        app = open_page(page, range="custom", **odd)
        assert [problem.value for problem in app.exception] == [], odd


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "value",
    [
        *VALUES,
        str(10**23),
        str(2**63),
        str(2**63 - 1),
        str(-(2**63)),
        "253402300800000",
        "-62135596800001",
        "9" * 5_000,
        "%ff",
        "1.5",
    ],
)
def test_a_moment_that_is_none_is_said_in_a_sentence(name: str, value: str) -> None:
    client = TestClient(Starlette(routes=ROUTES))
    answer = client.get(f"/api/export.csv?{name}={value if value == '%ff' else quote(value)}")
    if value in ("-1", "٣"):
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.text) == (
        400,
        "since and until are milliseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999, as in 1795521600000\n",
    )


@pytest.mark.parametrize("name", ["table", "target", "ticket", "other"])
def test_other_odd_parameters_of_a_download_are_answered(name: str) -> None:
    client = TestClient(Starlette(routes=ROUTES))
    for value in (*map(quote, VALUES), "%ff%fe", "%00", "&&=&"):
        answer = client.get(f"/api/export.csv?{name}={value}")
        assert answer.status_code == (404 if name == "table" else 200)
        assert "Traceback" not in answer.text


def test_behind_a_login_any_bytes_as_a_ticket_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    client = TestClient(Starlette(routes=ROUTES))
    tickets = [
        *map(quote, VALUES),
        "%ff%fe",
        "%00.%00",
        f"{LONG}.{'0' * 64}",
        "%C2%B2.0",
        f"9999999999.{'%C3%A9' * 64}",
        ".",
    ]
    for ticket in tickets:
        answer = client.get(f"/api/export.csv?ticket={ticket}")
        assert (answer.status_code, answer.text) == (
            403,
            "Log in to the dashboard and use the link on its Export page.\n",
        )
        assert not re.search("Error|Traceback", answer.text)
