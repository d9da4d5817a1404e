"""One history in a store of each engine: every number of every page and of every HTTP route is the same."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from api import downloads, registry, status_routes
from pages.queries import target_history
from pages.queries.public_status import load_public_status
from store import Store, open_store
from store.rollups import STEP_MS
from store.schema import TABLES
from tests.api.test_openapi import REQUESTS
from tests.factories import MINUTE, NOON
from tests.pages.conftest import open_page
from tests.pages.odd import ODD_NAME, late, odd_history
from tests.pages.reading import everything_on
from tests.store.stores import STORES, opened

pytestmark = pytest.mark.thorough

NOW = NOON + 17 * MINUTE + 23_456
TARGETS = (
    "Gemma 3 4B, Provider B",
    "Gemma 3 27B",
    "Model behind our gateway",
    "Both places",
    "Speed alone",
    "No price",
    "Troubled",
    "Keyless",
    "New",
    "Silent",
    ODD_NAME,
)
RANGES = ("24 h", "7 d", "30 d", "1 y")
PAST = {"range": "custom", "from": "20261123T0317Z", "to": "20261124T0905Z"}
Draw = Callable[[], AppTest]


def page(name: str = "", **query: str) -> Draw:
    return lambda: open_page(name, **query)


def compared(*picked: str, **query: str) -> Draw:
    def draw() -> AppTest:
        app = open_page("compare.py", **query)
        return app.multiselect(key="with").set_value(list(picked)).run()

    return draw


VIEWS: dict[str, Draw] = {
    **{f"overview, {chosen}": page(range=chosen) for chosen in RANGES},
    "overview, a past range": page(**PAST),
    **{f"model {name}": page("model.py", target=name, range="24 h") for name in TARGETS},
    **{f"model Troubled, {chosen}": page("model.py", target="Troubled", range=chosen) for chosen in RANGES[1:]},
    "model Troubled, a past range": page("model.py", target="Troubled", **PAST),
    "model Both places, from Perth": page("model.py", target="Both places", location="Perth", range="7 d"),
    **{
        f"model {name}, {tab}": page("model.py", target=name, range="7 d", tab=tab)
        for name in ("Troubled", "Both places")
        for tab in ("Providers", "Usage", "Traffic", "Reliability", "Checks")
    },
    "model Both places, own usage": page("model.py", target="Both places", activity_of="Your account"),
    "comparison": compared("Both places", "Troubled", "Speed alone", "Same b", range="7 d"),
    "comparison of providers, a past range": compared("Gemma 3 4B, Provider A", "Gemma 3 4B, Provider B", **PAST),
    "routing": page("routing.py", model="acme/both", range="7 d"),
    "routing of a probed model": page("routing.py", model="google/gemma-3-27b-it"),
    "catalog": page("catalog.py", range="7 d"),
    **{f"export of {table}": page("export.py", table=table, all_time="true") for table in TABLES},
    "export of a day's probes": page("export.py", table="probes", only=ODD_NAME),
    "alerts": page("alerts.py"),
    "system": page("system.py"),
    "status": page("public_status.py"),
}
FROM_ROLLUPS = [name for name in VIEWS if name.startswith(("overview", "model T", "model B", "comparison"))]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """A store of each engine with the same history, the last of it late."""
    folder = tmp_path_factory.mktemp("both")
    sqlite = open_store(f"sqlite:///{folder}/sqlite.db")
    opening = opened("chdb", folder)
    both = {"sqlite": sqlite, "chdb": next(opening)}
    rows = list(odd_history(NOW))
    for store in both.values():
        for start in range(0, len(rows), 7_001):  # as ticks and imports bring them: several batches
            store.write(rows[start : start + 7_001])
        store.write(late(NOW))
    yield both
    sqlite.close()
    next(opening, None)


@pytest.fixture
def at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.clock.time", SimpleNamespace(time_ns=lambda: NOW * 1_000_000))


def url_of(store: Store) -> str:
    return store.url.text if hasattr(store, "url") else f"sqlite:///{store.path}"  # type: ignore[attr-defined, no-any-return]


@dataclass
class Views:
    """What the views say with each store, drawn once: the first pages of each fill the caches for its next ones, as they
    do for somebody who goes from page to page.
    """

    stores: dict[str, Store]
    drawn: dict[tuple[str, int, str], list[str]] = field(default_factory=dict)
    in_cache: tuple[str, int] | None = None

    def read(self, engine: str, view: str) -> list[str]:
        """Every text of a view. Where another store was read before, or other rows of it, nothing of that is left."""
        source = (engine, target_history.RAW_AT_MOST)
        if (*source, view) not in self.drawn:
            if self.in_cache != source:
                st.cache_data.clear()
                st.cache_resource.clear()
            self.in_cache = source
            os.environ["UPTOKEN_STORE"] = url_of(self.stores[engine])
            app = VIEWS[view]()
            assert not app.exception, app.exception
            self.drawn[*source, view] = [_comparable(text) for text in everything_on(app)]
        return self.drawn[*source, view]


@pytest.fixture(scope="module")
def views(stores: dict[str, Store]) -> Iterator[Views]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPTOKEN_STORE", "")
        yield Views(stores)
    st.cache_data.clear()
    st.cache_resource.clear()


def _comparable(text: str) -> str:
    """Without what the store takes on the disk, which is the engine's own: one file of pages, or many of columns."""
    return re.sub(
        r'(data-label="Store">.*?class="number">)[^<]*(.*?)(, about [\d.,]+ \w+ more per day)', r"\1…\2", text
    )


