"""ClickHouse's tables: the same rows as everywhere, roll-ups made by materialized views, one server or a cluster.

On a cluster every table is replicated and sharded: rows lie in `NAME_local` on each shard (ReplicatedMergeTree), and
`NAME` is the Distributed table over them. A series always goes to one shard: what belongs together merges there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from store.clock import DAY_MS
from store.incidents import CONFIRMED_BY
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
from store.schema import DOWN, LAG_LIMIT_MS, MAY_BE_BILLED, OBSERVED, PROBES, REQUESTS, TABLES, UP, Kind, Table
from store.sketch import BUCKETS, GAMMA, SMALLEST

TYPES: dict[Kind, str] = {"text": "String", "integer": "Int64", "real": "Float64", "flag": "UInt8", "moment": "Int64"}
NEWEST, FIRST = "newest", "first"
"""The newest probe of each series, and when it was first probed: what else would need a look at all probes."""
ROLLUPS: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
SERIES = ("target", "location", "profile")
ROLLUP_COLUMNS = (*SERIES, "at", *COUNTED, *SKETCHED, "cells")


@dataclass(frozen=True)
class StoredTable:
    """A table as the engine keeps it: its columns and their types, in order; its engine, with arguments."""

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
    """Where the tables lie: on one server, or with a `cluster`'s name on all of its shards and replicas."""

    database: str
    cluster: str | None = None
    retention_days: int | None = None

    def statements(self) -> Iterator[str]:
        """What makes a database."""
        yield from self.create_tables()
        yield from self.create_views()

    def create_tables(self) -> Iterator[str]:
        """What makes the tables that are not there yet."""
        yield f"CREATE DATABASE IF NOT EXISTS {self.database}{self.on_cluster}"
        for table in self.tables():
            yield from self._create(table)

    def create_views(self) -> Iterator[str]:
        """What makes the views that are not there yet: the server wants to see their columns in the tables."""
        for name, view in self.views().items():
            yield (
                f"CREATE MATERIALIZED VIEW IF NOT EXISTS {self.database}.{name}{self.on_cluster}"
                f" TO {self.local(view.table)} AS {view.query}"
            )

    def tables(self) -> Iterator[StoredTable]:
        """Those of `store.schema` that are written, and what the views keep of the probes."""
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
        found = {f"{name}_of_probes": View(name, query) for name, query in queries.items()}
        for table in OBSERVED:
            source = observations(table, self.local(table.name))
            for step, name in ROLLUPS.items():
                found[f"{name}_of_{table.name}"] = View(name, rollup_query(source, step))
        return found

    def missing(self, known: Mapping[str, Collection[str]]) -> Iterator[str]:
        """What adds the columns that the tables of an older Uptoken lack. `known`: the columns of each table."""
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

    def change_view(self, name: str) -> str:
        """What gives a view the query of today."""
        return f"ALTER TABLE {self.database}.{name}{self.on_cluster} MODIFY QUERY {self.views()[name].query}"

    @property
    def on_cluster(self) -> str:
        """What a statement that concerns every server says."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def local(self, name: str) -> str:
        """Where a table's rows lie on a server."""
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


def _in(words: frozenset[str], column: str = "outcome") -> str:
    return f"{column} IN ({', '.join(repr(word) for word in sorted(words))})"


