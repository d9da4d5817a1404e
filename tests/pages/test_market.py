"""What the router tells, on the pages: providers and usage of a model, routing, the catalog, comparisons."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from pages.sections import routing_plans
from store import open_store
from store.capability_tables import CapabilityTest
from tests.factories import DAY, probe, target
from tests.pages.conftest import FRONT, code, html, now_ms, open_page


def row_of(page: str, name: str) -> list[str]:
    """The cells of the first table row that begins with a name, without markup."""
    found = re.search(rf"<tr[^>]*><td><b>{name}</b>.*?</tr>", page, re.S)
    assert found is not None, name
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", found.group(), re.S)]


def facts(page: str, label: str) -> list[str]:
    """The cells of the comparison's row with a label."""
    found = re.search(rf"<tr><td>(?:<button[^>]*>)?{label}(?:</button>)?</td>(.*?)</tr>", page, re.S)
    assert found is not None, label
    return [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<td>(.*?)</td>", found.group(1), re.S)]


# -- the model page


def test_a_provider_is_shown_with_its_conditions_and_what_it_supports(filled: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Providers"))
    cells = row_of(page, "Alpha")
    assert cells[0] == "Alpha bf16tools, 1 more parameter, zero data retention"
    assert cells[3] == "$1 / $150% offabove 32,000 prompt tokens: $4"


def test_uptime_by_provider_is_what_is_reported_beside_our_own_requests(filled: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Providers")).partition("Reported in this range")[2]
    alpha, beta = row_of(page, "Alpha"), row_of(page, "Beta")
    assert alpha[2:] == ["95.00%", "0% · 0 of 297"]  # every fourth of 1,190 minutes, counted from the tenth
    assert beta[2:] == ["95.00%", "100% · 1,190 of 1,190"]
    strip = page.partition('class="u-strip"')[2].partition("</div>")[0]
    assert "partly down" in strip and "1 report" in strip


def test_fallbacks_say_who_was_tried_first_and_who_came_after(filled: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Providers")).partition("Tried first")[2]
    assert row_of(page, "Beta") == ["Beta", "75.0% · 893", "100%", "never"]
    assert row_of(page, "Alpha") == ["Alpha", "25.0% · 297", "0%", "Beta 297×"]
    assert "25.0% of 1,190 routed requests were not answered by the provider that was tried first" in page


def test_fallbacks_of_a_router_without_a_catalog_are_shown_too_and_of_no_router_are_not(store_at: Path) -> None:
    """LiteLLM names its attempts in its headers, and lists no endpoints."""
    attempts = [{"provider": "small", "model": "a", "status": 500}, {"provider": "large", "model": "b", "status": 200}]
    store = open_store(f"sqlite:///{store_at}")
    store.write([target(name, updated_at=now_ms()) for name in ("Routed", "Plain")])
    at = now_ms() - 60_000
    store.write([probe(at - n * 60_000, target="Routed", route=json.dumps(attempts)) for n in range(4)])
    store.write([probe(at - n * 60_000, target="Plain") for n in range(4)])
    store.close()
    page = html(open_page("model.py", target="Routed", tab="Providers"))
    assert row_of(page.partition("Tried first")[2], "small") == ["small", "100% · 4", "0%", "large 4×"]
    assert "Uptime by provider" not in page
    assert "Tried first" not in html(open_page("model.py", target="Plain", tab="Providers"))


def test_activity_is_by_version_as_bars_or_as_shares_and_names_its_source(filled: Path) -> None:
    app = open_page("model.py", target="Broken", tab="Usage")
    activity = next(c for c in app.get("plotly_chart") if "by variant" in c.proto.alt)
    bars = json.loads(activity.proto.spec)["data"]
    assert [bar["name"] for bar in bars] == ["standard", "free"]
    assert "CC BY 4.0" in html(app)
    app.get("button_group")[2].set_value("Share").run()
    activity = next(c for c in app.get("plotly_chart") if "by variant" in c.proto.alt)
    assert json.loads(activity.proto.spec)["layout"]["yaxis"]["tickformat"] == ".0%"
    app.get("button_group")[1].set_value("Your account").run()
    assert not app.exception
    assert any("by provider" in c.proto.alt for c in app.get("plotly_chart"))


def test_apps_are_told_for_all_models_and_ones_own_use_for_this_one(filled: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Usage"))
    assert "over all models: it does not report them by model" in page
    assert "1. &lt;b&gt;Chat&lt;/b&gt;" in page and "50B" in page
    assert "<td>Beta</td><td>7k</td><td>30</td><td>$2.50</td>" in page


# -- routing


def test_the_order_the_chances_and_the_reasons(filled: Path) -> None:
    app = open_page("routing.py", model="acme/broken", strategy="Price", prompt="1000000", output="0")
    page = html(app)
    assert "No endpoint can serve this request" in page
    assert "its context is 65,536 tokens, the request needs 1,000,000" in page
    app = open_page("routing.py", model="acme/broken", strategy="Price", prompt="30000", output="0")
    page = html(app)
    assert row_of(page, "Alpha")[:3] == ["Alpha bf16", "$0.015", "90.0%recent outage"]
    assert row_of(page, "Beta")[2] == "10.0%recent outage"
    # 400 ms and nothing of a speed are reported; of Beta there are 1,190 probes of 100 ms
    assert row_of(page, "Alpha")[4:8] == ["400 ms", "–", "–", "–"]
    assert row_of(page, "Beta")[4:6] == ["400 ms", "100 ms"]
    assert "<b>Default routing</b>" in page and "<pre" not in page


def test_needs_and_policies_leave_out_and_go_into_the_provider_object(filled: Path) -> None:
    app = open_page("routing.py", model="acme/broken")
    app.multiselect(key="needs").set_value(["tools", "images"]).run()
    app.selectbox(key="data").set_value("Zero data retention").run()
    assert not app.exception
    page = html(app)
    assert "it does not support tools; it is not on the router&#39;s list of endpoints that keep nothing" in page
    assert json.loads(code(app)) == {"provider": {"require_parameters": True, "zdr": True}}
    app.toggle(key="fixed").set_value(True).run()
    assert json.loads(code(app))["provider"]["order"] == ["alpha/bf16"]
    app.selectbox(key="data").set_value("No training on prompts").run()
    assert "The router's API does not report which providers collect prompts" in app.caption[-1].value


def test_an_endpoint_whose_tests_fail_is_left_out_where_what_was_measured_counts(filled: Path) -> None:
    store = open_store(f"sqlite:///{filled}")
    tests = [(1, "Alpha", "fails"), (2, "Alpha", "fails")]
    store.write(
        CapabilityTest("Broken", now_ms() - n * DAY, "here", "tools", verdict, "ok", 1, True, "no call", provider)
        for n, provider, verdict in tests
    )
    store.close()
    claimed = html(open_page("routing.py", model="acme/broken", needs="tools"))
    assert row_of(claimed, "Alpha")[0] == "Alpha bf16" and "its tests show" not in claimed
    app = open_page("routing.py", model="acme/broken", needs="tools", capabilities="Measured")
    assert not app.exception
    assert "No endpoint can serve this request" in html(app)
    assert row_of(html(app), "Alpha")[1] == "its tests show that it lacks tools"
    assert json.loads(code(app)) == {"provider": {"ignore": ["alpha/bf16"], "require_parameters": True}}
    assert all(each.value != routing_plans.NO_TESTS for each in app.caption)
    app.selectbox(key="model").set_value("gemma-3-270m").run()
    assert any(each.value == routing_plans.NO_TESTS for each in app.caption)


def test_our_own_probes_tell_another_order_beside_the_report(filled: Path) -> None:
    app = open_page("routing.py", model="acme/broken", hour="100")
    page = html(app)
    assert "Measured by your probes" in page
    assert [row_of(page, name)[-1] for name in ("Alpha", "Beta")] == ["0%", "100%"]
    assert [row_of(page, name)[3] for name in ("Alpha", "Beta")] == ["0%recent outage", "100%"]


def test_a_sort_shows_ranks(filled: Path) -> None:
    page = html(open_page("routing.py", model="acme/broken", strategy="Lowest price"))
    assert [row_of(page, name)[2][:2] for name in ("Alpha", "Beta")] == ["1.", "2."]


def test_links_from_before_the_strategies_were_renamed_still_select_them(filled: Path) -> None:
    app = open_page("routing.py", model="acme/broken", strategy="Sort: cheapest", data="Keeps nothing")
    assert not app.exception
    assert row_of(html(app), "Alpha")[2].startswith("1.")
    assert app.selectbox(key="data").value == "Zero data retention"


def test_without_endpoints_routing_says_where_they_come_from(store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Alone")])
    store.close()
    app = open_page("routing.py")
    assert not app.exception
    assert "Endpoints come from a router's catalog" in app.info[0].value


# -- the catalog


def test_the_catalog_lists_what_the_router_lists_newest_first(filled: Path) -> None:
    app = open_page("catalog.py")
    table = app.dataframe[0].value
    assert set(table["model"]) == {"acme/broken", "acme/cheap:free", "acme/routed"}
    broken = table.set_index("model").loc["acme/broken"]
    assert (broken["usd_per_million_input"], broken["providers"], broken["context_tokens"]) == (1.0, 2, 65_536)
    assert round(broken["ttft_ms"]) == 100  # our own median
    assert table.set_index("model").loc["acme/routed"].isna()["usd_per_million_input"]  # it varies


def test_measured_models_are_first_and_the_selection_is_in_the_address(filled: Path) -> None:
    store = open_store(f"sqlite:///{filled}")
    store.write([target("Cheap", model="acme/cheap:free"), probe(now_ms() - 60_000, target="Cheap")])
    store.close()
    app = open_page("catalog.py", picked="acme/routed")
    assert list(app.dataframe[0].value["model"])[2:] == ["acme/routed"]
    assert list(app.dataframe[0].value.columns)[:2] == ["name", "model"]
    assert "Select 2 to 6 rows" in "".join(caption.value for caption in app.caption)
    app = AppTest.from_file(FRONT, default_timeout=30)
    app.query_params["picked"] = ["acme/routed", "acme/broken", "not/known"]
    app.query_params["q"] = "broken"  # what a filter hides stays selected
    app.run()
    [link] = list(app.switch_page("../catalog.py").run().get("page_link"))
    assert link.proto.label == "Compare 2 models"
    assert parse_qsl(link.proto.query_string) == [("with", "Broken"), ("with", "acme/routed")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "acme free"}, {"acme/cheap:free"}),
        ({"q": "nothing like it"}, set()),
        ({"context": "32k"}, {"acme/broken", "acme/routed"}),
        ({"price": "$1"}, {"acme/cheap:free"}),
        ({"price": "$5"}, {"acme/broken", "acme/cheap:free"}),
        ({"free": "true"}, {"acme/cheap:free"}),
        ({"takes": "image"}, {"acme/broken"}),
        ({"supports": "tools"}, {"acme/broken", "acme/routed"}),
    ],
)
def test_a_link_to_the_catalog_keeps_its_filters(filled: Path, query: dict[str, str], found: set[str]) -> None:
    app = open_page("catalog.py", **query)
    assert not app.exception
    if found:
        assert set(app.dataframe[0].value["model"]) == found
    else:
        assert "No model matches all filters" in app.info[0].value


def test_both_scatters_are_told_to_a_screen_reader(filled: Path) -> None:
    charts = open_page("catalog.py").get("plotly_chart")
    assert [chart.proto.alt for chart in charts] == [
        "Each model by its price and its context size",
        "Each probed model by its price and its measured output speed",
    ]
    named = [trace["name"] for trace in json.loads(charts[0].proto.spec)["data"]]
    assert named == ["paid", "free"]


def test_a_catalog_that_was_never_read_says_how(store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Alone")])
    store.close()
    assert "--only catalog" in open_page("catalog.py").info[0].value


# -- comparisons


def test_targets_and_models_stand_side_by_side(filled: Path) -> None:
    app = open_page("compare.py", prompt="1000", output="1000")
    app.multiselect(key="with").set_value(["Broken", "Steady", "acme/cheap:free"]).run()
    assert not app.exception
    page = html(app)
    assert facts(page, "Uptime")[0].startswith("99.17%")
    assert facts(page, "Uptime")[2] == "–"
    costs = facts(page, "Cost of 1,000 requests, 1,000 in, 1,000 out")
    assert [cost.split()[0] for cost in costs] == ["$3.00", "$0", "$0"]
    assert "−$3.00" in costs[1] and "<b>$0</b>" not in page  # two are as cheap: none is the best
    assert facts(page, "Context") == ["65,536", "32,768", "8,192"] and "<b>65,536</b>" in page
    assert "not probed" in page
    assert len(app.get("plotly_chart")) == 2


def test_who_comes_without_a_choice_finds_two_compared_and_a_link_is_followed(filled: Path) -> None:
    app = open_page("compare.py")
    assert app.multiselect(key="with").value == ["Broken", "Steady"]
    assert facts(html(app), "Uptime")[0].startswith("99.17%")
    app.multiselect(key="with").set_value([]).run()
    assert "Choose 2 to 6" in html(app), "nobody chooses again for who took all away"


def test_fewer_than_two_are_no_comparison_and_models_that_nobody_probes_have_no_charts(filled: Path) -> None:
    app = open_page("compare.py")
    app.multiselect(key="with").set_value(["Broken"]).run()
    assert "Choose 2 to 6" in html(app)
    app.multiselect(key="with").set_value(["acme/cheap:free", "acme/routed"]).run()
    assert not app.exception
    assert facts(html(app), "Price per million, in / out") == ["$0 / $0", "varies / varies"]
    assert "Uptime" not in html(app)
    assert not app.get("plotly_chart")


@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("Providers", "No router lists providers of this model, and its responses name none."),
        ("Usage", "No router lists this model, so its usage is not reported."),
        ("Traffic", "No request has passed to this target through the relay"),
    ],
)
def test_a_tab_with_nothing_to_show_says_so_in_one_line(store_at: Path, tab: str, said: str) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Alone"), probe(now_ms() - 60_000, target="Alone")])
    store.close()
    app = open_page("model.py", target="Alone", tab=tab)
    assert not app.exception
    assert said in html(app) and not app.get("plotly_chart") and "u-title" not in html(app).partition(said)[2][:200]
