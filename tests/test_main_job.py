"""The main job on each engine, by the commands that people use: collect, chart, take the rows away, watch over it."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.schema import TABLES
from tests.collectors.cli_fixture import ROOT, CliFixture
from tests.fault_server import GOOD, FaultServer, chunked
from tests.store.stores import STORES

DOWN = "http://127.0.0.1:9/v1"
"""Nobody listens there."""

DRAW = """
import json
import os

os.chdir(ROOT)  # where the dashboard's settings are
from tests.pages.conftest import metric, open_page
from tests.pages.reading import everything_on
from tests.test_main_job import VIEWS
from store.schema import TABLES

views = {**VIEWS, **{f"export of {table}": ("export.py", {"table": table, "all_time": "true"}) for table in TABLES}}
found = {}
for name, (page, query) in views.items():
    app = open_page(page, **query)
    found[name] = {"exceptions": [str(each) for each in app.exception], "said": "\\n".join(everything_on(app))}
    found[name]["metrics"] = {label: metric(app, label) for label in METRICS if label in found[name]["said"]}
print(json.dumps(found))
"""
METRICS = ("Targets up", "Probes in the last 24 h", "Success rate", "Collector", "Rows")
VIEWS: dict[str, tuple[str, dict[str, str]]] = {
    "overview": ("", {}),
    "model a": ("model.py", {"target": "a"}),
    "model b": ("model.py", {"target": "b"}),
    "compare": ("compare.py", {"with": "a"}),
    "routing": ("routing.py", {}),
    "catalog": ("catalog.py", {}),
    "alerts": ("alerts.py", {}),
    "system": ("system.py", {}),
    "status": ("public_status.py", {}),
}

COMMANDS = """
import os
import sys
from cli import main
from store import open_store

held = None
for words in WORDS:
    sys.argv = ["collectors", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (words, ended.code)
    held = held or open_store(os.environ["UPTOKEN_STORE"], read_only=True)  # else an engine starts again for each command
"""


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliFixture]:
    """One target that is up and one that is down. Where ClickHouse's engine is the store, one process at a time has it."""
    with FaultServer(chunked(*GOOD)) as server:
        made = CliFixture(tmp_path, server.url)
        made.config.write_text(
            made.config.read_text().replace('"1h"', '"5s"')
            + f'[[target]]\nname = "b"\nmodel = "m"\nbase_url = "{DOWN}"\n'
        )
        made.url = _url(request.param, tmp_path / "data" / "first")
        yield made


def _url(engine: str, path: Path) -> str:
    return f"{engine}:///{path}"


def _all(place: CliFixture, words: list[list[str]], before: str = "") -> tuple[str, str]:
    """The real command line, one command after the other in one process: starting one takes longer than the work.
    `before`: a script that runs before them there. Returns what was printed, and where to errors.
    """
    done = place.python(before + COMMANDS.replace("WORDS", repr(words)))
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.process
def test_two_ticks_are_recorded_charted_exported_imported_and_watched_over(place: CliFixture) -> None:
    for number in range(2):
        if number:
            time.sleep(5.1)  # an interval
        code, out, err = place.run("run")
        assert (code, err) == (0, "")
        assert "up    a" in out and "DOWN  b" in out
    code, out, err = place.run("check", "--health")
    assert (code, err) == (0, "")
    assert out.startswith("the collector is running: it last recorded something ")

    first, second = place.folder / "first", place.folder / "second"
    first.mkdir()
    second.mkdir()
    draw = f"METRICS, ROOT = {METRICS!r}, {str(ROOT)!r}\n{DRAW}"
    out, _ = _all(place, [["export", name, "--output", f"{first}/{name}.csv"] for name in TABLES], draw)
    pages = json.loads(out.splitlines()[0])
    rows = {name: list(csv.DictReader((first / f"{name}.csv").open(newline=""))) for name in TABLES}
    ended = Counter((row["target"], row["outcome"]) for row in rows["probes"])
    assert set(ended) == {("a", "ok"), ("b", "connection_error")}
    assert ended["a", "ok"] == 2 <= ended["b", "connection_error"]
    filled = {"probes", "hourly", "daily", "incidents", "targets", "runs", "budgets"}
    assert filled <= {name for name in TABLES if rows[name]}
    assert sum(int(row["rows"]) for row in rows["runs"] if row["collector"] == "probe") >= sum(ended.values())

    assert {name: page["exceptions"] for name, page in pages.items() if page["exceptions"]} == {}
    failed = ended["b", "connection_error"]
    assert pages["overview"]["metrics"]["Targets up"].startswith("1 of 2 | 1 down, b for ")
    assert pages["model a"]["metrics"]["Success rate"] == "100% | 2 of 2"
    assert pages["model b"]["metrics"]["Success rate"] == f"0% | 0 of {failed}"
    assert "1 incident" in pages["model b"]["said"] and "no incidents" in pages["model a"]["said"]
    assert pages["system"]["metrics"]["Collector"].startswith("running")
    assert "of this UTC day" in pages["system"]["said"] and "<b>here</b>" in pages["system"]["said"]
    assert "1 of 2 models down" in pages["status"]["said"]
    for name in TABLES:
        assert pages[f"export of {name}"]["metrics"]["Rows"].startswith(f"{len(rows[name])} | "), name

    place.url = place.url.replace("/data/first", "/data/second")
    _, err = _all(
        place,
        [["import", table.name, f"{first}/{table.name}.csv"] for table in TABLES.values() if not table.is_derived]
        + [["export", name, "--output", f"{second}/{name}.csv"] for name in TABLES]
        + [["import", "probes", f"{first}/probes.csv"]],
    )
    for name in TABLES:
        assert (second / f"{name}.csv").read_bytes() == (first / f"{name}.csv").read_bytes(), name
    assert err.splitlines()[-1] == f"{2 + failed} rows read, 0 new, {2 + failed} already present"
