"""What every store must do. A new engine adds its URL to `stores` and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Selection, Spending, Store
from store.rollups import SPENDING_COLUMNS, spending_of
from store.schema import ADAPTATIONS, MODELS, PROBES, RUNS, TARGETS, USAGE, Adaptation, Probe, Row, Run
from tests.factories import DAY, MINUTE, NOON, model, probe, target, usage
from tests.store.stores import STORES, opened


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    rows = [probe(), probe(NOON + 1, "timeout", http_status=None)]
    assert store.write(rows) == 2
    assert [Probe(*row) for row in store.read(PROBES)] == rows


def test_a_row_that_is_there_already_is_left_alone(store: Store) -> None:
    store.write([probe()])
    assert store.write([probe(outcome="timeout"), probe(NOON + 1)]) == 1
    assert [row[0] for row in store.read(PROBES, columns=("outcome",))] == ["ok", "ok"]


def test_when_one_row_fails_none_is_written(store: Store) -> None:
    def rows() -> Iterator[Row]:
        yield probe()
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        store.write(rows())
    assert store.count(PROBES) == 0


def test_a_selection_is_half_open_in_time_and_names_targets(store: Store) -> None:
    store.write([probe(NOON + n * MINUTE, target=name) for n in range(4) for name in "ab"])
    chosen = Selection(NOON + MINUTE, NOON + 3 * MINUTE, ("b",))
    assert store.count(PROBES, chosen) == 2
    assert list(store.read(PROBES, chosen, columns=("target", "started_at"))) == [
        ("b", NOON + MINUTE),
        ("b", NOON + 2 * MINUTE),
    ]


def test_newest_first_with_a_limit(store: Store) -> None:
    store.write([probe(NOON + n) for n in range(5)])
    rows = store.read(PROBES, columns=("started_at",), newest_first=True, limit=2)
    assert list(rows) == [(NOON + 4,), (NOON + 3,)]


def test_the_newest_probe_of_every_series_whatever_the_order_they_came_in(store: Store) -> None:
    store.write([probe(NOON + 5), probe(NOON), probe(NOON + 2, profile="throughput"), probe(NOON + 1, location="far")])
    found = {(s.newest.location, s.newest.profile): (s.first_at, s.newest.started_at) for s in store.series()}
    assert found == {
        ("here", "ping"): (NOON, NOON + 5),
        ("here", "throughput"): (NOON + 2, NOON + 2),
        ("far", "ping"): (NOON + 1, NOON + 1),
    }


def test_spending_counts_every_request_and_sums_the_known_costs(store: Store) -> None:
    store.write(
        [
            probe(NOON, cost_usd=0.25),
            probe(NOON + 1, cost_usd=None),
            probe(NOON + 2, "timeout"),
            probe(NOON + 3, "caller_error"),
            probe(NOON + 4, profile="throughput", cost_usd=None),
            probe(NOON + DAY, cost_usd=9.0),
            probe(NOON, target="other", cost_usd=0.5),
        ]
    )
    today = Selection(NOON - NOON % DAY, NOON - NOON % DAY + DAY)
    assert spending_of(store.rollups("day", today, SPENDING_COLUMNS)) == [
        Spending("Gemma", "ping", 4, 0.25, 2),
        Spending("Gemma", "throughput", 1, 0.0, 1),
        Spending("other", "ping", 1, 0.5, 0),
    ]


def test_a_model_gets_a_row_only_when_it_changed(store: Store) -> None:
    assert store.write([model(NOON)]) == 1
    assert store.write([model(NOON + DAY)]) == 0
    assert store.write([model(NOON + 2 * DAY, context_tokens=65_536)]) == 1
    rows = list(store.read(MODELS, columns=("valid_from", "valid_to", "context_tokens")))
    assert rows == [(NOON, NOON + 2 * DAY, 32_768), (NOON + 2 * DAY, None, 65_536)]


def test_a_target_is_replaced_by_its_newer_self(store: Store) -> None:
    store.write([target(), target(state="waiting_for_key")])
    assert list(store.read(TARGETS, columns=("state",))) == [("waiting_for_key",)]


def test_what_is_told_anew_as_a_whole_replaces_what_was_there(store: Store) -> None:
    store.write([usage("a", tokens=1), usage("b", tokens=2), usage("a", NOON + DAY, tokens=3)])
    assert store.write([usage("a", tokens=10), usage("c", tokens=5)]) == 2
    rows = list(store.read(USAGE, columns=("day", "model", "tokens")))
    assert rows == [(NOON, "a", 10), (NOON, "c", 5), (NOON + DAY, "a", 3)]


def test_a_whole_of_many_rows_is_told_as_one_also_between_rows_of_other_tables(store: Store) -> None:
    rows: list[Row] = []
    for n in range(2_500):
        rows += [usage(f"m{n}", tokens=n)] if n % 1_000 else [usage(f"m{n}", tokens=n), probe(NOON + n)]
    store.write(rows)
    assert (store.count(USAGE), store.count(PROBES)) == (2_500, 3)


def test_with_keep_a_row_that_is_there_already_stays_in_every_table(store: Store) -> None:
    store.write([target(), usage("a", tokens=1)])
    assert store.write([target(state="removed"), usage("a", tokens=9), usage("b", tokens=2)], on_conflict="ignore") == 1
    assert list(store.read(TARGETS, columns=("state",))) == [("active",)]
    assert list(store.read(USAGE, columns=("model", "tokens"))) == [("a", 1), ("b", 2)]


def test_runs_and_adaptations_are_kept(store: Store) -> None:
    store.write(
        [
            Run("probe", NOON, "here", NOON + 5, 3, 0, None),
            Adaptation("Gemma", "http://h/v1", "m", "temperature", None, NOON),
        ]
    )
    assert store.count(RUNS) == 1
    assert store.count(ADAPTATIONS) == 1


def test_a_closed_store_can_be_closed_again(store: Store) -> None:
    store.close()
    store.close()
