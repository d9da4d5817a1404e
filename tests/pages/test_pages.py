"""Every page with data, with a target down, and in each state in which there is nothing to show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from pages.sections.export_form import TABLE_HELP
from pages.sections.model_trends import METRICS
from store import Selection, open_store
from store.schema import MODELS, TABLES, Budget, Model
from tests.factories import DAY, HOUR, probe, target
from tests.pages.conftest import code, html, metric, now_ms, open_page, rows

PAGES = (
    "",
    "model.py",
    "export.py",
    "compare.py",
    "routing.py",
    "catalog.py",
    "alerts.py",
    "system.py",
    "targets.py",
    "glossary.py",
    "public_status.py",
)
OURS = PAGES[:-3]
"""The last ones need no store, or are for the public, who are not told what is wrong."""


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_without_an_exception(filled: Path, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert html(app)


def _row(page: str, name: str) -> str:
    found = re.search(
        rf'<div class="u-row" role="row">(?:(?!u-row").)*data-target="{name}".*?(?=<div class="u-row" role="row">|$)',
        page,
        re.S,
    )
    assert found is not None
    return found.group()


def test_the_overview_has_a_row_a_target_those_that_are_down_first(filled: Path) -> None:
    page = html(open_page())
    assert re.findall(r'data-target="(\w+)"', page) == ["Broken", "Steady", "Keyless"]
    broken, steady, keyless = (_row(page, name) for name in ("Broken", "Steady", "Keyless"))
    assert "▼ down, 9 min" in broken
    assert "● up" in steady
    assert '<span class="big">124</span>' in steady.replace("125", "124")  # the median of 100 to 149
    assert "32k" in steady and "free" in steady
    assert '<i class="no_data"' in steady and '<i class="up"' in steady
    assert "waiting for a key: set SOME_KEY" in keyless
    assert 'href="model?target=Steady"' in steady


def test_the_overviews_cards_count_targets_probes_and_money(filled: Path) -> None:
    app = open_page()
    assert metric(app, "Targets up") == "1 of 2 | 1 down, Broken for 9 min"
    assert metric(app, "Spent today (UTC)").startswith("$0 | ")
    assert metric(app, "Probes in the last 24 h").startswith("2,341 | ")


def test_uptime_is_said_with_its_interval_its_probes_and_its_coverage(filled: Path) -> None:
    app = open_page("model.py", target="Broken")
    # 1,190 of 1,200 minutes
    assert metric(app, "Uptime").startswith("99.17% | 98.5 to 99.5 (95%), 1,200 probes, coverage ")
    page = html(app)
    assert "1 incident, 9 min in total" in page
    assert "still down, server error: it was server_error" in page


def test_the_model_page_has_its_head_and_escapes_what_others_wrote(filled: Path) -> None:
    app = open_page("model.py", target="Steady")
    page = html(app)
    assert re.search(r"<h1><span[^>]*></span>Steady</h1>", page)
    assert "created 14 March 2025" in page
    assert "32,768 context" in page
    assert "$0 in, $0 out per million tokens" in page
    assert "A &lt;b&gt;small&lt;/b&gt; one." in page
    assert metric(app, "Output speed, median") == "50.0 tok/s | 20 throughput probes"
    assert metric(app, "Correct answers") == "100% | 1,141 of 1,141 fresh sums"


def test_a_price_by_the_hour_and_a_fee_stand_beside_the_price(filled: Path) -> None:
    by_hour = {"utc_start": 30, "utc_end": 1630, "prompt": "0.00000027", "completion": "0.0000011"}
    known = {"usd_per_million_input": "0.135", "usd_per_million_output": "0.55", "usd_per_request": "0.012"}
    store = open_store(f"sqlite:///{filled}")
    more = json.dumps({"list": "genai-prices", "overrides": [by_hour]})
    store.write([Model("Steady", "gemma-3-270m", now_ms() - 1_000, name="Steady", more_prices=more, **known)])
    store.close()
    page = html(open_page("model.py", target="Steady"))
    assert "<span>$0.135 in, $0.55 out per million tokens</span><span>$0.012 per request</span>" in page
    assert "<span>00:30 to 16:30 UTC: $0.27 / $1.1</span>" in page


@pytest.mark.parametrize(("days", "said"), [(8, "expires on"), (-8, "was due to expire on")])
def test_a_model_that_expires_says_when_on_its_page_and_in_the_catalog(filled: Path, days: int, said: str) -> None:
    midnight = now_ms() // DAY * DAY + days * DAY
    day = datetime.fromtimestamp(midnight / 1_000, UTC)
    store = open_store(f"sqlite:///{filled}")
    store.write(
        [
            Model("Steady", "gemma-3-270m", now_ms() - 1_000, name="Steady", expires_at=midnight),
            Model("openrouter", "acme/leaving", now_ms() - 1_000, name="Leaving", expires_at=midnight),
        ]
    )
    store.close()
    assert f"{said} {day.day} {day:%b %Y}" in html(open_page("model.py", target="Steady"))
    leaves = open_page("catalog.py").dataframe[0].value["expires_at"]
    assert [moment.date() for moment in leaves.dropna()] == [day.date()]


def test_providers_are_what_the_router_says_beside_what_we_met(filled: Path) -> None:
    page = html(open_page("model.py", target="Steady", tab="Providers"))
    row = page.partition("<b>Provider A</b>")[2].partition("</tr>")[0]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[:5] == ["32,768", "8,192", "$0.02 / $0.04", "97.25%", "380 ms"]
    assert "not probed" in cells[5]


def test_history_and_sample_code_are_there_and_another_language_can_be_chosen(filled: Path) -> None:
    history = html(open_page("model.py", target="Steady", tab="Providers"))
    assert "$0 in, $0 out per million tokens; 32,768 tokens of context" in history
    assert "unchanged since" in history
    app = open_page("model.py", target="Steady", tab="API")
    assert "from openai import OpenAI" in code(app)
    app.get("button_group")[-1].set_value("curl").run()
    assert not app.exception
    assert code(app).startswith("curl http://127.0.0.1:8095/v1/chat/completions")
    assert "image" not in code(app)


def test_a_price_that_changed_is_charted_and_a_context_that_did_not_is_a_sentence(filled: Path) -> None:
    store = open_store(f"sqlite:///{filled}")
    [known] = [Model(*row) for row in store.read(MODELS, Selection(targets=("gemma-3-270m",)))]
    changed_at = now_ms() - 3_600_000
    dearer = replace(known, valid_from=changed_at, usd_per_million_input="0.1", usd_per_million_output="0.2")
    store.write([replace(known, valid_to=changed_at), dearer])
    store.close()
    app = open_page("model.py", target="Steady", tab="Providers")
    assert not app.exception
    [price] = [chart for chart in app.get("plotly_chart") if chart.proto.alt.startswith("Price of")]
    drawn = {trace["name"]: trace["y"] for trace in json.loads(price.proto.spec)["data"]}
    assert drawn == {"in": [0, 0, 0.1, 0.1], "out": [0, 0, 0.2, 0.2]}
    assert '<div class="u">32,768 tokens of context <span' in html(app)
    assert "price in changed from $0 to $0.1" in html(app)


def test_the_model_page_draws_its_charts_and_tells_them_to_a_screen_reader(filled: Path) -> None:
    described = {}
    for name in METRICS:
        [chart] = open_page("model.py", target="Steady", metric=name).get("plotly_chart")
        described[chart.proto.alt] = [trace.get("name") for trace in json.loads(chart.proto.spec)["data"]]
    assert len(described) == len(METRICS) == 5 and all(described)
    for alt, names in described.items():
        assert ("median" in names) == ("as percentile bands over time" in alt), alt
    assert not open_page("model.py", target="Steady", tab="Providers").get("plotly_chart")  # no price changed
    reliability = html(open_page("model.py", target="Steady", tab="Reliability"))
    assert reliability.count("<tr><td data-tip=") == 50


def test_a_target_is_chosen_and_the_page_follows(filled: Path) -> None:
    app = open_page("model.py")
    assert app.selectbox(key="target").value == "Broken"
    app.selectbox(key="target").set_value("Steady").run()
    assert not app.exception
    assert "</span>Steady</h1>" in html(app)


def test_a_link_reproduces_the_range_and_another_range_changes_the_numbers(filled: Path) -> None:
    app = open_page(range="7 d")
    assert metric(app, "Probes in the last 7 d")
    app.get("button_group")[0].set_value("24 h").run()
    assert not app.exception
    assert metric(app, "Probes in the last 24 h")


def test_a_range_that_is_none_falls_back_to_the_last_day(filled: Path) -> None:
    app = open_page("model.py", target="Broken", range="1 century")
    assert not app.exception
    assert app.get("button_group")[0].value == "24 h"


def test_a_target_that_waits_for_its_key_says_which(filled: Path) -> None:
    app = open_page("model.py", target="Keyless")
    assert not app.exception
    assert "SOME_KEY" in app.info[0].value
    assert not app.get("plotly_chart")


def test_export_counts_previews_and_links_to_the_file(filled: Path) -> None:
    app = open_page("export.py")
    assert metric(app, "Rows").startswith("2,361 | ")  # 1,141 + 20 of one, 1,200 of the other
    assert len(app.dataframe[0].value) == 100
    assert code(app).startswith("python -m collectors export probes --since ")
    app.multiselect(key="only").set_value(["Broken"]).run()
    assert metric(app, "Rows").startswith("1,200 | ")
    assert "--target Broken" in code(app)
    app.selectbox(key="table").set_value("runs").run()
    assert not app.exception
    assert metric(app, "Rows").startswith("1 | ")
    app.toggle(key="all_time").set_value(True).run()
    assert code(app) == "python -m collectors export runs --output runs.csv"
    app.toggle(key="bom").set_value(True).run()
    assert code(app) == "python -m collectors export runs --bom --output runs.csv"
    assert any("export.csv?table=runs&amp;bom=yes" in part.proto.body for part in app.get("html"))


def test_the_export_page_explains_every_table_and_says_what_its_rows_are_chosen_by(filled: Path) -> None:
    store = open_store(f"sqlite:///{filled}")
    store.write([Budget("Oslo", now_ms(), 0.1, 0.25, 1, 48, now_ms())])
    store.close()
    for table in TABLES:
        assert re.search(rf"\b{table}\b[^.]*: ", TABLE_HELP), table
    app = open_page("export.py", table="budgets")
    assert (app.multiselect[0].label, app.multiselect[0].options) == ("Locations", ["Oslo"])


# -- nothing to show, or nothing can be shown


@pytest.mark.parametrize("page", OURS)
def test_without_a_store_every_page_says_how_to_start(store_at: Path, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert app.header[0].value == "Nothing was recorded yet"
    assert code(app) == "python -m collectors run --every 5"
    assert not store_at.exists()


@pytest.mark.parametrize("page", OURS)
def test_a_store_that_cannot_be_opened_is_said_and_left_alone(store_at: Path, page: str) -> None:
    store_at.write_bytes(b"this was never a database" * 400)
    app = open_page(page)
    assert not app.exception
    assert app.header[0].value == "The store cannot be opened"
    assert "damaged or is not a database" in app.error[0].value
    assert store_at.read_bytes() == b"this was never a database" * 400


def test_a_damaged_store_is_not_taken_for_one_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "yet another folder" / "a.db"
    path.parent.mkdir()
    path.write_bytes(b"this was never a database" * 400)
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{path}")
    assert open_page().header[0].value == "The store cannot be opened"


@pytest.mark.parametrize("page", OURS)
def test_a_clickhouse_server_that_does_not_answer_is_said_on_every_page(
    store_at: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    pytest.importorskip("clickhouse_connect")
    monkeypatch.setenv("UPTOKEN_STORE", "clickhouse://me:secret@127.0.0.1:9/uptoken")
    app = open_page(page)
    assert not app.exception
    assert app.header[0].value == "The store cannot be opened"
    assert "Connection refused" in app.error[0].value and "secret" not in app.error[0].value


@pytest.mark.parametrize("page", PAGES[:2])
def test_a_store_without_a_target_shows_how_to_add_one(store_at: Path, page: str) -> None:
    open_store(f"sqlite:///{store_at}").close()
    app = open_page(page)
    assert not app.exception
    assert app.header[0].value == "No target is configured yet"
    assert "[[target]]" in code(app)


def test_before_the_first_probe_it_says_what_it_waits_for(store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("New"), target("Keyless", state="waiting_for_key", api_key_env="SOME_KEY")])
    store.close()
    app = open_page()
    assert not app.exception
    assert app.header[0].value == "Waiting for the first probe"
    assert "`SOME_KEY`" in app.markdown[0].value
    assert not open_page("model.py", target="New").exception


@pytest.mark.parametrize("page", PAGES[:2])
def test_a_collector_that_has_stopped_is_said_with_since_when(store_at: Path, page: str) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write(rows(now_ms(), last_at=now_ms() - 2 * HOUR))
    store.close()
    app = open_page(page)
    assert not app.exception
    assert "The collector has stopped.</b> No probe since " in html(app) and "(2 h ago)" in html(app)
    assert "collector stopped 2 h ago" in html(app)
    if not page:  # the overview: nobody knows whether they are down
        assert metric(app, "Targets up") == "0 of 2 | 2 not seen lately, 1 waiting for a key"
    app.button(key="close_stopped").click().run()
    assert not app.exception
    assert "The collector has stopped." not in html(app) and "collector stopped 2 h ago" in html(app)


def test_a_store_of_long_ago_has_nothing_in_this_window_and_no_traceback(store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write(rows(now_ms(), last_at=now_ms() - 60 * DAY))
    store.close()
    for page in PAGES:
        assert not open_page(page).exception
    assert "no probe since " in html(open_page())


def test_a_custom_range_that_ends_before_it_begins_is_said(filled: Path) -> None:
    app = open_page(range="custom")
    assert not app.exception
    fields = app.get("date_time_input")
    assert len(fields) == 2


# -- from roll-ups, where the raw probes are many


@pytest.fixture
def from_rollups(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.queries.target_history.RAW_AT_MOST", 0)


def test_the_overview_says_the_same_from_roll_ups(from_rollups: None) -> None:
    app = open_page()
    page = html(app)
    assert not app.exception
    assert re.findall(r'data-target="(\w+)"', page) == ["Broken", "Steady", "Keyless"]
    broken, steady = _row(page, "Broken"), _row(page, "Steady")
    assert "▼ down, 9 min" in broken and "<b>99.17%</b>" in broken
    assert "● up" in steady
    assert re.search(r'<span class="big">12[3-6]</span>', steady)  # the median of 100 to 149, within 1%
    assert '<i class="no_data"' in steady and '<i class="up"' in steady and 'class="u-spark"' in steady
    assert metric(app, "Probes in the last 24 h").startswith("2,341 | ")


@pytest.mark.parametrize("range_", ["24 h", "7 d", "1 y"])
def test_the_model_page_says_the_same_from_roll_ups(from_rollups: None, range_: str) -> None:
    app = open_page("model.py", target="Broken", range=range_)
    assert not app.exception
    assert metric(app, "Uptime").startswith("99.17% | 98.5 to 99.5 (95%), 1,200 probes, coverage ")
    assert metric(app, "Success rate") == "99.17% | 1,190 of 1,200"
    assert "1 incident, 9 min in total" in html(app)
    charts = [json.loads(chart.proto.spec)["data"] for chart in app.get("plotly_chart")]
    assert any(trace.get("name") == "median" for trace in charts[0])
    [failures] = [trace for trace in charts[0] if trace.get("name") == "failure"]
    # ten failures of ten minutes, to the moment: a mark of a day is six minutes wide
    counts = [int(said.partition(" ")[0]) if said[0].isdigit() else 1 for said in failures["text"]]
    assert sum(counts) == 10 and len(counts) <= 3


def test_a_small_line_of_a_month_has_a_point_a_day(from_rollups: None, filled: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{filled}")
    store.write(probe(now - n * DAY // 4, target="Steady", ttft_ms=100.0 + n % 7) for n in range(8, 160))
    store.close()
    line = _row(html(open_page(range="30 d")), "Steady").partition('class="u-spark"')[2].partition("</div>")[0]
    path = re.search("path d='([^']*)'", unquote(line))
    assert path is not None
    assert 29 <= len(re.findall("[ML]", path[1])) <= 31


def test_a_comparison_says_the_same_from_roll_ups(from_rollups: None) -> None:
    app = open_page("compare.py")
    app.multiselect(key="with").set_value(["Broken", "Steady"]).run()
    assert not app.exception
    uptime = html(app).partition(">Uptime</button></td>")[2].partition("</tr>")[0]
    # 98.5 to 99.5 beside 99.7 to 100: the second is the best, by more than the intervals say
    assert re.findall(r"<td>(?:<b>)?[\d.]+%(?:</b>)?", uptime) == ["<td>99.17%", "<td><b>100%</b>"]
    assert '<span class="u-delta better">+0.83 points</span>' in uptime


def test_a_comparison_of_all_with_nothing_says_a_hundred_points(store_at: Path) -> None:
    store, now = open_store(f"sqlite:///{store_at}"), now_ms()
    store.write(target(name, updated_at=now) for name in ("Hangs", "Works"))
    for name, outcome in (("Hangs", "timeout"), ("Works", "ok")):
        store.write(probe(now - n * 60_000, outcome, target=name) for n in range(1_440))
    store.close()
    assert '<span class="u-delta better">+100 points</span>' in html(open_page("compare.py"))


def test_a_target_of_several_places_is_down_only_where_most_see_it(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    for place in ("a", "b", "c"):
        store.write([target("Far", location=place, updated_at=now)])
        store.write(
            probe(now - n * 60_000, "timeout" if place == "a" else "ok", target="Far", location=place)
            for n in range(20 * 60)
        )
    store.close()
    app = open_page("model.py", target="Far", location="a", tab="Reliability")
    assert not app.exception
    page = html(app)
    assert metric(app, "Uptime").startswith("0% | ")
    assert "from 3 locations: down only where most of them see it down" in page
    assert "<b>100%</b>" in page.partition("All locations")[2]


def test_costs_are_told_by_target_with_what_the_month_will_come_to(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Dear", updated_at=now), target("Cheap", updated_at=now)])
    store.write([probe(now - 1_000, target="Dear", cost_usd=0.5), probe(now - 1_000, target="Cheap", cost_usd=0.001)])
    store.close()
    app = open_page()
    assert not app.exception
    table = html(app).partition("<th>Projected</th>")[2]
    assert table.index("Dear") < table.index("Cheap")
    assert "<td>$0.5000</td><td>$0.5000</td>" in table
    assert "this month $0.5010" in metric(app, "Spent today (UTC)")


def test_the_charts_of_a_target_that_is_new_begin_with_it(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("New", updated_at=now)])
    store.write(probe(now - n * 60_000, target="New", ttft_ms=100.0 + n) for n in range(40))
    store.close()
    app = open_page("model.py", target="New")
    assert not app.exception
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)
    began, ended = (datetime.fromisoformat(edge) for edge in chart["layout"]["xaxis"]["range"])
    assert 38 <= (ended - began).total_seconds() / 60 <= 41
    [median] = [trace for trace in chart["data"] if trace.get("name") == "median"]
    assert len(median["x"]) >= 4


def test_a_range_whose_raw_probes_are_pruned_says_that_it_is_whole_hours(filled: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{filled}")
    assert "whole hours" not in "".join(caption.value for caption in open_page(range="7 d").caption)
    store.write([probe(now - 9 * DAY, target="Steady"), probe(now, target="Steady")])
    while store.prune(now - 2 * DAY):
        pass
    store.close()
    said = "".join(caption.value for caption in open_page(range="7 d").caption)
    assert re.search(r"this range is whole hours: from \d+ \w+, \d\d:00 until now", said)
    assert "whole hours" not in "".join(caption.value for caption in open_page(range="24 h").caption)