def differences(one: list[str], other: list[str]) -> list[str]:
    """Where two pages differ, with a little of what is around it."""
    lines = [re.sub(r"(</tr>|</div>|</td>)", r"\1\n", "\n".join(said)).splitlines() for said in (one, other)]
    return list(difflib.unified_diff(*lines, "sqlite", "chdb", n=1, lineterm=""))


needs_both = pytest.mark.parametrize("engine", STORES[1:])


@needs_both
def test_every_table_of_a_generated_history_is_the_same(stores: dict[str, Store], engine: str) -> None:
    for table in TABLES.values():
        for newest_first in (False, True):
            found = [list(store.read(table, newest_first=newest_first)) for store in (stores["sqlite"], stores[engine])]
            assert found[0] == found[1], table.name
            assert found[0]
    for step in STEP_MS:
        assert list(stores["sqlite"].rollups(step)) == list(stores[engine].rollups(step))
    assert stores["sqlite"].series() == stores[engine].series()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("engine", STORES)
def test_every_number_of_every_page_is_the_same(views: Views, at_the_same_moment: None, engine: str, view: str) -> None:
    """All views with one engine, then all with the next one."""
    other = views.read(engine, view)
    assert len(other) > 5
    assert differences(views.read("sqlite", view), other) == []


@pytest.mark.parametrize("view", FROM_ROLLUPS)
@pytest.mark.parametrize("engine", STORES)
def test_every_number_that_comes_from_roll_ups_is_the_same(
    views: Views, at_the_same_moment: None, monkeypatch: pytest.MonkeyPatch, engine: str, view: str
) -> None:
    monkeypatch.setattr(target_history, "RAW_AT_MOST", 0)
    other = views.read(engine, view)
    assert differences(views.read("sqlite", view), other) == []


WANTED = "from=2026-11-22T05:00:00.001Z&to=2026-11-24T11:59:59.999Z"
"""A range that neither begins nor ends with an hour."""
OF_FEW = {"/api/v1/events"}
"""Where all targets take seconds: the overview's events are compared above."""
MORE_REQUESTS = (
    f"/api/v1/events?{WANTED}&target={{name}}&target=Troubled",
    f"/api/v1/events?{WANTED}&target=Troubled",
    *(f"/api/v1/targets/{{name}}/summary?{WANTED}&profile={profile}" for profile in ("ping", "throughput", "all")),
    f"/api/v1/probes?{WANTED}&limit=100",
    f"/api/v1/probes?{WANTED}&target={{name}}&limit=500&format=csv",
    f"/api/v1/probes?{WANTED}&target={{name}}&limit=500&format=jsonl",
    "/status/",
    "/status/{name}",
    *(f"{downloads.PATH}?table={table}" for table in TABLES),
)


def responses(store: Store, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """The status and the text that each route answers for some targets."""
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.setenv("UPTOKEN_STORE", url_of(store))
    site = status_routes.StatusSite(lambda: load_public_status(url_of(store), NOW))
    site_of_all = Starlette(routes=[*registry.V1, *registry.OTHERS, *downloads.ROUTES, *status_routes.routes(site)])
    listed = ((path, query) for path, queries in REQUESTS.items() if path not in OF_FEW for query in queries)
    asked = [*(path + query for path, query in listed), *MORE_REQUESTS]
    names = ("Both places", ODD_NAME)
    paths = dict.fromkeys(path.replace("{name}", quote(name, safe="")) for path in asked for name in names)
    with TestClient(site_of_all) as client:
        return {path: (answer.status_code, answer.text) for path in paths for answer in [client.get(path)]}


@needs_both
def test_every_http_route_answers_the_same(
    stores: dict[str, Store], at_the_same_moment: None, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    sqlite, other = (responses(stores[name], monkeypatch) for name in ("sqlite", engine))
    assert {path: found for path, found in sqlite.items() if other[path] != found} == {}
    assert sum(status == 200 for status, _ in sqlite.values()) > 60
