"""What a person changes of a target's history in SQLite: ranges that are excluded, a new name, and its removal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import apsw

from store.batches import Values
from store.clock import DAY_MS
from store.exclusions import Span, exclude_values, refuse_pruned, spans_to_restore
from store.outcomes import PAUSED, UP
from store.rollups import BLOCK_MS, COLUMNS, EXPORTED, STEP_MS, Accumulator, Accumulators, Step, accumulate_by_step
from store.schema import EXCLUSIONS, TABLES, Exclusion, Table
from store.sqlite_derived import (
    MASK,
    SHIFT,
    TABLE,
    Key,
    kept_since,
    raw_rows,
    rebuild_blocks,
    rebuild_incidents,
    replace_incidents,
    write_rollups,
)

_SAME = "target = ? AND location = ? AND profile = ?"
_SET = {
    True: (f"measured_outcome = outcome, outcome = '{PAUSED}'", f"measured_outcome IS NULL AND outcome <> '{PAUSED}'"),
    False: ("outcome = measured_outcome, measured_outcome = NULL", "measured_outcome IS NOT NULL"),
}


# -- exclusions


def exclude_late(connection: apsw.Connection, values: list[Values]) -> list[Values]:
    """Probes that come after their range was excluded, as those that were there then."""
    oldest = min((row[1] for row in values), default=0)
    standing = _standing(connection, "ends_at > ?", (oldest,))
    return exclude_values(values, standing) if standing else values


def exclude(connection: apsw.Connection, exclusions: Sequence[Exclusion]) -> int:
    """See `Store.exclude`."""
    refuse_pruned(exclusions, kept_since(connection))
    _write(connection, exclusions)
    made = [Span(each.target, each.began_at, each.ends_at) for each in exclusions if each.undone_at is None]
    undone = [each for each in exclusions if each.undone_at is not None]
    restored = spans_to_restore(undone, _standing(connection, "1"))
    changed = sum(_apply(connection, span, is_excluded=True) for span in made)
    return changed + sum(_apply(connection, span, is_excluded=False) for span in restored)


def _write(connection: apsw.Connection, exclusions: Sequence[Exclusion]) -> None:
    marks = ", ".join("?" * len(EXCLUSIONS.names))
    connection.executemany(
        f"INSERT OR REPLACE INTO exclusions ({', '.join(EXCLUSIONS.names)}) VALUES ({marks})",
        [EXCLUSIONS.values(each) for each in exclusions],
    )


def _standing(connection: apsw.Connection, condition: str, bindings: tuple[int, ...] = ()) -> list[Exclusion]:
    sql = f"SELECT {', '.join(EXCLUSIONS.names)} FROM exclusions WHERE undone_at IS NULL AND {condition}"
    return [Exclusion(*row) for row in connection.execute(sql, bindings)]


def _apply(connection: apsw.Connection, span: Span, *, is_excluded: bool) -> int:
    """Change the probes of a span, and derive again what lies in its days; returns how many changed."""
    assignment, condition = _SET[is_excluded]
    before = connection.total_changes()
    connection.execute(
        f"UPDATE probes SET {assignment} WHERE target = ? AND started_at >= ? AND started_at < ? AND {condition}",
        (span.target, span.since, span.until),
    )
    changed = connection.total_changes() - before
    if changed:
        sql = "SELECT id, target, location, profile FROM series WHERE target = ? AND profile <> 'traffic'"
        for number, *key in list(connection.execute(sql, (span.target,))):
            _derive_again(connection, number, (key[0], key[1], key[2]), span)
    return changed


def _derive_again(connection: apsw.Connection, number: int, series: Key, span: Span) -> None:
    since, until = span.since - span.since % DAY_MS, span.until + -span.until % DAY_MS
    steps: tuple[Step, ...] = ("hour", "day")
    for step in steps:
        first, last = ((number << SHIFT) + moment // STEP_MS[step] for moment in (since, until))
        connection.execute(f"DELETE FROM {TABLE[step]} WHERE id >= ? AND id < ?", (first, last))
    probes = raw_rows(connection, series, since, until)
    for _, day in groupby(probes, key=lambda probe: probe.started_at // DAY_MS):
        totals = accumulate_by_step(list(day))
        for step in steps:
            write_rollups(connection, step, totals[step], {series: number})
    block = since - since % BLOCK_MS
    connection.execute(
        "DELETE FROM blocks WHERE id >= ? AND id < ?",
        ((number << SHIFT) + block // BLOCK_MS, (number + 1) << SHIFT),
    )
    rebuild_blocks(connection, block, (number,))
    _find_incidents_around(connection, series, span)


def _find_incidents_around(connection: apsw.Connection, series: Key, span: Span) -> None:
    """Without a success before it among the raw probes, an incident may have begun before them: it keeps its row."""
    up = ", ".join(f"'{outcome}'" for outcome in sorted(UP))
    sql = f"SELECT 1 FROM probes WHERE {_SAME} AND started_at < ? AND outcome IN ({up}) LIMIT 1"
    since = kept_since(connection)
    if since and connection.execute(sql, (*series, span.since)).get is None:
        rebuild_incidents(connection, series, since)
    else:
        replace_incidents(connection, series, span.since, span.until)


# -- a target's name


def delete_target(connection: apsw.Connection, name: str) -> int:
    """See `Store.delete_target`."""
    before = connection.total_changes()
    for table in _tables_of_targets():
        connection.execute(f"DELETE FROM {table.name} WHERE {table.target_column} = ?", (name,))
    rows = connection.total_changes() - before
    for (number,) in list(connection.execute("SELECT id FROM series WHERE target = ?", (name,))):
        _delete_series(connection, number)
    return rows


def rename_target(connection: apsw.Connection, old: str, new: str) -> int:
    """See `Store.rename_target`. Roll-ups are numbered by their series, which keeps its number under the new name."""
    rows = 0
    for table in _tables_of_targets():
        rows += int(
            connection.execute(f"SELECT count(*) FROM {table.name} WHERE {table.target_column} = ?", (old,)).get
        )
        if table.on_conflict == "version":
            _close_versions(connection, table, old, new)
        for column in table.target_columns:
            connection.execute(f"UPDATE OR IGNORE {table.name} SET {column} = ?2 WHERE {column} = ?1", (old, new))
        connection.execute(f"DELETE FROM {table.name} WHERE {table.target_column} = ?", (old,))
    sql = "SELECT id, location, profile FROM series WHERE target = ?"
    known = {(location, profile): number for number, location, profile in connection.execute(sql, (new,))}
    for number, location, profile in list(connection.execute(sql, (old,))):
        other = known.get((location, profile))
        if other is not None:
            _merge_series(connection, number, other)
        connection.execute("UPDATE series SET target = ? WHERE id = ?", (new, number))
        if other is not None and profile != "traffic":
            _find_incidents_again(connection, (new, location, profile))
    return rows


def _close_versions(connection: apsw.Connection, table: Table, old: str, new: str) -> None:
    """What the new name's rows continue ends where they begin."""
    same = " AND ".join(
        f"later.{name} = {table.name}.{name}" for name in table.key[:-1] if name not in table.target_columns
    )
    first = f"SELECT min(valid_from) FROM {table.name} AS later WHERE later.{table.target_column} = ?2 AND {same}"
    connection.execute(
        f"UPDATE {table.name} SET valid_to = ({first}) WHERE {table.target_column} = ?1 AND valid_to IS NULL",
        (old, new),
    )


