"""The overview's rows: sorted, compact, grouped, filtered."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from pages.shell.browser import SORT
from store import open_store
from store.schema import PROBES, Endpoint, EndpointStats, Model, Probe, Row
from tests.factories import MINUTE, attempt, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page, text


def _names(page: str) -> list[str]:
    return re.findall(r'data-target="([^"]+)"', page)


@pytest.fixture
def four(store_at: Path) -> Path:
    """Four targets of two hours: Ant is the slowest to begin, Bee down half of the time, Cat the dearest, Dog unknown."""
    now = now_ms()
    rows: list[Row] = [
        target("Ant", tags="prod,eu", every_s=60.0),
        target("Bee", tags="prod", every_s=60.0),
        target("Cat", tags="eu", every_s=60.0),
        target("Dog", every_s=60.0, state="waiting_for_key"),
    ]
    for name, price in (("Ant", "1"), ("Bee", "2"), ("Cat", "3")):
        rows.append(
            Model(name, "gemma-3-270m", now - 1, usd_per_million_input=price, usd_per_million_output=price, name=name)
        )
    for n in range(120):
        at = now - 20_000 - n * MINUTE
        rows.append(probe(at, target="Ant", ttft_ms=900.0))
        rows.append(probe(at, "ok" if n % 2 else "timeout", target="Bee", ttft_ms=300.0 if n % 2 else None))
        rows.append(probe(at, target="Cat", ttft_ms=100.0))
        if n % 10 == 0:
            for name, speed in (("Ant", 30.0), ("Bee", 10.0), ("Cat", 20.0)):
                rows.append(
                    probe(at + 1, target=name, profile="throughput", tokens_per_second=speed, stands_for_s=600.0)
                )
    store = open_store(f"sqlite:///{store_at}")
    store.write(rows)
    store.close()
    return store_at


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["Ant", "Bee", "Cat", "Dog"]),
        ("uptime", ["Bee", "Ant", "Cat", "Dog"]),  # 50%, 100%, 100%, unknown
        ("p95", ["Ant", "Bee", "Cat", "Dog"]),  # 900, 300, 100 ms
        ("speed", ["Bee", "Cat", "Ant", "Dog"]),  # 10, 20, 30 a second
        ("price", ["Cat", "Bee", "Ant", "Dog"]),  # $3, $2, $1
    ],
)
def test_rows_are_sorted_by_what_needs_attention_and_the_unknown_is_last(
    four: Path, order: str, expected: list[str]
) -> None:
    assert _names(html(open_page(sort=order))) == expected


def _sorted_heads(page: str) -> list[tuple[str, str]]:
    """Each head that sorts, and its `aria-sort`."""
    found = re.findall(r'<div role="columnheader" aria-sort="(\w+)">.*?data-sort="(\w+)"', page)
    return [(order, direction) for direction, order in found if direction != "none"]


def test_a_click_on_a_head_sorts_by_its_column_and_a_second_one_reverses_it(four: Path) -> None:
    app = open_page(compact="true")
    assert _sorted_heads(html(app)) == [("state", "descending")]
    for order, direction, expected in (
        ("speed", "ascending", ["Bee", "Cat", "Ant", "Dog"]),  # 10, 20, 30 a second
        ("speed", "descending", ["Ant", "Cat", "Bee", "Dog"]),
        ("p95", "descending", ["Ant", "Bee", "Cat", "Dog"]),  # 900, 300, 100 ms
        ("no such column", "descending", ["Ant", "Bee", "Cat", "Dog"]),
    ):
        app.session_state[SORT] = order
        app.run()
        assert not app.exception
        assert _names(html(app)) == expected
        assert _sorted_heads(html(app))[0][1] == direction
    assert (app.selectbox(key="sort").value, app.toggle(key="reverse").value) == ("p95", False)


def test_the_rows_are_a_file_in_the_pages_order_through_its_filter(four: Path) -> None:
    page = html(open_page(sort="speed", prompt="1000", output="500", show="down"))
    link = unescape(re.findall(r'href="(api/overview.csv[^"]*)" download', page)[0])
    assert link == "api/overview.csv?range=86400s&state=down&sort=speed&prompt=1000&output=500&cached_tokens=0"


def test_best_first_turns_the_order_around_and_leaves_the_unknown_last(four: Path) -> None:
    assert _names(html(open_page(sort="speed", reverse="true"))) == ["Ant", "Cat", "Bee", "Dog"]


def test_with_a_workload_the_price_that_sorts_is_that_of_the_request(four: Path) -> None:
    store = open_store(f"sqlite:///{four}")
    dear_out = {"usd_per_million_input": "0.5", "usd_per_million_output": "9"}
    store.write([Model("Ant", "gemma-3-270m", now_ms(), name="Ant", **dear_out)])
    store.close()
    # blended Ant is (3 x 0.5 + 9) / 4 = $2.63; with nothing but prompt $0.50 per million
    assert _names(html(open_page(sort="price"))) == ["Cat", "Ant", "Bee", "Dog"]
    assert _names(html(open_page(sort="price", prompt="1000", output="0"))) == ["Cat", "Bee", "Ant", "Dog"]


def test_compact_rows_say_the_same_in_one_line(four: Path) -> None:
    page = html(open_page(compact="true", sort="name"))
    row = text(page.partition('data-target="Ant"')[2].partition('<div class="u-row')[0].replace("</div>", " "))
    for said in ("Ant", "● up", "100%", "900", "30.0", "$1 / $1", "s ago"):
        assert said in row
    assert 'class="u-spark' not in page and 'class="u u-list compact"' in page


def test_groups_by_tag_have_their_worst_state_and_a_bar_of_all(four: Path) -> None:
    page = html(open_page(by_tag="true", sort="name"))
    heads = [text(head) for head in re.findall(r'<div class="u-group".*?</div><div role="cell">', page)]
    assert heads == ["prod 2 targets", "eu 2 targets", "no tag 1 target"]
    assert _names(page) == ["Ant", "Bee", "Ant", "Cat", "Dog"]
    states = re.findall(r'<div class="u-group".*?</div><div role="cell">(.*?)</div>', page)
    assert [text(state) for state in states] == ["▼ 1 of 2 down", "● up", "○ waiting for a key"]
    # of the two in prod one is up all the time and one half of it: a quarter of what was decided was down
    bar = page.partition("prod</b>")[2].partition('<div class="u-strip"')[2].partition("</div>")[0]
    assert 'class="partly"' in bar


def test_how_many_are_down_is_a_link_to_them(four: Path) -> None:
    store = open_store(f"sqlite:///{four}", read_only=True)
    failed_at = max(row.started_at for row in (Probe(*values) for values in store.read(PROBES)) if row.target == "Bee")
    store.close()
    page = open_page(prompt="1000")
    down = re.match(r"2 of 3 \| 1 down, Bee for (\d+) s", metric(page, "Targets up"))
    assert down is not None and 20 <= int(down[1]) <= (now_ms() - failed_at) / 1_000  # and what the test takes
    assert '<a href="./?show=down&amp;prompt=1000" target="_self">1 down</a>' in html(page)
    assert _names(html(open_page(show="down"))) == ["Bee"]
    assert _names(html(open_page(troubled="true"))) == ["Bee", "Dog"]  # an old link


def test_many_targets_have_compact_rows_until_somebody_wants_full_ones(
    four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.MANY", 3)
    assert "u-list compact" in html(open_page())
    assert "u-list compact" not in html(open_page(compact="false"))


def test_one_sentence_comes_first_and_its_parts_link_to_what_they_rest_on(four: Path) -> None:
    page = html(open_page(prompt="1000"))
    said = page.partition('<div class="u u-sentence"')[2].partition("</div>")[0]
    # all three are behind one server on this machine, so neither the host nor the network is worth a word
    assert text(said.partition(">")[2]) == "Bee is down."
    assert '<a href="model?target=Bee&amp;prompt=1000" target="_self">' in said


def test_the_router_and_the_relay_are_heard_of_what_is_down(store_at: Path) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    for name, host in (("Ant", "acme.com"), ("Bee", "acme.com"), ("Cat", "other.example")):
        store.write([target(name, model=f"m/{name}", base_url=f"https://{host}/v1")])
        failed = "server_error" if host == "acme.com" else "ok"
        store.write(probe(now - 5_000 - n * MINUTE, failed if n < 3 else "ok", target=name) for n in range(60))
    listed = [Endpoint("openrouter", f"m/{name}", "acme", now - 1, provider="Acme") for name in ("Ant", "Bee")]
    reports = [EndpointStats("openrouter", "m/Ant", "acme", now - 5 * MINUTE, uptime_30m=0.94)]
    old = [EndpointStats("openrouter", "m/Bee", "acme", now - 60 * MINUTE, uptime_30m=0.1)]
    tried = [
        attempt(now - 10 * MINUTE - n, "server_error" if n < 5 else "ok", target="Ant", request_id=f"r{n}")
        for n in range(20)
    ]
    store.write([*listed, *reports, *old, *tried])
    store.close()
    said = html(open_page()).partition('<div class="u u-sentence"')[2].partition("</div>")[0]
    assert text(said.partition(">")[2]) == (
        "2 of 3 targets are down, both behind acme.com; your network is fine; the router reports 94% for Ant in the "
        "last 30 minutes; 5 of the 20 requests you sent to them failed in the last 30 minutes."
    )
    assert 'href="./?show=down"' in said and 'href="./?find=acme.com"' in said
    assert 'href="model?target=Ant&amp;tab=Providers"' in said and 'href="model?target=Ant&amp;tab=Traffic"' in said


@pytest.fixture
def two_places(store_at: Path) -> None:
    """Ant is down from Frankfurt and up from Oslo; Bee is probed from Oslo alone."""
    now = now_ms()
    store = open_store(f"sqlite:///{store_at}")
    for name, places in (("Ant", ("Frankfurt", "Oslo")), ("Bee", ("Oslo",))):
        for place in places:
            store.write([target(name, location=place, every_s=60.0)])
            is_down = (name, place) == ("Ant", "Frankfurt")
            store.write(
                probe(
                    now - 5_000 - n * MINUTE, "timeout" if is_down and n < 30 else "ok", target=name, location=place,
                    ttft_ms=None if is_down and n < 30 else 100.0 if place == "Oslo" else 300.0,
                )
                for n in range(60)
            )  # fmt: skip
    store.close()


def test_a_target_that_several_places_probe_is_shown_from_each(two_places: None) -> None:
    page = html(open_page(by_location="true"))
    ant = page.partition('data-target="Ant"')[2].partition("</tr>")[0]
    first, *cells = (" ".join(text(f"<td{cell.replace('<br>', ' ')}").split()) for cell in ant.split("<td"))
    assert first.endswith("Ant ▼ down from Frankfurt only")
    assert cells == ["▼ down 50.0% · 300 ms", "● up 100% · 100 ms"]
    bee = page.partition('data-target="Bee"')[2].partition("</tr>")[0]
    assert "● up everywhere" in text(bee) and "not probed" in text(bee)


def test_a_target_that_matches_at_one_location_keeps_its_others_in_the_table_by_location(two_places: None) -> None:
    page = html(open_page(by_location="true", show="down"))
    ant = page.partition('data-target="Ant"')[2].partition("</tr>")[0]
    assert "▼ down from Frankfurt only" in text(ant) and "● up" in text(ant) and "not probed" not in text(ant)
    assert _names(page) == ["Ant"]


def test_with_several_locations_targets_are_counted_once_or_said_to_be_counted_at_each(
    two_places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.FEW", 1)
    page = open_page(by_tag="true")
    assert metric(page, "Targets up").startswith("2 of 3, counted at each location | 1 down, Ant for 29 min")
    assert metric(page, "Median time to first token").endswith("| over 2 targets in the last 24 h")
    assert page.text_input(key="find").placeholder == "Search 2 targets by name, model or tag"


def test_a_base_url_that_is_none_from_an_import_leaves_the_overview_standing(four: Path) -> None:
    store = open_store(f"sqlite:///{four}")
    store.write([target("Odd", base_url="https://[bad/v1", every_s=60.0), probe(now_ms() - 5_000, target="Odd")])
    store.close()
    page = open_page()
    assert not page.exception and "Odd" in _names(html(page))


def test_the_comparison_names_the_location_of_a_target_that_has_several(two_places: None) -> None:
    page = html(open_page("compare.py", **{"with": ["Ant", "Bee"]}))
    heads = [text(head) for head in re.findall(r"<th>.*?</th>", page)]
    assert any(head.startswith("Ant") and head.endswith("from Frankfurt") for head in heads)
    assert not any(head.startswith("Bee") and "Oslo" in head for head in heads)


def test_a_group_counts_a_target_at_several_locations_once(two_places: None, store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    for name, place in (("Ant", "Frankfurt"), ("Ant", "Oslo"), ("Bee", "Oslo")):
        store.write([target(name, location=place, every_s=60.0, tags="prod", updated_at=now_ms())])
    store.close()
    heads = re.findall(r'<div class="u-group".*?</div><div role="cell">.*?</div>', html(open_page(by_tag="true")))
    assert [" ".join(text(head.replace("</div>", " ")).split()) for head in heads] == ["prod 2 targets ▼ 1 of 2 down"]


def test_the_table_by_location_counts_targets_and_not_their_locations(
    two_places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.sections.overview_table.MOST_COMPACT", 2)  # two targets, three rows
    page = open_page(by_location="true")
    assert _names(html(page)) == ["Ant", "Bee"]
    assert not any("The first" in caption.value for caption in page.caption)
    assert not any(toggle.key == "all_rows" for toggle in page.toggle)