def rollup_query(source: str, step: Step, where: str = "") -> str:
    """What the probes in `source` come to, as `store.rollups.Accumulator.add` reckons it."""
    ms = f"toInt64(round(least(greatest(stands_for_s, 0), {LONGEST_S}) * 1000))"
    kind = f"multiIf({_in(UP)}, 0, {_in(DOWN)}, 1, 2)"
    believed = f"{_in(UP)} AND NOT ifNull(lag_ms > {LAG_LIMIT_MS}, 0)"
    at = f"started_at - started_at % {STEP_MS[step]}"
    counted = {
        **{outcome: f"countIf(outcome = '{outcome}')" for outcome in OUTCOMES},
        "up_ms": f"sumIf({ms}, {kind} = 0)",
        "down_ms": f"sumIf({ms}, {kind} = 1)",
        "not_counted_ms": f"sumIf({ms}, {kind} = 2)",
        "deciding": f"countIf({kind} < 2 AND {ms} > 0)",
        "squares": f"sumIf(intDiv({ms} * {ms}, 1000000), {kind} < 2)",
        "prompt_tokens": f"sum(least(greatest(ifNull(prompt_tokens, 0), 0), {MOST_TOKENS}))",
        "completion_tokens": f"sum(least(greatest(ifNull(completion_tokens, 0), 0), {MOST_TOKENS}))",
        "cost_pusd": f"sum(toInt64(round(least(greatest(ifNull(cost_usd, 0), 0), {MOST_USD}) * {PICO})))",
        "priced": "countIf(isNotNull(cost_usd))",
        "unpriced": f"countIf(isNull(cost_usd) AND {_in(MAY_BE_BILLED)})",
        "answers_right": "countIf(answer_ok = 1)",
        "answers_checked": "countIf(isNotNull(answer_ok))",
        "lagged": f"countIf({_in(UP)} AND ifNull(lag_ms > {LAG_LIMIT_MS}, 0))",
    }
    sums = [f"toInt64({counted[name]}) AS {name}" for name in COUNTED]
    sketches = [f"{_sketch(name, believed)} AS sketch_{name}" for name in SKETCHED]
    cell = f"toUInt16(intDiv(started_at % {STEP_MS[step]}, {CELL_MS[step]}) * 3 + {kind})"
    cells = f"sumMap(if({ms} > 0, map({cell}, toUInt64({ms})), {_EMPTY})) AS cells"
    known = f"outcome IN ({', '.join(repr(outcome) for outcome in OUTCOMES)})"
    inner = (
        f"SELECT target, location, profile, {at} AS at, {', '.join([*sums, *sketches, cells])} FROM {source}"
        f" WHERE started_at >= 0 AND started_at < {LAST_MS} AND {known}{where} GROUP BY target, location, profile, at"
    )
    names = ", ".join([*COUNTED, *(f"sketch_{name} AS {name}" for name in SKETCHED), "cells"])
    return f"SELECT target, location, profile, at, {names} FROM ({inner})"


def blocks_query(daily: str, since: int) -> str:
    """What the days come to by block, from one that began at `since`: their raw probes may be forgotten."""
    cell = f"toUInt16(intDiv(at % {BLOCK_MS}, {DAY_MS}) * 3 + place % 3)"
    cells = f"mapFromArrays(arrayMap(place -> {cell}, mapKeys(cells)), mapValues(cells))"
    sums = ", ".join([*(f"sum({name})" for name in COUNTED), *(f"sumMap({name})" for name in SKETCHED)])
    return (
        f"SELECT target, location, profile, at - at % {BLOCK_MS} AS block, {sums}, sumMap({cells}) FROM {daily}"
        f" WHERE at >= {since} GROUP BY target, location, profile, block"
    )


def newest_query(source: str) -> str:
    """The newest probe of each series."""
    names = ", ".join(PROBES.names)
    return f"SELECT {names} FROM {source} ORDER BY started_at DESC LIMIT 1 BY {', '.join(SERIES)}"


def first_query(source: str) -> str:
    """When each series was first probed."""
    series = ", ".join(SERIES)
    return f"SELECT {series}, min(started_at) AS first_at FROM {source} GROUP BY {series}"


def packed_sketch(name: str) -> str:
    """A sketch as `store.sketch` packs it: counts that are too large for a pair go on in the next one."""
    pair = "char(bucket % 256, intDiv(bucket, 256), {0} % 256, intDiv({0}, 256))"
    full = f"repeat({pair.format(65_535)}, intDiv(n, 65535))"
    rest = f"if(n % 65535 = 0, '', {pair.format('n % 65535')})"
    both = f"if(n < 65536, {pair.format('n')}, concat({full}, {rest}))"
    return f"arrayStringConcat(arrayMap((bucket, n) -> {both}, mapKeys({name}), mapValues({name}))) AS packed_{name}"


def packed_cells() -> str:
    """Place and milliseconds of each cell that is not empty, as pairs of 32-bit numbers."""
    pair = "char(place % 256, intDiv(place, 256), 0, 0, ms % 256, bitShiftRight(ms, 8) % 256,"
    pair += " bitShiftRight(ms, 16) % 256, bitShiftRight(ms, 24) % 256)"
    return f"arrayStringConcat(arrayMap((place, ms) -> {pair}, mapKeys(cells), mapValues(cells))) AS packed_cells"


