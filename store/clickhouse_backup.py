"""Copies of ClickHouse's tables, made before a migration changes them. Their parts are hard links to those of the
tables, so a copy is made at once, and takes room only as the table's own parts are merged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from secrets import token_hex
from typing import Any

from store.clickhouse_schema import Layout
from store.protocol import StoreError

COPIES_KEPT = 2
"""Migrations whose copies are kept."""
SAME_MIGRATION_S = 600
"""Of collectors that are updated together each would copy: what is there and so young is another one's copy."""
COPY = re.compile(r"\w+_before_schema_(\d+)")
_REPLICATED = re.compile(r"^Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")

Query = Callable[..., list[tuple[Any, ...]]]


def back_up_before_migration(layout: Layout, known: Mapping[str, Collection[str]], ask: Query) -> None:
    """Copy each table that lacks a column to `NAME_before_schema_N`, and keep the copies of the newest two migrations.
    N is how many columns all tables had. `known`: the columns of each table. Raises StoreError.
    """
    stored = [layout.local(table.name).removeprefix(f"{layout.database}.") for table in layout.tables()]
    schema = sum(len(known.get(name, ())) for name in stored)
    changed = layout.changed(known)
    if not changed:
        return
    try:
        for name in changed:
            _copy(layout, name, f"{name}_before_schema_{schema}", ask)
    except Exception as problem:
        raise StoreError(
            f"the tables {', '.join(changed)} of {layout.database!r} were made by an older Uptoken, and are copied"
            f" before their columns change, which failed: {str(problem).splitlines()[0][:300]}. No table was changed"
        ) from problem
    sql = "SELECT name FROM system.tables WHERE database = {name:String}"
    found = [name for (name,) in ask(sql, name=layout.database) if COPY.fullmatch(name)]
    schemas = sorted({_schema_of(name) for name in found})
    for name in found:
        if _schema_of(name) not in schemas[-COPIES_KEPT:]:
            ask(f"DROP TABLE IF EXISTS {layout.database}.{name}{layout.on_cluster}")


def _schema_of(copy: str) -> int:
    found = COPY.fullmatch(copy)
    assert found is not None
    return int(found.group(1))


def _copy(layout: Layout, name: str, copy: str, ask: Query) -> None:
    """Under another name until it is whole. On a cluster each server has its own, which is not replicated."""
    database, everywhere = layout.database, layout.on_cluster
    sql = "SELECT {what} FROM system.tables WHERE database = {{database:String}} AND name = {{name:String}}"
    [(engine,)] = ask(sql.format(what="engine_full"), database=database, name=name)
    part = f"{copy}_part_{token_hex(4)}"
    ask(f"CREATE TABLE {database}.{part}{everywhere} AS {database}.{name} ENGINE = {unreplicated(engine)}")
    try:
        ask(f"ALTER TABLE {database}.{part}{everywhere} ATTACH PARTITION ALL FROM {database}.{name}")
        age = ask(
            sql.format(what="dateDiff('second', metadata_modification_time, now())"), database=database, name=copy
        )
        if not age or age[0][0] >= SAME_MIGRATION_S:
            ask(f"DROP TABLE IF EXISTS {database}.{copy}{everywhere} SYNC")
            ask(f"RENAME TABLE {database}.{part} TO {database}.{copy}{everywhere}")
    finally:
        ask(f"DROP TABLE IF EXISTS {database}.{part}{everywhere} SYNC")


def unreplicated(engine: str) -> str:
    """The same engine, for a table of one server alone."""
    plain = _REPLICATED.sub(r"\1(", engine)
    return plain.replace("()", "", 1)
