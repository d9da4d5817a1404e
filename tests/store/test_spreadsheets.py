"""A CSV file that a spreadsheet saved again comes back as it was, or is refused in a sentence."""

from __future__ import annotations

import codecs
import csv
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tools import ROOT
from store import open_store
from store.formats import FileError, write_rows
from store.import_files import read_rows
from store.schema import MODELS, PROBES, Table
from tests.factories import NOON, model, probe

ROWS = [
    probe(NOON, ttft_ms=100.25, cost_usd=1.2e-05, answer_ok=True, error="a; b, c"),
    probe(NOON + 1, ttft_ms=7.0, cost_usd=None, answer_ok=False, provider='=1+"1"'),
]
PRICED = [model(usd_per_million_input="0.15", usd_per_million_output="1.5", description="costs 1,5; or 1.5")]


def exported(table: Table, rows: list[Any]) -> str:
    stream = io.BytesIO()
    write_rows(table, [table.values(row) for row in rows], stream, "csv")
    return stream.getvalue().decode()


def saved_again(text: str, table: Table, *, separator: str = ";", decimal: str = ",", mark: bool = True) -> bytes:
    """As Excel and LibreOffice save it where a comma is the decimal mark."""
    numbers = [c.name for c in table.columns if c.kind == "real" or c.name.startswith("usd_per")]
    flags = [c.name for c in table.columns if c.kind == "flag"]
    reader, out = csv.DictReader(io.StringIO(text)), io.StringIO()
    writer = csv.DictWriter(out, table.names, delimiter=separator)
    writer.writeheader()
    for row in reader:
        row |= {name: row[name].replace(".", decimal).replace("e", "E") for name in numbers}
        row |= {name: row[name].upper() for name in flags}
        writer.writerow(row)
    return (codecs.BOM_UTF8 if mark else b"") + out.getvalue().encode()


def read(table: Table, content: bytes, folder: Path) -> tuple[list[Any], list[str]]:
    path, said = folder / "rows.csv", []
    path.write_bytes(content)
    return list(read_rows(table, path, said.append)), said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({}, "with a byte order mark, semicolons between fields and decimal commas"),
        ({"mark": False}, "with semicolons between fields and decimal commas"),
        ({"separator": "\t"}, "with a byte order mark, tabs between fields and decimal commas"),
        ({"decimal": "."}, "with a byte order mark and semicolons between fields"),
        ({"separator": ",", "decimal": "."}, "with a byte order mark"),
    ],
)
@pytest.mark.parametrize(("table", "rows"), [(PROBES, ROWS), (MODELS, PRICED)])
def test_what_a_spreadsheet_saved_comes_back_and_a_sentence_says_how_it_was(
    table: Table, rows: list[Any], how: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    found, said = read(table, saved_again(exported(table, rows), table, **how), tmp_path)
    assert found == rows
    assert said == [f"rows.csv was read as saved by a spreadsheet, {sentence}"]


def test_what_export_writes_needs_no_sentence(tmp_path: Path) -> None:
    assert read(PROBES, exported(PROBES, ROWS).encode(), tmp_path) == (ROWS, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b";7,0;", b";7.0;"), "line 3: ttft_ms is '7.0', with a decimal point, and line 2 has a decimal comma"),
        ((b";100,25;", b";1.100,25;"), "line 2: ttft_ms: '1.100,25' is not a finite number"),
        ((b";100,25;", b";1 100,25;"), "line 2: ttft_ms: '1 100,25' is not a finite number"),
        ((b"target;", b"target,"), "line 1: the header has commas and semicolons"),
        ((b";TRUE;", b";WAHR;"), "line 2: answer_ok: 'WAHR' is not true or false"),
    ],
)
def test_a_mixture_is_refused_with_its_line(change: tuple[bytes, bytes], said: str, tmp_path: Path) -> None:
    content = saved_again(exported(PROBES, ROWS), PROBES)
    assert change[0] in content
    with pytest.raises(FileError) as refused:
        read(PROBES, content.replace(*change, 1), tmp_path)
    assert said in str(refused.value)


def test_utf_16_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"rows.csv is UTF-16 text: save it as CSV in UTF-8"):
        read(PROBES, exported(PROBES, ROWS).encode("utf-16"), tmp_path)


@pytest.mark.process
def test_the_commands_write_a_mark_and_take_the_file_back_or_leave_the_store_as_it_was(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "collectors", *words, "--store", f"sqlite:///{tmp_path}/a.db"]
        return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)

    store = open_store(f"sqlite:///{tmp_path}/a.db")
    store.write(ROWS[:1])
    path = tmp_path / "probes.csv"
    assert run("export", "probes", "--bom", "--output", str(path)).returncode == 0
    assert path.read_bytes().startswith(codecs.BOM_UTF8 + b"target,started_at,")
    refused = run("export", "probes", "--bom", "--format", "jsonl")
    assert refused.returncode == 2 and "only a CSV file has one, and this is jsonl" in refused.stderr
    path.write_bytes(saved_again(exported(PROBES, ROWS), PROBES).replace(b";7,0;", b";7.0;"))
    refused = run("import", "probes", str(path))
    assert refused.returncode == 2 and "save the file with one of them; nothing was imported" in refused.stderr
    assert store.count(PROBES) == 1
    path.write_bytes(saved_again(exported(PROBES, ROWS), PROBES))
    done = run("import", "probes", str(path))
    assert (done.returncode, "2 rows read, 1 new, 1 already present" in done.stderr) == (0, True)
    assert "semicolons between fields and decimal commas" in done.stderr
    assert sorted(PROBES.row(*row).started_at for row in store.read(PROBES)) == [NOON, NOON + 1]
    store.close()
