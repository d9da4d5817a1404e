"""A file that was exported before a column existed imports into either engine; the column is null."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from store import Store
from store.formats import FORMATS, FileError, Format, write_rows
from store.import_files import read_rows
from store.schema import MODELS, PROBES, TABLES, Table
from tests.factories import DAY, NOON, model, probe
from tests.store.stores import STORES, opened

ROWS: dict[str, list[Any]] = {
    "probes": [
        probe(NOON, first_answer_ms=150.0, itl_p50_ms=1.0, itl_p99_ms=2.0, system_fingerprint="fp_1"),
        probe(NOON + 60_000, "timeout", target='said "a, b"', error="line\nbreak"),
    ],
    "models": [model(NOON, expires_at=NOON + DAY), model(NOON, model="acme/other", description="=1+1, \u00fc")],
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def exported_before(table: Table, rows: list[Any], path: Path, form: Format, *, reverse: bool = False) -> Path:
    """What an export wrote before the newest columns were there; `reverse`: with its columns in another order."""
    whole = io.BytesIO()
    write_rows(table, [table.values(row) for row in rows], whole, form)
    names = [name for name in table.names if name not in table.added]
    names = names[::-1] if reverse else names
    path = path / f"{table.name}.{form}"
    if form == "parquet":
        pq.write_table(pq.read_table(io.BytesIO(whole.getvalue())).select(names), path)
    elif form == "jsonl":
        lines = [json.loads(line) for line in whole.getvalue().splitlines()]
        path.write_text("".join(json.dumps({name: line[name] for name in names}) + "\n" for line in lines))
    else:
        lines = list(csv.DictReader(io.StringIO(whole.getvalue().decode(), newline="")))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)
    return path


@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "in another order"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("table", [PROBES, MODELS], ids=lambda table: table.name)
def test_an_export_of_before_a_column_imports_and_the_column_is_null(
    store: Store, tmp_path: Path, table: Table, form: Format, reverse: bool
) -> None:
    path = exported_before(table, ROWS[table.name], tmp_path, form, reverse=reverse)
    assert store.write(read_rows(table, path), on_conflict="ignore") == 2
    wanted = [table.values(replace(row, **dict.fromkeys(table.added))) for row in ROWS[table.name]]
    assert sorted(store.read(table), key=repr) == sorted(wanted, key=repr)


@pytest.mark.parametrize("table", [PROBES, MODELS], ids=lambda table: table.name)
def test_an_export_of_before_a_column_takes_nothing_from_the_rows_that_are_there(
    store: Store, tmp_path: Path, table: Table
) -> None:
    store.write(ROWS[table.name])
    before = sorted(store.read(table), key=repr)
    path = exported_before(table, ROWS[table.name], tmp_path, "csv")
    assert store.write(read_rows(table, path), on_conflict="ignore") == 0
    assert sorted(store.read(table), key=repr) == before


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("table", [PROBES, MODELS], ids=lambda table: table.name)
def test_a_file_that_lacks_another_column_is_still_refused(tmp_path: Path, table: Table, form: Format) -> None:
    lacking = replace(table, added=(*table.added, table.names[len(table.key)]))
    path = exported_before(lacking, ROWS[table.name], tmp_path, form)
    with pytest.raises(FileError, match="lacks"):
        list(read_rows(table, path))


def test_every_column_that_came_later_can_be_null_and_is_no_part_of_a_key() -> None:
    for table in TABLES.values():
        later = {column.name: column.nullable for column in table.columns if column.name in table.added}
        assert later.keys() == set(table.added)
        assert all(later.values()), table.name
        assert not later.keys() & set(table.names[: len(table.key)])
