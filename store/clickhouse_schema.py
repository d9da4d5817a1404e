"""ClickHouse's tables: the same rows as everywhere, roll-ups made by materialized views, one server or a cluster.

On a cluster every table is replicated and sharded: rows lie in `NAME_local` on each shard (ReplicatedMergeTree), and
`NAME` is the Distributed table over them. A series always goes to one shard: what belongs together merges there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from store.rollups import (
    BLOCK_MS,
    CELL_MS,
    COUNTED,
    DAY_MS,
    LAST_MS,
    LONGEST_S,
    MOST_TOKENS,
    MOST_USD,
    OUTCOMES,
    PICO,
    SKETCHED,
    STEP_MS,
    Step,
)
from store.rows import (
    ADAPTATIONS,
    DOWN,
    ENDPOINT_STATS,
    ENDPOINTS,
    LAG_LIMIT_MS,
    MAY_BE_BILLED,
    MODELS,
    PROBES,
    RUNS,
    TARGETS,
    UP,
    USAGE,
    Kind,
    Table,
)
from store.sketch import BUCKETS, GAMMA, SMALLEST

TYPES: dict[Kind, str] = {"text": "String", "integer": "Int64", "real": "Float64", "flag": "UInt8", "moment": "Int64"}
WRITTEN = (PROBES, TARGETS, MODELS, ENDPOINTS, ENDPOINT_STATS, USAGE, RUNS, ADAPTATIONS)
ROLLUPS: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
SERIES = ("target", "location", "profile")


@dataclass(frozen=True)
class Layout:
    """Where the tables lie: on one server, or with a `cluster`'s name on all of its shards and replicas."""

    database: str
    cluster: str | None = None
    retention_days: int | None = None

    def statements(self) -> Iterator[str]:
        """What makes all tables that are not there yet."""
        yield f"CREATE DATABASE IF NOT EXISTS {self.database}{self.on_cluster}"
        for table in WRITTEN:
            yield from self._table(table.name, _columns(table), self._engine(table), _order(table), self._more(table))
        for step, name in ROLLUPS.items():
            yield from self._table(name, _rollup_columns(), "AggregatingMergeTree", (*SERIES, "at"), "")
            yield self._view(name, step)
        yield from self._table("upkeep", "kept_since Int64", "MergeTree", ("kept_since",), "")

    @property
    def on_cluster(self) -> str:
        """What a statement that concerns every server says."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def local(self, name: str) -> str:
        """Where a table's rows lie on a server."""
        return f"{self.database}.{name}{'_local' if self.cluster else ''}"

    def _table(self, name: str, columns: str, engine: str, order: tuple[str, ...], more: str) -> Iterator[str]:
        kind, _, arguments = engine.partition("(")
        if self.cluster:
            path = f"'/clickhouse/tables/{{shard}}/{self.database}/{name}', '{{replica}}'"
            kind, arguments = f"Replicated{kind}", f"{path}{', ' + arguments if arguments else ')'}"
        elif not arguments:
            arguments = ")"
        yield (
            f"CREATE TABLE IF NOT EXISTS {self.local(name)}{self.on_cluster} ({columns}) ENGINE = {kind}({arguments}"
            f"{more} ORDER BY ({', '.join(order)})"
        )
        if self.cluster:
            shard_by = "cityHash64(target, location, profile)" if order[:3] == SERIES else f"cityHash64({order[0]})"
            yield (
                f"CREATE TABLE IF NOT EXISTS {self.database}.{name}{self.on_cluster} AS {self.local(name)}"
                f" ENGINE = Distributed('{self.cluster}', '{self.database}', '{name}_local', {shard_by})"
            )

    @staticmethod
    def _engine(table: Table) -> str:
        return "MergeTree" if table.meeting == "keep" else "ReplacingMergeTree(version)"

    def _more(self, table: Table) -> str:
        if table is not PROBES:
            return ""
        more = " PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(started_at))"
        if self.retention_days is not None:
            more += f" TTL toDateTime(intDiv(started_at, 1000)) + INTERVAL {self.retention_days} DAY"
        return more

    def _view(self, name: str, step: Step) -> str:
        return (
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS {self.database}.{name}_of_probes{self.on_cluster}"
            f" TO {self.local(name)} AS {rollup_query(self.local('probes'), step)}"
        )


def _columns(table: Table) -> str:
    columns = []
    for column in table.columns:
        kind = TYPES[column.kind]
        if column.name in ("target", "location", "profile", "outcome", "source"):
            kind = f"LowCardinality({kind})"
        columns.append(f"{column.name} {f'Nullable({kind})' if column.nullable else kind}")
    if table.meeting != "keep":
        columns.append("version UInt64")
    return ", ".join(columns)


def _order(table: Table) -> tuple[str, ...]:
    if table is PROBES:  # by target and time; the series' own columns first keep a shard's rows together
        return ("target", "location", "profile", "started_at")
    return table.key


def _rollup_columns() -> str:
    sums = [f"{name} SimpleAggregateFunction(sum, Int64)" for name in COUNTED]
    maps = [f"{name} SimpleAggregateFunction(sumMap, Map(UInt16, UInt64))" for name in (*SKETCHED, "cells")]
    return ", ".join([*(f"{name} LowCardinality(String)" for name in SERIES), "at Int64", *sums, *maps])


def _in(words: frozenset[str]) -> str:
    return f"outcome IN ({', '.join(repr(word) for word in sorted(words))})"


def rollup_query(source: str, step: Step, where: str = "") -> str:
    """What the probes in `source` come to, as `store.rollups.Sum.add` reckons it."""
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


_EMPTY = "CAST(map(), 'Map(UInt16, UInt64)')"


def _sketch(name: str, believed: str) -> str:
    value = f"assumeNotNull({name})"
    bucket = f"toUInt16(least(ceil(log(greatest({value}, {SMALLEST}) / {SMALLEST}) / log({GAMMA})), {BUCKETS - 1}))"
    return f"sumMap(if({believed} AND isNotNull({name}), map({bucket}, toUInt64(1)), {_EMPTY}))"
