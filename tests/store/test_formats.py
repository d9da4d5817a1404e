"""What leaves the store comes back as it was."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import open_store
from store.formats import FORMATS, FileError, Format, iso, moment, write_rows
from store.import_files import read_rows
from store.schema import MODELS, PROBES, TABLES, Probe, Table
from tests.factories import NOON, model, probe

HEADER = ",".join(PROBES.names)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12) | (
    st.sampled_from(
        ["=1+1", "+cmd", "-1", "@SUM(A1)", "\tx", "\rx", "'", "''=", 'a"b', "a,b", "line\r\nbreak", "\uff1d1"]
    )
)
_BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "text": _texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
    "moment": st.integers(-62_135_596_800_000, 253_402_300_799_999),
}


def _rows_of(table: Table) -> st.SearchStrategy[Any]:
    return st.builds(
        table.row,
        **{c.name: st.none() | _BY_KIND[c.kind] if c.nullable else _BY_KIND[c.kind] for c in table.columns},
    )


def _written(table: Table, rows: list[Any], path: Path, form: Format = "csv") -> bytes:
    with path.open("wb") as file:
        write_rows(table, [table.values(row) for row in rows], file, form)
    return path.read_bytes()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: Any) -> Path:
    """A store without rows, to be copied: to make one takes longer than all that an example does with it."""
    path = Path(tmp_path_factory.mktemp("empty") / "store.db")
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.mark.thorough
@given(rows=st.lists(_rows_of(PROBES), max_size=5, unique_by=lambda p: (p.target, p.started_at, p.location, p.profile)))
@settings(max_examples=150)
def test_export_import_export_gives_the_same_bytes(tmp_path_factory: Any, empty: Path, rows: list[Probe]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    first, second = (open_store(f"sqlite:///{shutil.copy(empty, folder / f'{name}.db')}") for name in "ab")
    first.write(rows)
    with (folder / "first.csv").open("wb") as file:
        write_rows(PROBES, first.read(PROBES), file, "csv")
    assert second.write(read_rows(PROBES, folder / "first.csv")) == len(rows)
    with (folder / "second.csv").open("wb") as file:
        write_rows(PROBES, second.read(PROBES), file, "csv")
    assert (folder / "second.csv").read_bytes() == (folder / "first.csv").read_bytes()
    first.close()
    second.close()


@pytest.mark.thorough
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
@settings(max_examples=20)
@given(data=st.data())
def test_every_table_comes_back_from_every_format(tmp_path_factory: Any, table: Table, data: Any) -> None:
    rows = data.draw(st.lists(_rows_of(table), min_size=1, max_size=3))
    folder = tmp_path_factory.mktemp("forms")
    for form in FORMATS:
        path = folder / f"rows.{form}"
        _written(table, rows, path, form)
        assert list(read_rows(table, path)) == rows, form


def test_csv_is_rfc_4180_with_iso_times_and_empty_nulls(tmp_path: Path) -> None:
    text = _written(PROBES, [probe(NOON, "timeout", error='said "no", twice')], tmp_path / "a.csv").decode()
    lines = text.split("\r\n")
    assert lines[0] == HEADER
    assert lines[1].startswith("Gemma,2026-11-24T12:00:00.000+00:00,here,ping,60.0,timeout,,,,,")
    assert lines[1].endswith(',"said ""no"", twice",,,,,')
    assert lines[2:] == [""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_no_field_can_run_as_a_formula_and_import_restores_it(tmp_path: Path, start: str) -> None:
    evil = start + "cmd|' /C calc'!A0"
    path = tmp_path / "a.csv"
    text = _written(PROBES, [probe(error=evil)], path).decode()
    field = next(iter(csv.DictReader(io.StringIO(text, newline=""))))["error"]
    assert field == "'" + evil
    assert next(iter(read_rows(PROBES, path))).error == evil  # type: ignore[union-attr]


def test_an_open_price_stays_exact(tmp_path: Path) -> None:
    path = tmp_path / "models.csv"
    _written(MODELS, [model(usd_per_million_input="0.15000000000000000001")], path)
    assert next(iter(read_rows(MODELS, path))).usd_per_million_input == "0.15000000000000000001"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the header lacks target, started_at"),
        ("target,colour\r\n", "has the unknown 'colour'"),
        (HEADER + "\r\nGemma,2026-11-24T12:00:00Z\r\n", "line 2: 2 fields, the header has 29; is the file cut off?"),
        (HEADER + "\r\n" + "Gemma,yesterday,here,ping,60.0,ok" + "," * 23, "'yesterday' is not an ISO 8601 time"),
        (HEADER + "\r\n" + "Gemma,2026-11-24T12:00:00Z,here,ping,NaN,ok" + "," * 23, "'NaN' is not a finite number"),
        (HEADER + "\r\n" + ",2026-11-24T12:00:00Z,here,ping,60,ok" + "," * 23, "target is empty, but required"),
        (HEADER + '\r\n"unclosed', "unexpected end of data"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_line_and_reason(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, newline="")
    with pytest.raises(FileError) as caught:
        list(read_rows(PROBES, path))
    assert message in str(caught.value)


def test_a_name_without_a_known_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"must end in .csv, .jsonl or .parquet"):
        list(read_rows(PROBES, tmp_path / "rows.xls"))


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_moment_survives_its_text(value: int) -> None:
    assert moment(iso(value)) == value


def test_a_moment_with_another_offset_is_the_same_moment() -> None:
    assert moment("2026-11-24T13:00:00+01:00") == moment("2026-11-24T12:00:00") == NOON
