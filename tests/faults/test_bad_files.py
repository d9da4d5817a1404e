"""Files that `import` is given and `export` never wrote: one sentence, exit code 2, bounded memory, nothing changed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import open_store
from store.formats import write_rows
from store.schema import PROBES
from tests.collectors.cli_fixture import CliFixture
from tests.factories import MINUTE, NOON, probe
from tests.forked import Forked

GOOD = {
    "target": "Gemma",
    "started_at": "2026-11-24T12:05:00.000+00:00",
    "location": "here",
    "profile": "ping",
    "stands_for_s": 60.0,
    "outcome": "ok",
}
ROW = dict.fromkeys(PROBES.names) | GOOD
TWO_GB = 2_000_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliFixture]:
    """A store with one row."""
    made = CliFixture(tmp_path_factory.mktemp("bad"), "http://127.0.0.1:9/v1")
    store = open_store(made.url)
    store.write([probe(NOON)])
    store.close()
    yield made


def import_file(place: CliFixture, name: str) -> tuple[int, str]:
    process = start_import(place, name)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def start_import(place: CliFixture, name: str) -> subprocess.Popen[str]:
    return Forked(
        [sys.executable, "-m", "collectors", "import", "probes", name],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        limits={resource.RLIMIT_AS: (TWO_GB, TWO_GB)},
    )


def line(**changed: Any) -> bytes:
    return json.dumps(ROW | changed).encode()


JSON_LINES: dict[str, tuple[bytes, str]] = {
    "nested deep": (b"[" * 200_000, "line 1: not a JSON object (nested too deep)"),
    "objects nested deep": (b'{"target":' * 100_000, "line 1: not a JSON object (nested too deep)"),
    "half a surrogate pair": (line(target="a\ud800b"), r"line 1: target: 'a\ud800b' is not text"),
    "half a pair in an error": (line(error="\udc00"), r"line 1: error: '\udc00' is not text"),
    "an integer as a moment": (line(started_at=1_764_000_000_000), "started_at: 1764000000000 is not an ISO 8601 time"),
    "a list as a moment": (line(started_at=[1]), "line 1: started_at: list is not an ISO 8601 time"),
    "a flag as a moment": (line(started_at=True), "line 1: started_at: True is not an ISO 8601 time"),
    "the year 0": (line(started_at="0000-01-01"), "line 1: started_at: '0000-01-01' is not an ISO 8601 time"),
    "the year 10000": (line(started_at="10000-01-01"), "line 1: started_at: '10000-01-01' is not an ISO 8601 time"),
    "1e999": (line(stands_for_s=0.5).replace(b"0.5", b"1e999"), "line 1: stands_for_s: inf is not a finite number"),
    "NaN": (line(stands_for_s=float("nan")), "line 1: stands_for_s: nan is not a finite number"),
    "a number of 400 digits": (
        line(prompt_tokens=10**400),
        f"line 1: prompt_tokens: 1{'0' * 79}… is not a whole number",
    ),
    "a number of 5,000 digits": (line(prompt_tokens=0.5).replace(b"0.5", b"9" * 5_000), "Exceeds the limit"),
    "text of 200,000": (line(error="x" * 200_000), "a text of 200,000 characters is longer than the limit of 131,072"),
    "a line without an end": (b'{"target":"' + b"x" * 9_000_000, "more than 4,194,304 characters without the end of"),
    "Latin-1": (b'{"target":"caf\xe9"}', "after line 0: not UTF-8 text ("),
    "UTF-16": (line().decode().encode("utf-16"), "after line 0: not UTF-8 text ("),
    "a good line and a cut one": (line() + b"\n" + line()[:40], "line 2: not a JSON object (Unterminated string"),
}
HEADER = ",".join(PROBES.names).encode()
CSV: dict[str, tuple[bytes, str]] = {
    "a quote without an end": (HEADER + b'\r\n"' + b"x" * 300_000, "field larger than field limit (131072)"),
    "a row without an end": (HEADER + b'\r\n"' + b'\n","' * 3_000_000, "4,194,304 characters without the end of a row"),
    "bytes of another encoding": (HEADER + b"\r\ncaf\xe9", "not UTF-8 text ("),
}


@pytest.mark.parametrize("what", [*JSON_LINES, *CSV])
def test_a_text_file_that_export_never_wrote_is_refused_in_a_sentence(place: CliFixture, what: str) -> None:
    content, reason = (JSON_LINES | CSV)[what]
    name = "rows.jsonl" if what in JSON_LINES else "rows.csv"
    (place.folder / name).write_bytes(content)
    assert_refused(place, name, reason)


def assert_refused(place: CliFixture, name: str, reason: str) -> None:
    code, errors = import_file(place, name)
    assert code == 2, errors
    assert errors.startswith(name) and reason in errors
    assert errors.count("\n") == 1 and len(errors) < 300
    assert [row.started_at for row in place.probes()] == [NOON]


def parquet(place: CliFixture, name: str, **columns: Any) -> str:
    path = place.folder / name
    with path.open("wb") as file:
        write_rows(PROBES, [PROBES.values(probe(NOON + MINUTE))], file, "parquet")
    good = pq.read_table(path)
    count = max(map(len, columns.values()))
    table = {n: columns.get(n, pa.array(good[n].to_pylist() * count, good.schema.field(n).type)) for n in PROBES.names}
    pq.write_table(pa.table(table), path, compression="zstd", row_group_size=count)
    return name


PARQUET: dict[str, tuple[str, Callable[[], list[Any]], str]] = {
    "integers as moments": ("started_at", lambda: [5], "the column started_at is int64, not an ISO 8601 time"),
    "nested lists": ("error", lambda: [[["a"]]], "the column error is list<element: list<element: string>>, not"),
    "binary": ("target", lambda: [b"\xff"], "the column target is binary, not text"),
    "one text of 200 MB": ("error", lambda: ["x" * 200_000_000], "error: a text of 200,000,000 bytes, the limit is"),
    "a group of 600 MB": (
        "error",
        lambda: [f"{n:05}" + "x" * 119_995 for n in range(5_000)],
        "row group 1 is 60",
    ),
}
"""A column, what it holds (made when its test runs: each process that collects would hold a gigabyte), the refusal."""


@pytest.mark.parametrize("what", PARQUET)
def test_a_parquet_file_that_export_never_wrote_is_refused_in_a_sentence(place: CliFixture, what: str) -> None:
    column, content, reason = PARQUET[what]
    assert_refused(place, parquet(place, "rows.parquet", **{column: pa.array(content())}), reason)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_file_is_refused_in_a_sentence(place: CliFixture, content: bytes) -> None:
    (place.folder / "rows.parquet").write_bytes(content)
    assert_refused(place, "rows.parquet", "not a Parquet file (")


def test_a_parquet_file_that_is_damaged_after_its_first_rows_changes_nothing(place: CliFixture) -> None:
    path = place.folder / "rows.parquet"
    with path.open("wb") as file:
        write_rows(PROBES, (PROBES.values(probe(NOON + n, error=f"e{n}")) for n in range(9_000)), file, "parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2_000] = b"\xff" * 2_000
    path.write_bytes(content)
    code, errors = import_file(place, "rows.parquet")
    assert code == 2 and errors.count("\n") == 1
    assert len(place.probes()) == 1


def test_a_small_parquet_file_of_2_gigabytes_is_read_in_little_memory(tmp_path: Path) -> None:
    """A twenty-fifth of it in memory is too much."""
    place = CliFixture(tmp_path, "http://127.0.0.1:9/v1")
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 24_000, pa.int32()), pa.array(["x" * 100_000]))
    name = parquet(place, "bomb.parquet", error=text)
    assert (place.folder / name).stat().st_size < 40_000
    process = start_import(place, name)
    assert process.stderr is not None
    assert process.stderr.read() == "24,000 rows read, 1 new, 23,999 already present\n"
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < 350_000, "kilobytes"


def test_the_greatest_numbers_are_imported_and_exported_as_they_are(tmp_path: Path) -> None:
    place = CliFixture(tmp_path, "http://127.0.0.1:9/v1")
    extremes: list[dict[str, Any]] = [
        {"ttft_ms": 1e308, "total_ms": 1e308, "tokens_per_second": 1e308},
        {"cost_usd": 1e308},
        {"stands_for_s": 1e308},
        {"ttft_ms": -1e308, "cost_usd": -1e308, "prompt_tokens": -(2**63)},
        {"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63 - 1},
        {"ttft_ms": 5e-324},
        {"started_at": "9999-12-31T23:59:59.999+00:00"},
        {"started_at": "0001-01-01T00:00:00.000+00:00"},
    ]
    rows = [line(**({"started_at": f"2026-11-24T12:0{n}:00.000+00:00"} | one)) for n, one in enumerate(extremes)]
    (place.folder / "rows.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    assert import_file(place, "rows.jsonl") == (0, "8 rows read, 8 new, 0 already present\n")
    for table in ("probes", "hourly", "daily"):
        assert place.run("export", table, "--format", "jsonl", "--output", f"{table}.jsonl")[0] == 0
    written = [json.loads(row) for row in (place.folder / "probes.jsonl").read_text().splitlines()]
    assert sorted(written, key=str) == sorted((json.loads(row) for row in rows), key=str)
    assert place.run("rebuild")[0] == 0
