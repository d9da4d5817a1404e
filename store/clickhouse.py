"""The store for fleets: ClickHouse, a server or a cluster over HTTP, or the same engine in this process.

`clickhouse://user:password@host:8123/database`, with `?cluster=NAME` for replicas and shards and `?retention_days=N`
for a TTL; `chdb:////absolute/path` for the engine in-process, which one process at a time may hold. The roll-ups are
materialized views, so many collectors in many places may write at once. Rows that are there already are skipped before
a batch is sent: one that is sent again counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Literal

from clickhouse_connect.driver.binding import format_str

from store.batches import KeyRange, Values, in_batches
from store.clickhouse_backup import back_up_before_migration
from store.clickhouse_database import BLOCK, Database
from store.clickhouse_incidents import IncidentQuery
from store.clickhouse_maintenance import count_rows, kept_since, prune, rebuild, remove_from
from store.clickhouse_queries import condition, key_types, keys_at_once, select
from store.clickhouse_rollups import read_rollups
from store.clickhouse_schema import FIRST, NEWEST, ROLLUPS, SERIES
from store.clickhouse_targets import delete_target, exclude, pruned_before, rename_target, standing
from store.clock import DAY_MS, now_ms
from store.exclusions import exclude_values
from store.horizon import as_of, horizon
from store.protocol import ALL, NoStoreError, Selection, Series, StoreError
from store.rollups import COLUMNS, EXPORTED, LAST_MS, Step, exported_row
from store.schema import INCIDENTS, OBSERVED, PROBES, REQUESTS, TABLE_OF, Exclusion, Probe, Row, Table
from store.traffic import TrafficDay, TrafficMinute, days_sql, minutes_sql
from store.url import StoreUrl
from store.versioning import close_before, merge_version


class ClickHouseStore:
    """A `Store` in ClickHouse."""

    def __init__(self, url: StoreUrl, *, read_only: bool = False) -> None:
        self.url = url
        self.patience_s = 10.0  # nobody is waited for: a server takes many writers
        self.read_only = read_only
        self._database = Database(url)
        with self._database.errors("open"):
            self._prepare()

    def _prepare(self) -> None:
        """Create what is not there yet, and upgrade what an older Uptoken created."""
        if self.read_only:
            self._refuse_older()
            return
        known = self._database.known_columns()
        if ("probes" in known) != (NEWEST in known):
            raise StoreError(
                f"the tables of {self.url.database!r} were made by an older Uptoken and cannot be upgraded: run "
                "`python -m collectors export probes` on it, and `import` the file into a new database"
            )
        layout = self._database.layout
        for statement in layout.create_tables(known):
            self._database.command(statement)
        back_up_before_migration(layout, known, self._database.query)
        for statement in (*layout.missing(known), *layout.create_views(known)):
            self._database.command(statement)
        for name in self._outdated_views(known):
            self._database.command(layout.change_view(name))

    def _refuse_older(self) -> None:
        """Raises StoreError when a reader, which changes nothing, cannot read these tables."""
        sql = "SELECT count() FROM system.databases WHERE name = {name:String}"
        if not self._database.command(sql, name=self.url.database):
            raise NoStoreError(
                f"there is no database {self.url.database!r} yet: the first `python -m collectors run` creates it"
            )
        known = self._database.known_columns()
        if any(not known.get(table.name, set()) >= table.columns.keys() for table in self._database.layout.tables()):
            raise StoreError(
                f"the tables of {self.url.database!r} were made by an older Uptoken: the next `python -m collectors "
                "run` brings them up to date and keeps every row"
            )

    def _outdated_views(self, known: Collection[str]) -> list[str]:
        """The views that have another query than this Uptoken's. Those are a part of the statement, and no parameter:
        parameters are sent in the address, and a proxy may refuse one of 10 kB. The engine formats a view's query again
        only where it differs.
        """
        views = {name: view.query for name, view in self._database.layout.views().items() if name in known}
        if not views:
            return []
        wanted = " ".join(f"WHEN {format_str(name)} THEN {format_str(query)}" for name, query in views.items())
        sql = (
            f"SELECT name, formatQuerySingleLine(CASE name {wanted} END) AS wanted FROM system.tables"
            " WHERE database = {database:String} AND name IN {names:Array(String)}"
            " AND as_select <> wanted AND formatQuerySingleLine(as_select) <> wanted"
        )
        return [name for name, _ in self._database.rows(sql, {"database": self.url.database, "names": list(views)})]

    # -- writing

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        """All rows are gathered first: the engine knows no transaction over tables."""
        gathered = [(TABLE_OF[type(row)], row) for row in rows]
        if self.read_only:
            raise StoreError(f"the store at {self.url} was opened read-only and cannot be written")
        new = 0
        with self._database.errors("write"):
            for table in dict.fromkeys(table for table, _ in gathered):
                values = [table.values(row) for of_table, row in gathered if of_table is table]
                if table.is_derived:
                    raise StoreError(f"{table.name} cannot be written: the store derives its rows from the probes")
                new += self._write(table, values, on_conflict)
        return new

    def _write(self, table: Table, values: list[Values], on_conflict: Literal["ignore"] | None) -> int:
        if table.on_conflict == "version":
            return self._write_history(table, values)
        # of two with one key the first counts where what is there stays, and else the last
        first_counts = table.on_conflict == "ignore"
        unique = {_key(table, row): row for row in (reversed(values) if first_counts else values)}
        if table.on_conflict == "replace_partition" and on_conflict is None:
            self._delete_partitions(table, values)
        elif "ignore" in (table.on_conflict, on_conflict):
            known = self._known_keys(table, list(unique))
            unique = {key: row for key, row in unique.items() if key not in known}
        if table is PROBES and unique:
            late = standing(self._database, min(row[1] for row in unique.values()))
            unique = dict(zip(unique, exclude_values(unique.values(), late), strict=True)) if late else unique
        if table in OBSERVED and (since := self.kept_since()):
            unique = {key: row for key, row in unique.items() if row[1] >= since}
        self._database.insert(table, list(unique.values()))
        return len(unique)

    def _known_keys(self, table: Table, keys: list[Values]) -> set[Values]:
        """Which of these keys have a row already."""
        known: set[Values] = set()
        columns, types = ", ".join(table.key), ", ".join(key_types(table).values())
        sql = f"SELECT {columns} FROM {self._database.name(table.name)} WHERE ({columns})"
        count = keys_at_once(keys)
        for start in range(0, len(keys), count):
            some = {"keys": keys[start : start + count]}
            known.update(self._database.rows(f"{sql} IN {{keys:Array(Tuple({types}))}}", some))
        return known

    def _delete_partitions(self, table: Table, values: list[Values]) -> None:
        parts = sorted({row[:2] for row in values})
        count = keys_at_once(parts)
        for start in range(0, len(parts), count):  # each is a mutation of the table
            some = f"({', '.join(table.names[:2])}) IN {{parts:Array(Tuple(String, Int64))}}"
            self._database.delete(table.name, some, parts=parts[start : start + count])

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
            newest = max((at for at in versions if at < until), default=None)
            before = as_of(versions[newest], length, until) if newest is not None else None
            merge = merge_version(before, row, length)
            if merge.closes_at is not None and before is not None:
                closed = (*before[:length], merge.closes_at, *before[length + 1 :])
                changed[closed[:length]] = versions[closed[length - 1]] = closed
            if merge.adds and row[length - 1] not in versions:
                later = versions.get(min((at for at in versions if at >= until), default=-1))
                added = close_before(row, later, length)
                changed[added[:length]] = versions[added[length - 1]] = added
                new += 1
        self._database.insert(table, list(changed.values()))
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
        names = columns or table.names
        if table.is_derived:
            rows = self._derived_rows(table, selection)
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
        source = self._database.name(table.name)
        if newest_first or limit is not None:
            query = select(table, source, selection, names, KeyRange(), order, limit)
            yield from self._database.rows(*query)
            return
        more = (*names, *(name for name in table.key if name not in names))
        places = [more.index(name) for name in table.key]

        def fetch(part: KeyRange) -> list[Values]:
            return list(self._database.rows(*select(table, source, selection, more, part, order, BLOCK)))

        for row in in_batches(fetch, lambda row: tuple(row[place] for place in places), 1, BLOCK):
            yield row[: len(names)]

    def count(self, table: Table, selection: Selection = ALL) -> int:
        if table.is_derived:
            return sum(1 for _ in self.read(table, selection, columns=table.key))
        return count_rows(self._database, table, selection)

    def series(self, until: int | None = None) -> list[Series]:
        key = ", ".join(SERIES)
        first = self._database.rows(f"SELECT {key}, min(first_at) FROM {self._database.name(FIRST)} GROUP BY {key}")
        first_at = {row[:3]: int(row[3]) for row in first}
        names = ", ".join(PROBES.names)
        newest = self._database.rows(f"SELECT {names} FROM {self._database.name(NEWEST)} FINAL ORDER BY {key}")
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
            f"SELECT {', '.join(PROBES.names)} FROM {self._database.name(PROBES.name)} WHERE ({', '.join(SERIES)}) IN"
            " {keys:Array(Tuple(String, String, String))} AND started_at < {until:Int64}"
            f" ORDER BY started_at DESC LIMIT 1 BY {', '.join(SERIES)}"
        )
        earlier = [Probe(*row) for row in self._database.rows(sql, {"keys": late, "until": until})]
        in_time = [p for p in newest if p.started_at < until]
        return sorted(in_time + earlier, key=lambda p: (p.target, p.location, p.profile))

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[Values]:
        return read_rollups(self._database, step, selection, columns)

    def _derived_rows(self, table: Table, selection: Selection) -> Iterator[Values]:
        if table is INCIDENTS:
            return self._incidents(selection)
        step = EXPORTED[table]
        return (exported_row(step, row) for row in self.rollups(step, selection))

    def _incidents(self, selection: Selection) -> Iterator[Values]:
        """Those that began in the selection."""
        since = 0 if selection.since is None else selection.since
        until = LAST_MS if selection.until is None else selection.until
        return (row for row in self.incidents_within(since, until, selection.targets) if row[3] >= since)

    def incidents_within(self, since: int, until: int, targets: tuple[str, ...] = ()) -> Iterator[Values]:
        tables = {step: self._database.name(name) for step, name in ROLLUPS.items()}
        days, pruned_before = self._database.layout.retention_days, self.kept_since()
        if days is not None:
            pruned_before = max(pruned_before, now_ms() - (days - 1) * DAY_MS)
        query = IncidentQuery(self._database.name(PROBES.name), tables, since, until, targets, pruned_before)
        return query.rows(self._database.rows)

    def last_incidents(self, before: int, targets: tuple[str, ...] = ()) -> list[Values]:
        return list({row[:3]: row for row in self.incidents_within(before - 30 * DAY_MS, before, targets)}.values())

    def traffic_by_minute(self, selection: Selection = ALL) -> Iterator[TrafficMinute]:
        where, parameters = condition(REQUESTS, selection)
        sql = minutes_sql(self._database.name(REQUESTS.name), where)
        return map(TrafficMinute._make, self._database.rows(sql, parameters))

    def traffic_by_day(self, selection: Selection = ALL) -> Iterator[TrafficDay]:
        where, parameters = condition(REQUESTS, selection)
        sql = days_sql(self._database.name(REQUESTS.name), where)
        return map(TrafficDay._make, self._database.rows(sql, parameters))

    def size_bytes(self) -> int:
        """On the server that answers."""
        sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = {name:String}"
        [(size,)] = self._database.rows(sql, {"name": self.url.database})
        return int(size or 0)

    # -- upkeep

    def kept_since(self) -> int:
        return kept_since(self._database)

    def prune(self, before: int, checks_before: int | None = None) -> int:
        with self._database.errors("write"):
            return prune(self._database, before, checks_before)

    def remove_from(self, moment: int, now: int) -> int:
        with self._database.errors("write"):
            return remove_from(self._database, moment, now)

    def rebuild(self) -> int:
        with self._database.errors("write"):
            return rebuild(self._database)

    def exclude(self, exclusions: Sequence[Exclusion]) -> int:
        with self._database.errors("write"):
            return exclude(self._database, exclusions, self._pruned_before())

    def delete_target(self, name: str) -> int:
        with self._database.errors("write"):
            return delete_target(self._database, name)

    def rename_target(self, old: str, new: str) -> int:
        with self._database.errors("write"):
            return rename_target(self._database, old, new, self._pruned_before())

    def _pruned_before(self) -> int:
        return pruned_before(self._database, self.kept_since())

    def close(self) -> None:
        self._database.close()


def _key(table: Table, row: Values) -> Values:
    places = [table.names.index(name) for name in table.key]
    return tuple(row[place] for place in places)
