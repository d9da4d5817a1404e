"""ClickHouse's tables: the same rows as everywhere, roll-ups made by materialized views, one server or a cluster.

On a cluster every table is replicated and sharded: rows lie in `NAME_local` on each shard (ReplicatedMergeTree), and
`NAME` is the Distributed table over them. A series always goes to one shard: what belongs together merges there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from store.clock import DAY_MS
from store.outcomes import DOWN, MAY_BE_BILLED, PAUSED, UP
from store.rollups import (
    BLOCK_MS,
    CELL_MS,
    COUNTED,
    LAST_MS,
    LONGEST_S,
    MOST_TOKENS,
    MOST_USD,
    OUTCOMES,
    PICO,
    SKETCHED,
    STEP_MS,
    Step,
    attempts_as_observations,
)
from store.schema import LAG_LIMIT_MS, OBSERVED, PROBES, REQUESTS, TABLES, Table
from store.sketch import BUCKETS, GAMMA, SMALLEST
from store.table import Kind

TYPES: dict[Kind, str] = {"text": "String", "integer": "Int64", "real": "Float64", "flag": "UInt8", "moment": "Int64"}
NEWEST, FIRST = "newest", "first"
"""The newest probe of each series, and when it was first probed, which would otherwise need a scan of all probes."""
ROLLUPS: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
SERIES = ("target", "location", "profile")
ROLLUP_COLUMNS = (*SERIES, "at", *COUNTED, *SKETCHED, "cells")


@dataclass(frozen=True)
class StoredTable:
    """A table in ClickHouse: its columns and their types, in order; its engine, with arguments."""

    name: str
    columns: Mapping[str, str]
    engine: str
    order: tuple[str, ...]
    more: str = ""


@dataclass(frozen=True)
class View:
    """A materialized view: the table that it fills, and its query."""

    table: str
    query: str


@dataclass(frozen=True)
class Layout:
    """Where the tables are: on one server, or with a `cluster`'s name on all of its shards and replicas."""

    database: str
    cluster: str | None = None
    retention_days: int | None = None

    def create_tables(self, known: Collection[str] = ()) -> Iterator[str]:
        """Statements that create the tables that are not there yet. `known`: those of the server that was asked; in a
        cluster another one may lack them.
        """
        if self.cluster or not known:
            yield f"CREATE DATABASE IF NOT EXISTS {self.database}{self.on_cluster}"
        for table in self.tables():
            if self.cluster or table.name not in known:
                yield from self._create(table)

    def create_views(self, known: Collection[str] = ()) -> Iterator[str]:
        """Statements that create the views that are not there yet, once their columns are in the tables."""
        for name, view in self.views().items():
            if self.cluster or name not in known:
                yield (
                    f"CREATE MATERIALIZED VIEW IF NOT EXISTS {self.database}.{name}{self.on_cluster}"
                    f" TO {self.local(view.table)} AS {view.query}"
                )

    def tables(self) -> Iterator[StoredTable]:
        """The tables of `store.schema` that are written, and those that the views fill from the probes."""
        for table in TABLES.values():
            if not table.is_derived:
                yield StoredTable(table.name, _columns(table), _engine(table), _order(table), self._more(table))
        for step, name in ROLLUPS.items():
            yield StoredTable(name, _rollup_columns(), "AggregatingMergeTree", (*SERIES, "at"), _PARTS[step])
        yield StoredTable(NEWEST, _columns(PROBES), "ReplacingMergeTree(started_at)", SERIES)
        first_at = {"first_at": "SimpleAggregateFunction(min, Int64)"}
        yield StoredTable(FIRST, _SERIES_COLUMNS | first_at, "AggregatingMergeTree", SERIES)
        yield StoredTable("upkeep", {"kept_since": "Int64"}, "MergeTree", ("kept_since",))

    def views(self) -> dict[str, View]:
        """The views that fill tables from the probes and from the relay's attempts, by name."""
        probes = self.local(PROBES.name)
        queries = {NEWEST: newest_query(probes), FIRST: first_query(probes)}
        views = {f"{name}_of_probes": View(name, query) for name, query in queries.items()}
        for table in OBSERVED:
            source = observations(table, self.local(table.name))
            for step, name in ROLLUPS.items():
                views[f"{name}_of_{table.name}"] = View(name, rollup_query(source, step))
        return views

    def missing(self, known: Mapping[str, Collection[str]]) -> Iterator[str]:
        """Statements that add the columns that an older Uptoken's tables lack. `known`: the columns of each table."""
        for table in self.tables():
            for name in dict.fromkeys((self.local(table.name), f"{self.database}.{table.name}")):
                there = known.get(name.removeprefix(f"{self.database}."), table.columns)
                added = [
                    f"ADD COLUMN IF NOT EXISTS {column} {table.columns[column]} AFTER {before}"
                    for before, column in pairwise(table.columns)
                    if column not in there
                ]
                if added:
                    yield f"ALTER TABLE {name}{self.on_cluster} {', '.join(added)}"

    def changed(self, known: Mapping[str, Collection[str]]) -> list[str]:
        """The tables with rows, without the database's name, that `missing` adds columns to."""
        stored = {self.local(table.name).removeprefix(f"{self.database}."): table.columns for table in self.tables()}
        return [name for name, columns in stored.items() if not set(columns) <= set(known.get(name, columns))]

    def change_view(self, name: str) -> str:
        """The statement that gives a view its present query."""
        return f"ALTER TABLE {self.database}.{name}{self.on_cluster} MODIFY QUERY {self.views()[name].query}"

    @property
    def on_cluster(self) -> str:
        """The clause of a statement that every server executes; empty without a cluster."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def local(self, name: str) -> str:
        """The table that holds the rows on each server."""
        return f"{self.database}.{name}{'_local' if self.cluster else ''}"

    def _create(self, table: StoredTable) -> Iterator[str]:
        name, order = table.name, table.order
        columns = ", ".join(f"{column} {kind}" for column, kind in table.columns.items())
        kind, _, arguments = table.engine.partition("(")
        if self.cluster:
            path = f"'/clickhouse/tables/{{shard}}/{self.database}/{name}', '{{replica}}'"
            kind, arguments = f"Replicated{kind}", f"{path}{', ' + arguments if arguments else ')'}"
        elif not arguments:
            arguments = ")"
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.local(name)}{self.on_cluster} ({columns}) ENGINE = {kind}({arguments}"
            f" ORDER BY ({', '.join(order)}){table.more}"
        )
        if self.cluster:
            shard_by = "cityHash64(target, location, profile)" if order[:3] == SERIES else f"cityHash64({order[0]})"
            yield (
                f"CREATE TABLE IF NOT EXISTS {self.database}.{name}{self.on_cluster} AS {self.local(name)}"
                f" ENGINE = Distributed('{self.cluster}', '{self.database}', '{name}_local', {shard_by})"
            )

    def _more(self, table: Table) -> str:
        if table not in OBSERVED:
            return ""
        more = " PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(started_at))"
        if self.retention_days is not None:
            more += f" TTL toDateTime(intDiv(started_at, 1000)) + INTERVAL {self.retention_days} DAY"
        return f"{more} SETTINGS index_granularity = 1024"  # a page reads an hour of a series here and there


def observations(table: Table, source: str) -> str:
    """What roll-ups are made from: a table of probes, or one of attempts as a subquery in the shape of probes."""
    return attempts_as_observations(source) if table is REQUESTS else source


def _engine(table: Table) -> str:
    return "MergeTree" if table.on_conflict == "ignore" else "ReplacingMergeTree(version)"


def _columns(table: Table) -> dict[str, str]:
    columns = {}
    for column in table.columns:
        kind = TYPES[column.kind]
        if column.name in ("target", "location", "profile", "outcome", "source"):
            kind = f"LowCardinality({kind})"
        columns[column.name] = f"Nullable({kind})" if column.nullable else kind
    return columns if table.on_conflict == "ignore" else columns | {"version": "UInt64"}


def _order(table: Table) -> tuple[str, ...]:
    if table is PROBES:  # by target and time; the series' own columns first keep a shard's rows together
        return ("target", "location", "profile", "started_at")
    return table.key


def _rollup_columns() -> dict[str, str]:
    sums = dict.fromkeys(COUNTED, "SimpleAggregateFunction(sum, Int64)")
    maps = dict.fromkeys((*SKETCHED, "cells"), "SimpleAggregateFunction(sumMap, Map(UInt16, UInt64))")
    return _SERIES_COLUMNS | {"at": "Int64"} | sums | maps


_SERIES_COLUMNS = dict.fromkeys(SERIES, "LowCardinality(String)")
# a window of all targets reads a few rows of each: of hours this year's alone, and of all in small grains
_PARTS: dict[Step, str] = {
    "hour": " PARTITION BY toYear(fromUnixTimestamp64Milli(at)) SETTINGS index_granularity = 64",
    "day": " SETTINGS index_granularity = 32",
    "block": " SETTINGS index_granularity = 32",
}


def in_sql(outcomes: frozenset[str], column: str = "outcome") -> str:
    """Whether a column is one of these outcomes."""
    return f"{column} IN ({', '.join(repr(outcome) for outcome in sorted(outcomes))})"


def rollup_query(source: str, step: Step, where: str = "") -> str:
    """Totals of the probes in `source`, as `store.rollups.Accumulator.add` calculates them. What several totals need is
    named once: the engine plans this query with every insert, which takes it longer than to add up a few probes.
    """
    of_probe = {
        "at": f"started_at - started_at % {STEP_MS[step]}",
        "cell": f"intDiv(started_at % {STEP_MS[step]}, {CELL_MS[step]}) * 3",
        "ms": f"toInt64(round(least(greatest(stands_for_s, 0), {LONGEST_S}) * 1000))",
        "kind": f"multiIf({in_sql(UP)}, 0, {in_sql(DOWN)}, 1, 2)",
        "is_late": f"ifNull(lag_ms > {LAG_LIMIT_MS}, 0)",
        **{f"its_{name}": name for name in ("prompt_tokens", "completion_tokens", *SKETCHED)},
    }
    counted = {
        **{outcome: f"countIf(outcome = '{outcome}')" for outcome in OUTCOMES},
        "up_ms": "sumIf(ms, kind = 0)",
        "down_ms": "sumIf(ms, kind = 1)",
        "not_counted_ms": "sumIf(ms, kind = 2)",
        "deciding": "countIf(kind < 2 AND ms > 0)",
        "squares": "sumIf(intDiv(ms * ms, 1000000), kind < 2)",
        "prompt_tokens": f"sum(least(greatest(ifNull(its_prompt_tokens, 0), 0), {MOST_TOKENS}))",
        "completion_tokens": f"sum(least(greatest(ifNull(its_completion_tokens, 0), 0), {MOST_TOKENS}))",
        "cost_pusd": f"sum(toInt64(round(least(greatest(ifNull(cost_usd, 0), 0), {MOST_USD}) * {PICO})))",
        "priced": "countIf(isNotNull(cost_usd))",
        "unpriced": f"countIf(isNull(cost_usd) AND {in_sql(MAY_BE_BILLED, 'ifNull(measured_outcome, outcome)')})",
        "answers_right": f"countIf(answer_ok = 1 AND outcome != '{PAUSED}')",
        "answers_checked": f"countIf(isNotNull(answer_ok) AND outcome != '{PAUSED}')",
        "lagged": "countIf(kind = 0 AND is_late)",
        "excluded": f"countIf(outcome = '{PAUSED}' AND isNotNull(measured_outcome))",
    }
    totals = [f"{counted[name]} AS {name}" for name in COUNTED] + [f"{_sketch(name)} AS {name}" for name in SKETCHED]
    totals.append("sumMapIf(map(toUInt16(cell + kind), toUInt64(ms)), ms > 0) AS cells")
    read = [*SERIES, *(f"{value} AS {name}" for name, value in of_probe.items())]
    read += ["outcome", "cost_usd", "measured_outcome", "answer_ok"]
    known = f"outcome IN ({', '.join(repr(outcome) for outcome in OUTCOMES)})"
    return (
        f"SELECT target, location, profile, at, {', '.join(totals)} FROM (SELECT {', '.join(read)} FROM {source}"
        f" WHERE started_at >= 0 AND started_at < {LAST_MS} AND {known}{where}) GROUP BY target, location, profile, at"
    )


def blocks_query(daily: str, since: int, where: str = "") -> str:
    """Totals of the days by block, from the block that began at `since` on: their raw probes may be pruned."""
    cell = f"toUInt16(intDiv(at % {BLOCK_MS}, {DAY_MS}) * 3 + place % 3)"
    cells = f"mapFromArrays(arrayMap(place -> {cell}, mapKeys(cells)), mapValues(cells))"
    sums = ", ".join([*(f"sum({name})" for name in COUNTED), *(f"sumMap({name})" for name in SKETCHED)])
    return (
        f"SELECT target, location, profile, at - at % {BLOCK_MS} AS block, {sums}, sumMap({cells}) FROM {daily}"
        f" WHERE at >= {since}{where} GROUP BY target, location, profile, block"
    )


def newest_query(source: str) -> str:
    """The newest probe of each series."""
    names = ", ".join(PROBES.names)
    return f"SELECT {names} FROM {source} ORDER BY started_at DESC LIMIT 1 BY {', '.join(SERIES)}"


def first_query(source: str) -> str:
    """When each series was first probed."""
    series = ", ".join(SERIES)
    return f"SELECT {series}, min(started_at) AS first_at FROM {source} GROUP BY {series}"


def _sketch(name: str) -> str:
    value = f"assumeNotNull(its_{name})"
    bucket = f"toUInt16(least(ceil(log(greatest({value}, {SMALLEST}) / {SMALLEST}) / log({GAMMA})), {BUCKETS - 1}))"
    return f"sumMapIf(map({bucket}, toUInt64(1)), kind = 0 AND NOT is_late AND isNotNull(its_{name}))"
