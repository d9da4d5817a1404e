"""Arguments and settings at their extremes: one sentence and the right exit code, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings.durations import seconds
from settings.targets import ConfigError, parse
from store import open_store
from tests.collectors.cli_fixture import CliFixture
from tests.factories import NOON, probe
from tests.fault_server import GOOD, FaultServer, chunked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliFixture]:
    made = CliFixture(tmp_path_factory.mktemp("arguments"), "http://127.0.0.1:9/v1")
    store = open_store(made.url)
    store.write([probe(NOON)])
    store.close()
    yield made


TOO_LONG = "9" * 400


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "probes", "--since", "9" * 23), f"'{'9' * 23}' is not a time; write "),
        (("export", "probes", "--since", "9" * 23 + "d"), f"'{'9' * 23}d' is not a time; write "),
        (("export", "probes", "--until", "9" * 23 + "d"), f"'{'9' * 23}d' is not a time; write "),
        (("export", "probes", "--since", TOO_LONG + "d"), f"'{'9' * 59}… is not a time; write "),
        (("export", "probes", "--since", "9e99d"), "'9e99d' is not a time; write "),
        (("export", "probes", "--since", "10000-01-01"), "'10000-01-01' is not a time; write "),
        (("export", "probes", "--since", "٣d"), "'٣d' is not a time; write "),
        (("run", "--every", TOO_LONG), "must be between 1 second and a day"),
        (("run", "--every", "9" * 30 + "d"), f"'{'9' * 30}d' is too long"),
        (("run", "--every", "nan"), "'nan' is not a duration; write it as 30s, 5m, 1h or 1d"),
        (("run", "--every", "٣"), "'٣' is not a duration; write it as 30s, 5m, 1h or 1d"),
        (
            ("export", "probes", "--store", "clickhouse://h:99999/d"),
            "the store's URL cannot be read ('clickhouse://h:99999/d'): write ",
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_an_argument_that_cannot_be_meant_is_exit_code_2_and_a_sentence(
    place: CliFixture, words: tuple[str, ...], message: str
) -> None:
    code, out, errors = place.run(*words)
    assert (code, out) == (2, ""), errors
    assert message in errors and errors.count("\n") == 1 and len(errors) < 250


@pytest.mark.parametrize(("age", "rows"), [("0d", 0), ("99999d", 1), ("0." + "0" * 300 + "1s", 0)])
def test_an_age_of_any_possible_length_is_one(place: CliFixture, age: str, rows: int) -> None:
    assert place.run("export", "probes", "--since", age)[::2] == (0, f"{rows} rows of probes in standard output\n")


def test_an_output_that_is_no_file_is_written_to_and_not_replaced(place: CliFixture) -> None:
    link = place.folder / "device"
    link.symlink_to("/dev/full")
    code, _, errors = place.run("export", "probes", "--output", str(link))
    assert (code, errors) == (3, f"{link} could not be written: No space left on device\n")
    assert link.is_symlink() and Path("/dev/full").is_char_device()
    code, _, errors = place.run("export", "probes", "--output", "/")
    assert (code, errors) == (3, "/ could not be written: Is a directory\n")


NOBODY = """
import os, pwd, sys
import collectors.registry, collectors.scheduler.scheduler, collectors.http.exchange, store.sqlite, rich.table, rich.text
os.setgroups([])
os.setresgid(54_321, 54_321, 54_321)
{change}
try:
    pwd.getpwuid(os.getuid())
    sys.exit("there is a passwd entry")
except KeyError:
    pass
sys.argv = ["collectors", *sys.argv[1:]]
from cli import main
main()
"""


def test_a_process_without_a_home_and_without_a_passwd_entry_works() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become a user that has no passwd entry")
    with FaultServer(chunked(*GOOD)) as server, tempfile.TemporaryDirectory() as folder:
        place = CliFixture(Path(folder), server.url)
        Path(folder).chmod(0o777)
        environment = {name: value for name, value in place.environment.items() if name not in ("HOME", "USER")}
        # a user that may still read this Python, which may be root's own: all but the passwd entry is the same
        script = NOBODY.format(change="os.setresuid(54_321, 54_321, 54_321)" if readable_by_all() else NO_ENTRY)
        for words in (("run",), ("check",), ("export", "probes", "--output", "probes.csv"), ("check", "--health")):
            done = subprocess.run(
                [sys.executable, "-c", script, *words],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        assert [row.outcome for row in place.probes()] == ["ok"]


NO_ENTRY = """
def no_entry(_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = no_entry
"""


def readable_by_all() -> bool:
    interpreter = Path(os.path.realpath(sys.executable))
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (interpreter, *interpreter.parents))


# -- targets.toml

TARGET = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[collector]\nevery = {TOO_LONG}\n{TARGET}", "line 2: [collector], every: 99999"),
        (f'[collector]\nevery = "{TOO_LONG}d"\n{TARGET}', "… is too long"),
        (f"[collector]\nevery = {'9' * 5_000}\n{TARGET}", "is not valid TOML: Exceeds the limit"),
        (
            f"[collector]\nevery = inf\n{TARGET}",
            "[collector], every: inf: input should be less than or equal to 604800",
        ),
        (f"[collector]\nevery = nan\n{TARGET}", "[collector], every: nan: input should be "),
        (f"[collector]\ntimeout = -1e308\n{TARGET}", "[collector], timeout: -1e+308: input should be greater than 0"),
        (f"[collector]\nusd_per_day = 1e308\n{TARGET}", "[collector], usd_per_day: 1e+308: input should be less than"),
        (f"[collector]\nretention_days = {TOO_LONG}\n{TARGET}", "[collector], retention_days: "),
        (f"[collector]\nfree_requests_per_day = {TOO_LONG}\n{TARGET}", "[collector], free_requests_per_day: "),
        (f"{TARGET}requests_per_day = {10**18}\n", "requests_per_day: 1000000000000000000: input should be less than"),
        (f"{TARGET}max_parallel = {10**18}\n", "max_parallel: 1000000000000000000: input should be less than"),
        (TARGET.replace(":9/", ":99999/"), "base_url: its port is not a number up to 65535"),
        (f"{TARGET}tags = {'[' * 5_000}{']' * 5_000}\n", "is not valid TOML: it is nested too deep"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("targets.toml"), {})
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5_000, "9" * 400 + "d", 10**12], ids=range(5))
def test_a_duration_that_no_clock_can_hold_is_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match="is too long"):
        seconds(value)
