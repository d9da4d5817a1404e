"""The time range: in the address, in UTC, dragged and undone; and what is looked for on the overview."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pages.queries import series_colours
from pages.queries.overview_rows import RowFilter
from store import open_store
from tests.factories import HOUR, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page


def _written(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1_000, UTC):%Y%m%dT%H%MZ}"


def test_a_link_with_two_moments_shows_the_probes_between_them(filled: Path) -> None:
    # a probe a minute: Steady for twenty hours but one, Broken for twenty
    now = now_ms()
    link = {"range": "custom", "from": _written(now - 3 * HOUR), "to": _written(now - HOUR)}
    app = open_page(**link)
    assert not app.exception
    assert metric(app, "Probes in this range").startswith("240 | ")
    assert [button.label for button in app.button] == ["Back to 24 h"]


@pytest.mark.parametrize("bogus", [{"from": "soon", "to": "later"}, {"from": "20261124T1000Z"}, {}])
def test_moments_that_are_none_fall_back_to_the_last_day(filled: Path, bogus: dict[str, str]) -> None:
    app = open_page(range="custom", **bogus)
    assert not app.exception
    assert metric(app, "Probes in the last 24 h")


def test_a_range_that_ends_before_it_begins_says_so(filled: Path) -> None:
    now = now_ms()
    app = open_page(range="custom", **{"from": _written(now), "to": _written(now - HOUR)})
    assert not app.exception
    assert "ends before it begins" in app.warning[0].value


def test_the_way_back_leads_to_the_range_before(filled: Path) -> None:
    app = open_page(range="7 d")
    app.get("button_group")[0].set_value("custom").run()
    assert not app.exception
    assert {"from", "to"} <= set(app.query_params)
    app.button(key="range_reset").click().run()
    assert not app.exception
    assert metric(app, "Probes in the last 7 d")
    assert not {"from", "to"} & set(app.query_params)


def test_moments_that_are_typed_become_the_range(filled: Path) -> None:
    app = open_page()
    app.get("button_group")[0].set_value("custom").run()
    typed = datetime.fromtimestamp(now_ms() / 1_000 - 7_200, UTC).replace(tzinfo=None, second=0, microsecond=0)
    app.datetime_input(key="from_shown").set_value(typed).run()
    assert not app.exception
    assert app.query_params["from"] == f"{typed:%Y%m%dT%H%MZ}"


def test_many_targets_are_searched_by_name_model_and_tag(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.FEW", 2)
    app = open_page(find="acme broken")
    assert not app.exception
    assert re.findall(r'data-target="(\w+)"', html(app)) == ["Broken"]
    assert metric(app, "Targets up").startswith("1 of 2 | ")  # of the fleet
    app.text_input(key="find").set_value("nothing like it").run()
    assert "No targets match your search" in html(app)
    app.text_input(key="find").set_value("").run()
    app.selectbox(key="show").set_value("not up").run()
    assert re.findall(r'data-target="(\w+)"', html(app)) == ["Broken", "Keyless"]
    assert RowFilter("") == RowFilter()


def test_of_many_rows_the_first_are_drawn_and_all_on_wish(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.FEW", 2)
    monkeypatch.setattr("pages.sections.overview_table.MOST_ROWS", 1)
    app = open_page()
    assert re.findall(r'data-target="(\w+)"', html(app)) == ["Broken"]
    assert "The first 1 of 3" in "".join(caption.value for caption in app.caption)
    app.toggle(key="all_rows").set_value(True).run()
    assert len(re.findall(r'data-target="(\w+)"', html(app))) == 3


def test_a_targets_colour_is_its_own_also_when_another_one_comes(store_at: Path) -> None:
    now, url = now_ms(), f"sqlite:///{store_at}"
    store = open_store(url)
    store.write([target("Zebra"), target("Ant"), probe(now - HOUR, target="Zebra"), probe(now - 1_000, target="Ant")])
    open_page()
    assert series_colours.numbers(url) == {"Zebra": 0, "Ant": 1}
    store.write([target("Bee")])
    store.close()
    series_colours.cache.targets.clear()
    assert series_colours.numbers(url) == {"Zebra": 0, "Ant": 1, "Bee": 2}
