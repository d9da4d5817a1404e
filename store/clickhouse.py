"""The store for fleets: ClickHouse, a server or a cluster over HTTP, or the same engine in this process.

`clickhouse://user:password@host:8123/database`, with `?cluster=NAME` for replicas and shards and `?retention_days=N`
for a TTL; `chdb:///absolute/path` for the engine in-process, which one process at a time may hold. The roll-ups are
materialized views, so many collectors in many places may write at once. What is already there is left out before it is
sent: a batch that is sent again counts once.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from settings.secrecy import HIDDEN, hidden
from store.batches import KeyRange, Values, in_batches
from store.clickhouse_schema import (
    FIRST,
    NEWEST,
    ROLLUP_COLUMNS,
    ROLLUPS,
    SERIES,
    Layout,
    blocks_query,
    first_query,
    incidents_query,
    newest_query,
    observations,
    packed_cells,
    packed_sketch,
    rollup_query,
)
from store.clock import DAY_MS, now_ms
from store.horizon import as_of, horizon
from store.protocol import ALL, Selection, Series, StoreError
from store.rollups import BLOCK_MS, CELL_MS, COLUMNS, EXPORTED, SKETCHED, STEP_MS, Step, by_place, cells_of, told
from store.schema import DOWN, INCIDENTS, OBSERVED, PROBES, REQUESTS, TABLE_OF, TABLES, UP, Probe, Row, Table
from store.sketch import counts_of, merged
from store.traffic import TrafficDay, TrafficMinute, days_sql, minutes_sql
from store.versioning import meet, until_later

try:
    import clickhouse_connect
    from clickhouse_connect.driver.binding import format_str
    from clickhouse_connect.driver.exceptions import Error as ClientError
except ImportError as problem:  # the extra requirement is only for who has a fleet
    raise StoreError(
        "a ClickHouse store needs the package clickhouse-connect: pip install -r requirements-clickhouse.txt"
    ) from problem

BLOCK = 20_000
KEYS_AT_ONCE = 5_000


class ClickHouseStore:
    """Meets `store.protocol.Store`. A client serializes its queries, so each thread has its own."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.url = url
        self.patience_s = 10.0  # nobody is waited for: a server takes many writers
        self.read_only = read_only
        if parts.scheme == "chdb":
            self._connection: dict[str, Any] = {"interface": "chdb", "path": unquote(parts.path)}
            database = "uptoken"
        else:
            self._connection = {
                "host": parts.hostname,
                "port": parts.port or (8443 if "secure" in query else 8123),
                "username": unquote(parts.username or "default"),
                "password": unquote(parts.password or ""),
                "secure": "secure" in query,
                "autogenerate_session_id": False,  # queries of one session wait for each other
            }
            database = parts.path.strip("/") or "uptoken"
        days = query.get("retention_days")
        self._layout = Layout(database, query.get("cluster"), int(days) if days else None)
        self._database = database
        self._idle: list[Any] = []
        self._guard = threading.Lock()
        with self._errors("open"):
            self._prepare()

    def _prepare(self) -> None:
        """A writer makes what is not there yet, and brings up to date what an older Uptoken made."""
        if self.read_only:
            self._refuse_older()
            return
        known = self._known_columns()
        if ("probes" in known) != (NEWEST in known):
            raise StoreError(
                f"the tables of {self._database!r} were made by an older Uptoken, and other ones are needed: "
                "`python -m collectors export probes` from it, and `import` that into a new database"
            )
        for statement in self._layout.create_tables():
            self._command(statement)
        for statement in self._layout.missing(self._known_columns()):
            self._command(statement)
        for statement in self._layout.create_views():
            self._command(statement)
        for name, view in self._layout.views().items():
            if self._is_other_view(name, view.query):
                self._command(self._layout.change_view(name))

    def _refuse_older(self) -> None:
        """A reader changes nothing."""
        sql = "SELECT count() FROM system.databases WHERE name = {name:String}"
        if not self._command(sql, name=self._database):
            raise StoreError(
                f"there is no database {self._database!r} yet: the first `python -m collectors run` makes it"
            )
        known = self._known_columns()
        if any(not known.get(table.name, set()) >= table.columns.keys() for table in self._layout.tables()):
            raise StoreError(
                f"the tables of {self._database!r} were made by an older Uptoken: the next `python -m collectors run` "
                "brings them up to date and keeps every row"
            )

    def _known_columns(self) -> dict[str, set[str]]:
        """The columns of each table that is there."""
        sql = "SELECT table, groupArray(name) FROM system.columns WHERE database = {name:String} GROUP BY table"
        return {table: set(columns) for table, columns in self._asked(sql, name=self._database)}

    def _is_other_view(self, name: str, query: str) -> bool:
        """Whether the view has another query than this one. It is a part of the statement, and no
        parameter: those are sent in the address, and a proxy may refuse one of 10 kB.
        """
        sql = (
            "SELECT 1 FROM system.tables WHERE database = {database:String} AND name = {name:String}"
            f" AND formatQuerySingleLine(as_select) <> formatQuerySingleLine({format_str(query)})"
        )
        return bool(self._asked(sql, database=self._database, name=name))

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A client that nobody else uses meanwhile: a dashboard makes a thread for every click, and no new client."""
        with self._guard:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = clickhouse_connect.get_client(**self._connection)
        try:
            yield client
        finally:
            with self._guard:
                self._idle.append(client)

    def _command(self, sql: str, **parameters: Any) -> Any:
        with self._client() as client:
            return client.command(sql, parameters=parameters)

    def _asked(self, sql: str, **parameters: Any) -> list[Values]:
        """The rows of a query that has few."""
        with self._client() as client:
            return [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, OSError) as problem:
            said = _without_password(str(problem).splitlines()[0][:300], self._connection.get("password", ""))
            raise StoreError(f"could not {verb} the store at {hidden(self.url)}: {said}") from problem

    def _rows(
        self, sql: str, parameters: dict[str, Any] | None = None, *, binary: tuple[str, ...] = ()
    ) -> Iterator[Values]:
        """The rows of a query, block by block. The columns that are `binary` are not text."""
        formats = dict.fromkeys(binary, "bytes")
        with (
            self._errors("read"),
            self._client() as client,
            client.query_rows_stream(sql, parameters=parameters or {}, column_formats=formats) as stream,
        ):
            for row in stream:
                yield tuple(row)

    def _name(self, table: str) -> str:
        return f"{self._database}.{table}"

    # -- writing

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        """See `Store.write`. All rows are gathered first: the engine knows no transaction over tables."""
        gathered = [(TABLE_OF[type(row)], row) for row in rows]
        if self.read_only:
            raise StoreError(f"the store at {hidden(self.url)} was opened for reading: it may not be written here")
        new = 0
        with self._errors("write"):
            for table in dict.fromkeys(table for table, _ in gathered):
                values = [table.values(row) for its, row in gathered if its is table]
                if table.is_derived:
                    raise StoreError(f"{table.name} cannot be written: the store makes its rows from the probes")
                new += self._write(table, values, on_conflict)
        return new

    def _write(self, table: Table, values: list[Values], on_conflict: Literal["ignore"] | None) -> int:
        if table.on_conflict == "version":
            return self._write_history(table, values)
        unique = {_key(table, row): row for row in values}
        if table.on_conflict == "ignore":
            unique = {}
            for row in values:
                unique.setdefault(_key(table, row), row)  # of two with one key the first counts
        if table.on_conflict == "replace_partition" and on_conflict is None:
            self._forget_wholes(table, values)
        elif "ignore" in (table.on_conflict, on_conflict):
            there = self._there(table, list(unique))
            unique = {key: row for key, row in unique.items() if key not in there}
        if table in OBSERVED and (kept_since := self.kept_since()):
            unique = {key: row for key, row in unique.items() if row[1] >= kept_since}
        self._insert(table, list(unique.values()))
        return len(unique)

    def _insert(self, table: Table, values: list[Values]) -> None:
        names = list(table.names)
        if table.on_conflict != "ignore" and values:
            version = self._next_version(table)
            names.append("version")
            values = [(*row, version) for row in values]
        for start in range(0, len(values), BLOCK):
            with self._client() as client:
                client.insert(self._name(table.name), values[start : start + BLOCK], column_names=names)

    def _next_version(self, table: Table) -> int:
        """Larger than any that is there: one that a clock which was ahead gave would win for years."""
        [(newest,)] = self._rows(f"SELECT max(version) FROM {self._name(table.name)}")
        return max(time.time_ns(), int(newest or 0) + 1)

    def _there(self, table: Table, keys: list[Values]) -> set[Values]:
        """Which of these keys have a row already."""
        found: set[Values] = set()
        columns = ", ".join(table.key)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            sql = f"SELECT {columns} FROM {self._name(table.name)} WHERE ({columns}) IN {{keys:{_tuples(table)}}}"
            found |= set(self._rows(sql, {"keys": some}))
        return found

    def _forget_wholes(self, table: Table, values: list[Values]) -> None:
        first, second = table.names[:2]
        for one, two in sorted({row[:2] for row in values}):
            self._delete(table.name, f"{first} = {{one:String}} AND {second} = {{two:Int64}}", one=one, two=two)

    def _delete(self, name: str, condition: str, **parameters: Any) -> None:
        """On every shard: what is deleted lies in its own table."""
        self._command(
            f"DELETE FROM {self._layout.local(name)}{self._layout.on_cluster} WHERE {condition}", **parameters
        )

    def _write_history(self, table: Table, values: list[Values]) -> int:
        length = len(table.key)
        known: dict[Values, dict[int, Values]] = defaultdict(dict)
        for row in self.read(table):
            known[row[: length - 1]][row[length - 1]] = row
        future = horizon(now_ms())
        changed: dict[Values, Values] = {}
        new = 0
        for row in values:
            versions, until = known[row[: length - 1]], future if row[length - 1] < future else 2**62
            found = max((at for at in versions if at < until), default=None)
            before = as_of(versions[found], length, until) if found is not None else None
            meeting = meet(before, row, length)
            if meeting.closes_at is not None and before is not None:
                closed = (*before[:length], meeting.closes_at, *before[length + 1 :])
                changed[closed[:length]] = versions[closed[length - 1]] = closed
            if meeting.adds and row[length - 1] not in versions:
                later = versions.get(min((at for at in versions if at >= until), default=-1))
                added = until_later(row, later, length)
                changed[added[:length]] = versions[added[length - 1]] = added
                new += 1
        self._insert(table, list(changed.values()))
        return new

    # -- reading

    def read(
        self,
        table: Table,
        selection: Selection = ALL,
        *,
        columns: tuple[str, ...] = (),
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Values]:
        """See `Store.read`."""
        names = columns or table.names
        if table.is_derived:
            rows = self._incidents(selection) if table is INCIDENTS else self._told(EXPORTED[table], selection)
            if newest_first:
                newest = itemgetter(*(table.names.index(name) for name in table.newest_first))
                rows = iter(sorted(rows, key=newest, reverse=True))
            places = [table.names.index(name) for name in names]
            for number, row in enumerate(rows):
                if limit is not None and number >= limit:
                    return
                yield tuple(row[place] for place in places)
            return
        order = ", ".join((f"{name} DESC" for name in table.newest_first) if newest_first else table.key)
        if newest_first or limit is not None:
            yield from self._rows(*self._read_sql(table, selection, names, KeyRange(), order, limit))
            return
        more = (*names, *(name for name in table.key if name not in names))
        places = [more.index(name) for name in table.key]

        def fetch(part: KeyRange) -> list[Values]:
            return list(self._rows(*self._read_sql(table, selection, more, part, order, BLOCK)))

        for row in in_batches(fetch, lambda row: tuple(row[place] for place in places), 1, BLOCK):
            yield row[: len(names)]

    def _read_sql(
        self,
        table: Table,
        selection: Selection,
        names: tuple[str, ...],
        part: KeyRange,
        order: str,
        limit: int | None,
    ) -> tuple[str, dict[str, Any]]:
        clauses, parameters = _clauses(table.owner, table.time, selection)
        clauses += ["outcome <> 'ok'"] if selection.failed else []
        for column, value in zip(table.key, (*part.equal, *part.beyond), strict=False):
            parameters[f"key_{column}"] = value
        kinds = {column.name: "String" if column.kind == "text" else "Int64" for column in table.columns}
        marks = {name: f"{{key_{name}:{kinds[name]}}}" for name in table.key}
        equal, beyond = part.columns(table.key)
        clauses += [f"{name} = {marks[name]}" for name in equal]
        if beyond:
            clauses.append(f"{beyond[0]} >= {marks[beyond[0]]}")  # which the index understands
            clauses.append(f"({', '.join(beyond)}) > ({', '.join(marks[name] for name in beyond)})")
        where = " WHERE " + " AND ".join(clauses) if clauses else ""
        final = " FINAL" if table.on_conflict != "ignore" else ""
        sql = f"SELECT {', '.join(names)} FROM {self._name(table.name)}{final}{where} ORDER BY {order}"
        return sql + (f" LIMIT {int(limit)}" if limit is not None else ""), parameters

    def count(self, table: Table, selection: Selection = ALL) -> int:
        """See `Store.count`."""
        if table.is_derived:
            return sum(1 for _ in self.read(table, selection, columns=table.key))
        where, parameters = _where(table, selection)
        final = " FINAL" if table.on_conflict != "ignore" else ""
        [(count,)] = self._rows(f"SELECT count() FROM {self._name(table.name)}{final}{where}", parameters)
        return int(count)

    def series(self, until: int | None = None) -> list[Series]:
        """See `Store.series`."""
        key = ", ".join(SERIES)
        first_at = {
            row[:3]: int(row[3])
            for row in self._rows(f"SELECT {key}, min(first_at) FROM {self._name(FIRST)} GROUP BY {key}")
        }
        names = ", ".join(PROBES.names)
        newest = self._rows(f"SELECT {names} FROM {self._name(NEWEST)} FINAL ORDER BY {key}")
        probes = [Probe(*row) for row in newest]
        if until is not None:
            probes = self._before(probes, until)
        return [Series(first_at[probe.target, probe.location, probe.profile], probe) for probe in probes]

    def _before(self, newest: list[Probe], until: int) -> list[Probe]:
        """The newest probes of the same series that began before `until`."""
        late = [(p.target, p.location, p.profile) for p in newest if p.started_at >= until]
        if not late:
            return newest
        sql = (
            f"SELECT {', '.join(PROBES.names)} FROM {self._name(PROBES.name)} WHERE ({', '.join(SERIES)}) IN"
            " {keys:Array(Tuple(String, String, String))} AND started_at < {until:Int64}"
            f" ORDER BY started_at DESC LIMIT 1 BY {', '.join(SERIES)}"
        )
        earlier = [Probe(*row) for row in self._rows(sql, {"keys": late, "until": until})]
        found = [p for p in newest if p.started_at < until] + earlier
        return sorted(found, key=lambda p: (p.target, p.location, p.profile))

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[Values]:
        """See `Store.rollups`. The engine adds up the parts of an hour when it merges; those that it did not merge yet
        are added up here, which is three times faster than to let it add up all in the query.
        """
        where, parameters = _where_at(selection)
        key = ", ".join((*SERIES, "at"))
        wanted = "".join(f", {_PACKED.get(name, name) if name else 'NULL'}" for name in columns)
        sql = f"SELECT {key}{wanted} FROM {self._name(ROLLUPS[step])}{where} ORDER BY {key}"
        binary = tuple(f"packed_{name}" for name in columns if name in _PACKED)
        held: Values | None = None
        for row in self._rollup_rows(sql, binary, step, parameters):
            if held is None:
                held = row
            elif row[:4] == held[:4]:
                held = _together(held, row, columns)
            else:
                yield held
                held = row
        if held is not None:
            yield held

    def _rollup_rows(
        self, sql: str, binary: tuple[str, ...], step: Step, parameters: dict[str, Any]
    ) -> Iterator[Values]:
        """Rows as the engine has them, an hour in one or several, in SQLite's form."""
        makers: dict[str, Callable[[Sequence[bytes]], Sequence[bytes | None]]] = dict.fromkeys(binary, _or_nulls)
        makers["packed_cells"] = partial(_cells, 3 * STEP_MS[step] // CELL_MS[step])
        with (
            self._errors("read"),
            self._client() as client,
            client.query_column_block_stream(
                sql, parameters=parameters, column_formats=dict.fromkeys(binary, "bytes")
            ) as stream,
        ):
            for block in stream:
                made = (
                    makers[name](column) if name in makers else column
                    for name, column in zip(stream.source.column_names, block, strict=True)
                )
                yield from zip(*made, strict=True)

    def _told(self, step: Step, selection: Selection) -> Iterator[Values]:
        return (told(step, row) for row in self.rollups(step, selection))

    def _incidents(self, selection: Selection) -> Iterator[Values]:
        """Those that began in the selection."""
        # the last hour with a probe before the selection is looked for in the month before it
        since = selection.since - 30 * DAY_MS if selection.since is not None else None
        where, parameters = _where_at(Selection(since, None, selection.targets))
        tables = {step: self._name(name) for step, name in ROLLUPS.items()}
        sql = incidents_query(self._name("probes"), tables, where.removeprefix(" WHERE ") or "1", selection.since or 0)
        for row in self._rows(sql, parameters):
            if (selection.since is None or row[3] >= selection.since) and (
                selection.until is None or row[3] < selection.until
            ):
                yield row

    def last_incidents(self, before: int, targets: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """See `Store.last_incidents`. Who was failing a month before is looked at since the last success then."""
        since = before - 30 * DAY_MS
        newest = {row[:3]: row for row in self._incidents(Selection(since, before, targets))}
        where, parameters = _where_at(Selection(None, since + 1, targets))
        failing = self._rows(
            f"SELECT target, maxIf(at, {' + '.join(sorted(UP))} > 0) AS good_at FROM {self._name('daily')}{where}"
            f" GROUP BY {', '.join(SERIES)} HAVING maxIf(at, {' + '.join(sorted(DOWN))} > 0) >= greatest(good_at, 1)",
            parameters,
        )
        for name, good_at in sorted(set(failing)):
            for row in self._incidents(Selection(int(good_at), before, (name,))):
                newest[row[:3]] = max(row, newest.get(row[:3], row), key=lambda each: each[3])
        return list(newest.values())

    def traffic_by_minute(self, selection: Selection = ALL) -> Iterator[TrafficMinute]:
        """See `Traffic.traffic_by_minute`."""
        where, parameters = _where(REQUESTS, selection)
        return map(TrafficMinute._make, self._rows(minutes_sql(self._name(REQUESTS.name), where), parameters))

    def traffic_by_day(self, selection: Selection = ALL) -> Iterator[TrafficDay]:
        """See `Traffic.traffic_by_day`."""
        where, parameters = _where(REQUESTS, selection)
        return map(TrafficDay._make, self._rows(days_sql(self._name(REQUESTS.name), where), parameters))

    def size_bytes(self) -> int:
        """See `Sized.size_bytes`: on the server that answers."""
        sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = {name:String}"
        [(size,)] = self._rows(sql, {"name": self._database})
        return int(size or 0)

    # -- upkeep

    def kept_since(self) -> int:
        """See `Upkeep.kept_since`."""
        [(moment,)] = self._rows(f"SELECT max(kept_since) FROM {self._name('upkeep')}")
        return int(moment or 0)

    def tidy(self, before: int) -> int:
        """See `Store.tidy`. With `retention_days` in the URL the server forgets by itself, too."""
        boundary = before - before % DAY_MS
        with self._errors("write"):
            if boundary > self.kept_since():
                self._command(f"INSERT INTO {self._name('upkeep')} VALUES ({boundary})")
            # a series lies on one shard with its newest probe, which is not forgotten
            newest = f"SELECT target, location, profile, started_at FROM {self._layout.local(NEWEST)} FINAL"
            old = f"started_at < {{before:Int64}} AND (target, location, profile, started_at) NOT IN ({newest})"
            gone = 0
            attempts, reports = "started_at < {before:Int64}", "seen_at < {before:Int64}"
            for name, condition in (("probes", old), ("requests", attempts), ("endpoint_stats", reports)):
                [(count,)] = self._rows(
                    f"SELECT count() FROM {self._name(name)} WHERE {condition}", {"before": boundary}
                )
                if count:
                    self._delete(name, condition, before=boundary)
                gone += int(count)
        return gone

    def remove_from(self, moment: int, now: int) -> int:
        """See `Upkeep.remove_from`. Tables one after the other: after an error, the next call goes on."""
        pruned_until, midnight, gone = self.kept_since(), now - now % DAY_MS, 0
        with self._errors("write"):
            if pruned_until > midnight:
                self._command(f"INSERT INTO {self._name('upkeep')} VALUES ({midnight})")
                self._delete("upkeep", "kept_since > {midnight:Int64}", midnight=midnight)
            rest_of_day = Selection(moment, moment - moment % DAY_MS + DAY_MS)
            partial = moment % DAY_MS and any(self.count(table, rest_of_day) for table in OBSERVED)
            for table in TABLES.values():
                if not table.is_derived:
                    gone += self._remove_rows(table, moment, now)
            for step, name in ROLLUPS.items():
                began = moment - moment % STEP_MS[step]
                first = moment
                if step == "block" or (partial and began >= pruned_until):
                    first = began
                self._delete(name, "at >= {first:Int64}", first=first)
                if first < moment:
                    self._fill_rollups(step, began)
            self._delete(NEWEST, "started_at >= {moment:Int64}", moment=moment)
            self._delete(FIRST, "first_at >= {moment:Int64}", moment=moment)
            query = newest_query(self._name(PROBES.name))
            self._command(f"INSERT INTO {self._name(NEWEST)} ({', '.join(PROBES.names)}) {query}")
        return gone

    def _remove_rows(self, table: Table, moment: int, now: int) -> int:
        """What is keyed by its moment goes; a row of what is so now stays, as of now."""
        late = Selection(since=moment)
        if not table.is_dated:
            place = table.names.index(table.time)
            self._insert(table, [(*row[:place], now, *row[place + 1 :]) for row in self.read(table, late)])
            return 0
        gone = self.count(table, late)
        if gone:
            self._delete(table.name, f"{table.time} >= {{moment:Int64}}", moment=moment)
        if table.on_conflict == "version":
            length = len(table.key)
            rows = ((row, as_of(row, length, moment)) for row in self.read(table))
            self._insert(table, [opened for row, opened in rows if opened != row])
        return gone

    def rebuild(self) -> int:
        """See `Store.rebuild`. Incidents are told from the probes whenever they are asked for."""
        kept_since = self.kept_since()
        with self._errors("write"):
            for step, name in ROLLUPS.items():
                since = kept_since - kept_since % BLOCK_MS if step == "block" else kept_since
                self._delete(name, "at >= {since:Int64}", since=since)
                self._fill_rollups(step, since)
            probes = self._name("probes")
            self._command(f"INSERT INTO {self._name(NEWEST)} ({', '.join(PROBES.names)}) {newest_query(probes)}")
            self._command(f"INSERT INTO {self._name(FIRST)} ({', '.join(SERIES)}, first_at) {first_query(probes)}")
        return sum(self.count(table, Selection(since=kept_since)) for table in OBSERVED)

    def _fill_rollups(self, step: Step, since: int) -> None:
        """Make roll-ups from `since` on: blocks from the days, the others from the raw rows."""
        queries = [blocks_query(self._name("daily"), since)]
        if step != "block":
            sources = [observations(table, self._name(table.name)) for table in OBSERVED]
            queries = [rollup_query(source, step, f" AND started_at >= {since}") for source in sources]
        for query in queries:
            self._command(f"INSERT INTO {self._name(ROLLUPS[step])} ({', '.join(ROLLUP_COLUMNS)}) {query}")

    def close(self) -> None:
        """See `Store.close`."""
        with self._guard:
            clients, self._idle = self._idle, []
        for client in clients:
            client.close()


def _key(table: Table, row: Values) -> Values:
    places = [table.names.index(name) for name in table.key]
    return tuple(row[place] for place in places)


def _tuples(table: Table) -> str:
    kinds = {column.name: "String" if column.kind == "text" else "Int64" for column in table.columns}
    return f"Array(Tuple({', '.join(kinds[name] for name in table.key)}))"


def _where(table: Table, selection: Selection) -> tuple[str, dict[str, Any]]:
    clauses, parameters = _clauses(table.owner, table.time, selection)
    if selection.failed:
        clauses.append("outcome <> 'ok'")
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), parameters


def _where_at(selection: Selection) -> tuple[str, dict[str, Any]]:
    clauses, parameters = _clauses("target", "at", selection)
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), parameters


