"""The overview's rows: sorted, compact, grouped, filtered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store import open_store
from store.schema import Model, Row
from tests.factories import MINUTE, probe, target
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
    heads = [text(head) for head in re.findall(r'<div class="u-group".*?</div><div>', page)]
    assert heads == ["prod 2 targets", "eu 2 targets", "no tag 1 target"]
    assert _names(page) == ["Ant", "Bee", "Ant", "Cat", "Dog"]
    states = re.findall(r'<div class="u-group".*?</div><div>(.*?)</div>', page)
    assert [text(state) for state in states] == ["▼ 1 of 2 down", "● up", "○ waiting for a key"]
    # of the two in prod one is up all the time and one half of it: a quarter of what was decided was down
    bar = page.partition("prod</b>")[2].partition('<div class="u-strip"')[2].partition("</div>")[0]
    assert 'class="partly"' in bar


def test_how_many_are_down_is_a_link_to_them(four: Path) -> None:
    page = open_page(prompt="1000")
    assert metric(page, "Targets up").startswith("2 of 3 | 1 down, Bee for 2")  # 20 seconds and what the test takes
    assert '<a href="./?show=down&amp;prompt=1000" target="_self">1 down</a>' in html(page)
    assert _names(html(open_page(show="down"))) == ["Bee"]
    assert _names(html(open_page(troubled="true"))) == ["Bee", "Dog"]  # an old link


def test_many_targets_have_compact_rows_until_somebody_wants_full_ones(
    four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.MANY", 3)
    assert "u-list compact" in html(open_page())
    assert "u-list compact" not in html(open_page(compact="false"))
