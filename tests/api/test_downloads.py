"""The download streams what the command line exports."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.downloads import ROUTES, link
from store import Selection, open_store
from store.formats import csv_chunks
from store.schema import PROBES
from tests.pages.conftest import rows

SOME_DAY = 1_795_521_600_000


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=ROUTES))


def test_the_link_gives_the_very_bytes_of_the_command_line(store_at: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write(rows(SOME_DAY))
    selection = Selection(SOME_DAY - 3_600_000, SOME_DAY, ("Broken", "Steady"))
    expected = "".join(text for text, _ in csv_chunks(PROBES, store.read(PROBES, selection)))
    answer = client.get("/" + link("probes", selection))
    assert answer.status_code == 200
    assert answer.text == expected
    assert answer.text.count("\r\n") == 122
    assert answer.headers["content-disposition"] == 'attachment; filename="probes.csv"'
    marked = client.get("/" + link("probes", selection, has_mark=True))
    assert marked.content == b"\xef\xbb\xbf" + expected.encode()
    store.close()


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("table=sqlite_schema", 404, "there is no such table"),
        ("table=probes&since=yesterday", 400, "milliseconds"),
        ("table=probes", 503, "there is no store"),
    ],
)
def test_a_wrong_request_is_answered_in_words(
    store_at: Path, client: TestClient, query: str, status: int, said: str
) -> None:
    answer = client.get(f"/api/export.csv?{query}")
    assert (answer.status_code, said in answer.text) == (status, True)
    assert str(store_at.parent) not in answer.text or status == 503
