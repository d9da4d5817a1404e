from __future__ import annotations

from stats.catalog_changes import Change, changes, steps
from stats.providers import by_provider
from tests.factories import DAY, NOON, model, probe
from tests.stats.samples import routed


def test_each_change_has_its_moment_newest_first() -> None:
    versions = [
        model(NOON, valid_to=NOON + DAY),
        model(NOON + DAY, valid_to=NOON + 2 * DAY, context_tokens=65_536),
        model(NOON + 2 * DAY, context_tokens=65_536, usd_per_million_input="0.1", valid_to=NOON + 3 * DAY),
        model(NOON + 3 * DAY, context_tokens=65_536, usd_per_million_input="0.1", expires_at=1_796_256_000_000),
    ]
    assert changes(versions[::-1]) == [
        Change(NOON + 3 * DAY, "last day", None, "2026-12-03"),
        Change(NOON + 2 * DAY, "price in", "0", "0.1"),
        Change(NOON + DAY, "context", "32,768", "65,536"),
    ]


def test_a_model_that_was_gone_is_a_change_and_so_is_one_that_is() -> None:
    back = [model(NOON, valid_to=NOON + DAY), model(NOON + 3 * DAY)]
    assert [(c.at, c.before, c.after) for c in changes(back)] == [
        (NOON + 3 * DAY, "no", "yes"),
        (NOON + DAY, "yes", "no"),
    ]
    assert changes([model(NOON, valid_to=NOON + DAY)]) == [Change(NOON + DAY, "listed", "yes", "no")]
    assert changes([model(NOON)]) == []
    assert changes([]) == []


def test_steps_carry_the_last_value_to_now_and_break_where_there_was_none() -> None:
    versions = [
        model(NOON, valid_to=NOON + DAY, usd_per_million_input="0.5"),
        model(NOON + 3 * DAY, usd_per_million_input="varies"),
    ]
    assert steps(versions, "usd_per_million_input", NOON + 4 * DAY) == [
        (NOON, 0.5),
        (NOON + DAY, 0.5),
        (NOON + DAY, None),
        (NOON + 3 * DAY, None),
        (NOON + 3 * DAY, None),
        (NOON + 4 * DAY, None),
    ]
    assert steps([], "context_tokens", NOON) == []


def test_what_was_measured_is_told_by_who_answered() -> None:
    probes = [
        probe(NOON, provider="A", ttft_ms=100.0),
        probe(NOON + 1, provider="A", ttft_ms=300.0),
        probe(NOON + 2, provider="B", ttft_ms=50.0, tokens_per_second=None),
        probe(NOON + 3, "timeout"),
    ]
    met = by_provider(routed(probes))
    assert {name: (m.answers, m.ttft.p50, m.speed.p50) for name, m in met.items()} == {
        "A": (2, 200, 50),
        "B": (1, 50, None),
    }
    assert by_provider([]) == {}
