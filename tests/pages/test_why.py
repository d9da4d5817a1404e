"""Why a target is in its state, and what its uptime is made of: asked for with a click, read then and not before."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from store import open_store
from tests.factories import probe, target
from tests.pages.conftest import now_ms, open_page, text


def _ask(page: str, name: str, about: str) -> str:
    """What the dialog says, and nothing else of the page."""
    app: AppTest = open_page(page)
    app.session_state["why"] = json.dumps([name, "here", about])
    app.run()
    assert not app.exception
    [dialog] = app.get("dialog")
    assert dialog.proto.dialog.title == f"Why this {about}?"
    return " ".join(text(" ".join(part.proto.body for part in dialog.get("html")).replace("<td", " <td")).split())


def test_a_state_is_explained_by_its_newest_probes_and_its_incident(filled: Path) -> None:
    said = _ask("", "Broken", "state")
    assert "Its newest probe failed. An incident is open since" in said
    # each of the ten newest: its outcome, the host, its slot, and what it counts as
    row = "▼ server error 127.0.0.1:8095 60 s down the server failed, or was out of capacity"
    assert said.count(row) == 10


def test_an_uptime_is_explained_by_what_counted(filled: Path) -> None:
    said = _ask("model.py", "Broken", "uptime")
    # 1,190 of 1,200 minutes
    assert "1,190.0 min up of 1,200.0 min that were decided is 99.17%" in said
    assert "10 × server error" in said


def test_a_failure_that_its_confirmation_refuted_counts_for_nothing_by_itself(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Shaky"), probe(now - 30_000, "timeout", target="Shaky", stands_for_s=0.0)])
    store.write([probe(now - 20_000, "ok", target="Shaky", provider="Beta")])
    store.close()
    said = _ask("", "Shaky", "state")
    assert "not by itself" in said and "the next probe decided this slot" in said
    assert "Beta at 127.0.0.1:8095" in said


def test_a_failure_is_shown_though_another_location_has_hundreds_of_newer_ones(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Shaky", every_s=60.0), target("Shaky", location="there", every_s=10.0)])
    store.write(
        probe(now - 300_000 - n * 60_000, "empty" if n == 60 else "ok", target="Shaky", stands_for_s=60.0)
        for n in range(240)
    )
    store.write(
        probe(now - 5_000 - n * 10_000, "timeout", target="Shaky", location="there", stands_for_s=10.0)
        for n in range(300)
    )
    store.close()
    said = _ask("", "Shaky", "uptime")
    assert "No probe failed" not in said and "it ended properly, without a token" in said
    said = _ask("", "Shaky", "state")
    assert "The newest 10 ping probes from here" in said


def test_what_nobody_knows_or_wrote_opens_nothing(filled: Path) -> None:
    for odd in ("", "{", "[]", '["Nobody", "here", "state"]', "[1, 2]", "<script>"):
        app = open_page()
        app.session_state["why"] = odd
        app.run()
        assert not app.exception and not app.get("dialog")