def _tables_of_targets() -> Iterable[Table]:
    return (table for table in TABLES.values() if table.target_column is not None and table not in EXPORTED)


def _delete_series(connection: apsw.Connection, number: int) -> None:
    for table in TABLE.values():
        connection.execute(f"DELETE FROM {table} WHERE id >= ? AND id < ?", (number << SHIFT, (number + 1) << SHIFT))
    connection.execute("DELETE FROM series WHERE id = ?", (number,))


def _merge_series(connection: apsw.Connection, number: int, other: int) -> None:
    """Add the roll-ups of another series, which was begun under the new name already, and remove it."""
    key: Key = ("", "", "")
    for step, table in TABLE.items():
        rows = connection.execute(
            f"SELECT (id & {MASK}) * {STEP_MS[step]}, {', '.join(COLUMNS)} FROM {table} WHERE id >= ? AND id < ?",
            (other << SHIFT, (other + 1) << SHIFT),
        )
        totals: Accumulators = {(key, at): Accumulator.from_row(step, at, tuple(values)) for at, *values in rows}
        write_rollups(connection, step, totals, {key: number})
    connection.execute(
        "UPDATE series SET first_at = min(first_at, (SELECT first_at FROM series WHERE id = ?1)),"
        " last_at = max(last_at, (SELECT last_at FROM series WHERE id = ?1)) WHERE id = ?2",
        (other, number),
    )
    _delete_series(connection, other)


def _find_incidents_again(connection: apsw.Connection, series: Key) -> None:
    since = kept_since(connection)
    rebuild_incidents(connection, series, since)
    last = connection.execute(f"SELECT max(started_at) FROM probes WHERE {_SAME}", series).get
    if last is not None:
        replace_incidents(connection, series, last, last)
