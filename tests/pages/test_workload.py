"""The viewer's workload on every page that shows speed or price."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.queries.listed_prices import priced_row
from store import open_store
from store.schema import Endpoint, Model
from tests.factories import target
from tests.pages.conftest import html, metric, now_ms, open_page, text

SIZE = {"prompt": "2000", "output": "500"}


def test_without_a_workload_no_page_speaks_of_one(filled: Path) -> None:
    for page in ("", "model.py"):
        assert "unknown ·" not in html(open_page(page))
    assert "Your request" not in html(open_page("model.py"))
    assert "usd" not in open_page("catalog.py").dataframe[0].value


def test_a_workload_in_the_address_gives_each_target_its_seconds_and_dollars(filled: Path) -> None:
    page = text(html(open_page(**SIZE)).partition('data-target="Steady"')[2].partition('<div class="u-row')[0])
    # its median is 124 or 125 ms, then 500 tokens at 50 a second; it is free
    assert "10.1 s · $0" in page
    broken = text(html(open_page(**SIZE)).partition('data-target="Broken"')[2].partition('<div class="u-row')[0])
    assert "time unknown · $0.003" in broken  # 2,000 x $1 + 500 x $2 per million; its speed was never measured


@pytest.mark.parametrize("pinned", ["deepinfra", "DeepInfra", "Deepinfra", "deepinfra/bf16"])
def test_a_pinned_target_is_priced_by_its_providers_endpoint_in_any_case(store_at: Path, pinned: str) -> None:
    now = now_ms()
    mine = target("Ant", model="m/ant", provider=pinned)
    model = Model("openrouter", "m/ant", now - 1, usd_per_million_input="1", usd_per_million_output="1")
    cheap = {"usd_per_million_input": "0.2", "usd_per_million_output": "0.2"}
    endpoint = Endpoint("openrouter", "m/ant", "deepinfra/bf16", now - 1, provider="DeepInfra", **cheap)
    store = open_store(f"sqlite:///{store_at}")
    store.write([mine, model, endpoint])
    store.close()
    row = priced_row(f"sqlite:///{store_at}", mine, model)
    assert row is not None and row.usd_per_million_input == "0.2"


def test_links_to_other_pages_carry_the_workload_along(filled: Path) -> None:
    assert 'href="model?target=Steady&amp;prompt=2000&amp;output=500"' in html(open_page(**SIZE))


def test_the_model_page_has_a_card_for_it(filled: Path) -> None:
    shown = metric(open_page("model.py", target="Broken", cached_tokens="1000", **SIZE), "Your request")
    assert shown.startswith("unknown / $0.003 | 2,000 in, 500 out, 1,000 cached")


def test_the_catalog_has_columns_for_it(filled: Path) -> None:
    table = open_page("catalog.py", **SIZE).dataframe[0].value.set_index("model")
    assert table.loc["acme/broken", "usd"] == pytest.approx(0.003)
    assert table["usd"].isna()["acme/routed"]  # its price varies
    assert table["seconds"].isna()["acme/routed"]  # and nobody probes it


def test_an_old_link_to_routing_keeps_its_cached_share(filled: Path) -> None:
    app = open_page("routing.py", model="acme/broken", prompt="2000", cached="50")
    assert not app.exception
    assert app.number_input(key="workload_cached_tokens").value == 1_000


@pytest.mark.parametrize("odd", ["-1", "x", "9" * 400, "1e400", "nan", ""])
def test_an_odd_size_in_the_address_breaks_nothing(filled: Path, odd: str) -> None:
    for page in ("", "compare.py"):
        assert not open_page(page, prompt=odd, cached_tokens=odd, output=odd, cached=odd).exception