def _clauses(target: str, moment: str, selection: Selection) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    if selection.targets:
        clauses.append(f"{target} IN {{targets:Array(String)}}")
        parameters["targets"] = list(selection.targets)
    if selection.since is not None:
        clauses.append(f"{moment} >= {{since:Int64}}")
        parameters["since"] = selection.since
    if selection.until is not None:
        clauses.append(f"{moment} < {{until:Int64}}")
        parameters["until"] = selection.until
    return clauses, parameters


def _or_nulls(sketches: Sequence[bytes]) -> list[bytes | None]:
    return [sketch or None for sketch in sketches]


def _cells(length: int, sparse: Sequence[bytes]) -> list[bytes]:
    """Each row's cells with the empty ones; all in one go, since a loop over them took as long as the query."""
    pairs = np.frombuffer(b"".join(sparse), dtype="<u4").reshape(-1, 2)
    cells = np.zeros((len(sparse), length), dtype="<u4")
    cells[np.repeat(np.arange(len(sparse)), [len(row) // 8 for row in sparse]), pairs[:, 0]] = pairs[:, 1]
    dense = cells.tobytes()
    return [dense[start : start + 4 * length] for start in range(0, len(dense), 4 * length)]


def _together(one: Values, other: Values, columns: tuple[str | None, ...]) -> Values:
    """Two rows of one hour, in SQLite's form, added up."""
    values: list[Any] = []
    for name, a, b in zip(columns, one[4:], other[4:], strict=True):
        if name == "cells":
            values.append(cells_of(a, by_place(b), len(a) // 12))
        elif name in SKETCHED:
            values.append(merged(a, counts_of(b)))
        else:
            values.append(a + b if name else None)
    return (*one[:4], *values)


_PACKED = {name: packed_sketch(name) for name in SKETCHED} | {"cells": packed_cells()}


def _without_password(text: str, password: str) -> str:
    return hidden(text.replace(password, HIDDEN) if password else text)