def incidents_query(probes: str, rollups: dict[Step, str], where: str, since: int) -> str:
    """Stretches of failures, as `store.incidents` tells them, from the raw probes of the hours that had one and of the
    next hour after each; these are found by way of the days.

    A success begins a run, so a run's failures ended with the first probe of the next one. The cause is the most
    frequent outcome, of equal ones the first; the error its last one. Of the time before `since` the last hour alone
    is looked at: a stretch that goes on then is not a new one. `where` bounds the roll-ups.
    """
    series = ", ".join(SERIES)
    up, down = _in(UP), _in(DOWN)
    days = _with_failures(rollups["day"], "day", where, since)
    hours = _with_failures(rollups["hour"], "hour", f"{where} AND {_within(days, 'day', 'at')}", since)
    # of the successes only those that end something: a run for each of the others would take half of the time
    ordered = f"OVER (PARTITION BY {series} ORDER BY started_at ROWS BETWEEN"
    decided = (
        f"SELECT {series}, started_at, outcome, error, {up} AS good,"
        f" lagInFrame(toString(outcome)) {ordered} 1 PRECEDING AND CURRENT ROW) AS before FROM {probes}"
        f" WHERE {_within(hours, 'hour', 'started_at')} AND ({up} OR {down})"
    )
    runs = (
        f"SELECT {series}, started_at, outcome, error,"
        f" sum(good) {ordered} UNBOUNDED PRECEDING AND CURRENT ROW) AS run FROM ({decided})"
        f" WHERE NOT good OR {_in(DOWN, 'before')}"
    )
    outcomes = (
        f"SELECT {series}, run, outcome, count() AS n, min(started_at) AS first,"
        f" argMaxIf(error, started_at, isNotNull(error) AND error <> '') AS said FROM ({runs})"
        f" GROUP BY {series}, run, outcome"
    )
    stretches = (
        f"SELECT {series}, run, min(first) AS head, minIf(first, {down}) AS began_at, sumIf(n, {down}) AS failures,"
        f" argMaxIf(toString(outcome), (n, -first), {down}) AS cause, argMaxIf(tuple(said), (n, -first), {down}).1"
        f" AS error FROM ({outcomes}) GROUP BY {series}, run"
    )
    ended = (
        f"SELECT *, leadInFrame(toNullable(head)) OVER (PARTITION BY {series} ORDER BY run"
        f" ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS ended_at FROM ({stretches})"
    )
    return (
        f"SELECT {series}, began_at, ended_at, cause, failures, error FROM ({ended})"
        f" WHERE failures >= {CONFIRMED_BY} ORDER BY {series}, began_at"
    )


def _with_failures(source: str, step: Step, where: str, since: int) -> str:
    """Of each series, when the hours or days began that had a failure, and the next one after each that had a probe
    which decides.
    """
    series = ", ".join(SERIES)
    window = f"OVER (PARTITION BY {series} ORDER BY at ROWS BETWEEN"
    counted = (
        f"SELECT {series}, at, sum({' + '.join(sorted(DOWN))}) AS failed, sum({' + '.join(sorted(UP))}) AS good"
        f" FROM {source} WHERE {where} GROUP BY {series}, at HAVING failed + good > 0"
    )
    return (
        f"SELECT {series}, at FROM (SELECT {series}, at, failed,"
        f" lagInFrame(failed) {window} 1 PRECEDING AND CURRENT ROW) AS before,"
        f" leadInFrame(at, 1, {LAST_MS}) {window} CURRENT ROW AND 1 FOLLOWING) AS after FROM ({counted}))"
        f" WHERE after > {since - STEP_MS[step]} AND (failed > 0 OR before > 0)"
    )


def _within(found: str, step: Step, moment: str) -> str:
    """Whether a moment of a series lies in one of these hours or days."""
    series, ms = ", ".join(SERIES), STEP_MS[step]
    return f"({series}, intDiv({moment}, {ms})) GLOBAL IN (SELECT {series}, intDiv(at, {ms}) FROM ({found}))"


_EMPTY = "CAST(map(), 'Map(UInt16, UInt64)')"


def _sketch(name: str, believed: str) -> str:
    value = f"assumeNotNull({name})"
    bucket = f"toUInt16(least(ceil(log(greatest({value}, {SMALLEST}) / {SMALLEST}) / log({GAMMA})), {BUCKETS - 1}))"
    return f"sumMap(if({believed} AND isNotNull({name}), map({bucket}, toUInt64(1)), {_EMPTY}))"
