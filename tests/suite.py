"""`make test`: the whole suite in four parts, and a check that each test ran once: `python -m tests.suite [--durations 50]`.

Tests that wait for clocks and processes run six at a time, tests that compute on every core, and those with a browser and
those that measure times two at a time. A part of a few files reads only those that have its word, as each of
its processes would import all others for nothing. The other parts see the whole collection before they choose, so that
what ran is compared with what there is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

BY_FILE = ("--dist", "loadfile", "--no-loadscope-reorder")
PARTS = {
    "those that wait": [
        *("-n", "6", "--dist", "worksteal", "--files-with=mark.waits"),
        *("-m", "waits and not (alone or browser)"),
    ],
    # one more than there are cores, since some wait for a moment
    "those that compute": [
        "-n",
        f"{min((os.cpu_count() or 1) + 1, 4)}",
        *BY_FILE,
        "-m",
        "not (waits or alone or browser)",
    ],
    "those with a browser": ["-n", "2", *BY_FILE, "--files-with=rowser", "-m", "browser and not alone"],
    # two at a time: most of them wait nearly all of their time, and each of the others needs a core
    "those that measure": ["-n", "2", *BY_FILE, "--files-with=mark.alone", "-m", "alone"],
}
NO_TESTS = 5
MOST_NAMED = 20
ROOT = Path(__file__).resolve().parents[1]


# -- as a plugin of pytest, in the process that reports and in those that run tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--note-tests", help="a folder for the ids of all tests (all-*) and of those that ran (ran-*)")
    parser.addoption(
        "--files-with", default="", help="collect only files with this word in them, and note not all tests"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_test = collection_path.name.startswith("test_")
    return True if is_test and config.getoption("--files-with") not in collection_path.read_text("utf-8") else None


def note(config: pytest.Config, kind: str, ids: list[str]) -> None:
    descriptor, _ = tempfile.mkstemp("", f"{kind}-", config.getoption("--note-tests"))
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("\0".join(ids))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--files-with"):
        note(config, "all", [item.nodeid for item in items])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the process that reports: a test ran when it had a set-up, whatever came of it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(session.config, "workerinput"):
        note(session.config, "ran", RAN)


RAN: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "setup":
        RAN.append(report.nodeid)


# -- as a program


def noted(folder: Path, kind: str) -> list[list[str]]:
    """The lists of ids of a kind, without those that are empty."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{kind}-*")))
    return [text.split("\0") for text in texts if text]


def complaints(collected: list[list[str]], ran: list[list[str]]) -> list[str]:
    """What is wrong with the tests that ran, given all that each process collected."""
    everything = set().union(*collected)
    times = Counter(name for names in ran for name in names)
    found = {
        "is not collected in every part": [name for name in everything if any(name not in set(c) for c in collected)],
        "never ran": everything - times.keys(),
        "ran more than once": [name for name, count in times.items() if count > 1],
    }
    return [f"{name} {what}" for what, names in found.items() for name in sorted(names)]


def command(folder: Path, choice: list[str]) -> list[str]:
    """pytest over one part. The folder is one word with its option: else pytest takes it for a path of tests, looks for
    its settings there, and runs without this project's time limits and markers.
    """
    return [sys.executable, "-m", "pytest", "-p", "tests.suite", f"--note-tests={folder}", *choice]


def main() -> int:
    """Returns 0 when each test ran once and none failed."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of a thousand processes compiles the code again
    with tempfile.TemporaryDirectory() as name:
        failed = []
        for part, choice in PARTS.items():
            began = time.monotonic()
            code = subprocess.run([*command(Path(name), choice), *sys.argv[1:]], cwd=ROOT, check=False).returncode
            print(f"-- {part}: {time.monotonic() - began:.0f} s\n", flush=True)
            if code not in (0, NO_TESTS):
                failed.append(part)
        ran = noted(Path(name), "ran")
        wrong = complaints(noted(Path(name), "all"), ran)
    print(*wrong[:MOST_NAMED], sep="\n", end="\n" if wrong else "")
    print(
        f"{sum(map(len, ran)):,} tests ran; failures in: {', '.join(failed) or 'none'}; lost or doubled: {len(wrong)}"
    )
    return int(bool(failed or wrong))


if __name__ == "__main__":
    sys.exit(main())
