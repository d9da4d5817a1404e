"""A target gets another name, or is deleted, with everything that the store has of it. Run over every store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store import Selection, Store, StoreError
from store.schema import INCIDENTS, MODELS, PROBES, REQUESTS, TABLES, Exclusion, Model, Pause, Probe, Request, Row
from tests.factories import DAY, HOUR, MINUTE, NOON, attempt, model, probe, target
from tests.store.stores import STORES, needs_engine, opened
from tests.store.test_every_table import row_of

MIDNIGHT = NOON - NOON % DAY
OF_TARGETS = [table for table in TABLES.values() if table.target_column is not None and not table.is_derived]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def everything(store: Store) -> dict[str, Any]:
    """All rows of all tables, and what is made of the probes."""
    found: dict[str, Any] = {table.name: list(store.read(table)) for table in OF_TARGETS}
    found |= {step: list(store.rollups(step)) for step in ("hour", "day", "block")}
    return found | {"incidents": list(store.read(INCIDENTS)), "series": store.series()}


def history(name: str, since: int = NOON - 3 * DAY, hours: int = 72) -> list[Row]:
    """Three days by the hour with an outage, and what goes with them; another target has the same."""
    probes = [probe(since + n * HOUR, "timeout" if n % 30 in (7, 8, 9) else "ok", target=name) for n in range(hours)]
    requests = [attempt(since + n * HOUR, target=name, fallback_for="other") for n in range(0, hours, 5)]
    return [*probes, *requests]


def facts(name: str) -> list[Row]:
    return [
        target(name),
        model(source=name, model="own"),
        Pause(name, NOON, NOON + HOUR, "disk"),
        Exclusion(name, NOON, "x", NOON + HOUR, NOON),
        attempt(NOON + DAY, target="other", fallback_for=name),
    ]


@pytest.mark.parametrize("table", OF_TARGETS, ids=lambda table: table.name)
def test_rows_of_every_table_that_names_a_target_move_and_go(store: Store, table: Any) -> None:
    rows = [row_of(table, number) for number in range(3)]
    old = getattr(rows[1], table.target_column)
    store.write(rows)
    assert store.rename_target(old, "new/name ☃") == 1
    expected = [replace(rows[1], **{table.target_column: "new/name ☃"}) if row is rows[1] else row for row in rows]  # type: ignore[arg-type]
    assert sorted(store.read(table), key=repr) == sorted((table.values(row) for row in expected), key=repr)
    assert store.delete_target("new/name ☃") == 1
    assert store.count(table) == 2


def test_a_renamed_target_is_as_if_it_had_had_that_name_from_the_beginning(store: Store, tmp_path: Path) -> None:
    store.write([*history("b"), *facts("b"), *history("other")])
    expected = everything(store)
    assert store.delete_target("b") > 0
    assert "b" not in {series.newest.target for series in store.series()} | {row[0] for row in store.rollups("block")}
    assert all(store.count(table, Selection(targets=("b",))) == 0 for table in OF_TARGETS if table.owner == "target")
    store.delete_target("other")
    store.write([*history("a"), *facts("a"), *history("other")])
    store.rename_target("a", "b")
    assert everything(store) == expected
    assert store.rename_target("a", "b") == 0
    assert everything(store) == expected


def test_roll_ups_whose_raw_probes_are_pruned_move_too(store: Store) -> None:
    def make(name: str) -> None:
        store.write([*history(name, NOON - 40 * DAY, 38 * 24), *history("other")])

    make("b")
    while store.prune(NOON - 20 * DAY):
        pass
    before = {step: [row[1:] for row in store.rollups(step) if row[0] == "b"] for step in ("hour", "day", "block")}
    first = [series.first_at for series in store.series() if series.newest.target == "b"]
    store.rename_target("b", "c")
    after = {step: [row[1:] for row in store.rollups(step) if row[0] == "c"] for step in ("hour", "day", "block")}
    assert after == before and len(before["hour"]) == 38 * 24 + 38 * 24 // 5 + 1
    assert [series.first_at for series in store.series() if series.newest.target == "c"] == first


def test_what_was_recorded_under_the_new_name_already_is_kept_with_it(store: Store) -> None:
    """`targets.toml` was changed first: an outage began under the old name and ends under the new one."""
    old, new = history("a"), [probe(NOON + n * HOUR, "timeout" if n < 2 else "ok", target="b") for n in range(5)]
    old = [row for row in old if not (isinstance(row, Probe) and row.started_at >= NOON - HOUR)]
    outage = [probe(NOON - HOUR + n * MINUTE, "timeout", target="a") for n in range(3)]
    store.write([*old, *outage])
    store.write(new)
    store.rename_target("a", "b")
    found = everything(store)
    store.delete_target("b")
    renamed = [replace(row, target="b") for row in [*old, *outage] if isinstance(row, Probe | Request)]
    store.write([*renamed, *new])
    assert found == everything(store)
    assert [row[3:5] for row in found["incidents"]][-1] == (NOON - HOUR, NOON + 2 * HOUR)


def test_a_local_servers_facts_end_where_those_under_the_new_name_begin(store: Store) -> None:
    store.write(
        [
            model(NOON, source="a", model="m", context_tokens=1),
            model(NOON + DAY, source="b", model="m", context_tokens=2),
        ]
    )
    store.rename_target("a", "b")
    assert [(row.valid_from, row.valid_to) for row in (Model(*row) for row in store.read(MODELS))] == [
        (NOON, NOON + DAY),
        (NOON + DAY, None),
    ]


def test_a_fallback_from_a_renamed_target_names_it(store: Store) -> None:
    store.write([attempt(NOON, target="x", fallback_for="a"), attempt(NOON + 1, target="y", fallback_for="z")])
    store.rename_target("a", "b")
    assert [row[0] for row in store.read(REQUESTS, columns=("fallback_for",))] == ["b", "z"]


class Interruption:
    """A database whose connection breaks after so many statements."""

    def __init__(self, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed, self.number, self._run = 10**9, 0, database.command
        monkeypatch.setattr(database, "command", self.command)

    def command(self, sql: str, **parameters: Any) -> Any:
        self.number += 1
        if self.number > self.allowed:
            raise OSError("the network went away")
        return self._run(sql, **parameters)

    def after(self, statements: int) -> None:
        self.number, self.allowed = 0, statements


@needs_engine
def test_a_rename_that_was_interrupted_after_any_statement_is_continued_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in opened("chdb", tmp_path):
        store.write([*history("b", hours=30), *facts("b"), *history("other", hours=30)])
        expected = everything(store)
        network = Interruption(store._database, monkeypatch)  # type: ignore[attr-defined]
        store.rename_target("b", "a")
        names = ("a", "b")
        for statements in range(0, network.number, 3):
            network.after(statements)
            with pytest.raises(StoreError, match="the network went away"):
                store.rename_target(*names)
            network.after(10**9)
            store.rename_target(*names)
            names = names[::-1]
            assert {name: len(rows) for name, rows in everything(store).items()} == {
                name: len(rows) for name, rows in expected.items()
            }
        if names == ("a", "b"):
            store.rename_target("a", "b")
        assert everything(store) == expected
        assert store.count(PROBES, Selection(targets=("a",))) == 0
        monkeypatch.undo()
