"""The systemd units: what they start exists, and what they may do is little."""

from __future__ import annotations

import configparser
import ctypes
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.middlebox import program

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROOT = DEPLOY.parent
INSTALLED = "/opt/uptoken"
SERVICES = ["uptoken.service", "uptoken-loop.service", "uptoken-dashboard.service", "uptoken-relay.service"]
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


@pytest.fixture(scope="session")
def systemd_analyze() -> str:
    """systemd's own checker."""
    return program("systemd-analyze", "systemd")


def parse_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / name)
    return unit


def sandbox(name: str) -> list[str]:
    text = (DEPLOY / name).read_text()
    lines = text.partition("# The sandbox, the same in every unit")[2].partition("[Install]")[0].splitlines()
    return [line for line in lines if re.match("[A-Z]", line)]


def test_every_unit_is_listed_here() -> None:
    assert sorted(path.name for path in DEPLOY.glob("*.service")) == sorted(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_is_exposed_by_no_more_than_three_of_ten(systemd_analyze: str, name: str) -> None:
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=true", "--no-pager", str(DEPLOY / name)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= 3.0


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_runs_as_its_own_user_in_the_one_sandbox(name: str) -> None:
    service = parse_unit(name)["Service"]
    assert service["User"] == "uptoken"
    assert sandbox(name) == sandbox("uptoken.service")
    assert len(sandbox(name)) >= 25


def test_systemd_accepts_the_units_and_the_timer(systemd_analyze: str, tmp_path: Path) -> None:
    """Copied as the documents say, with paths that exist here."""
    names = [*SERVICES, "uptoken.timer"]
    for name in names:
        text = (DEPLOY / name).read_text().replace(f"{INSTALLED}/.venv/bin/python", sys.executable)
        (tmp_path / name).write_text(text)
    units = [f"./{name}" for name in names]
    done = subprocess.run(
        [systemd_analyze, "verify", "--man=no", *units], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_starts_what_exists(name: str) -> None:
    service = parse_unit(name)["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[:2] == [f"{INSTALLED}/.venv/bin/python", "-m"]
    assert find_spec(words[2]) is not None
    assert service["WorkingDirectory"] == INSTALLED
    assert service["ReadWritePaths"] == f"{INSTALLED}/data"
    if words[2] == "streamlit":
        assert words[3] == "run"
        assert (ROOT / words[4]).is_file()


def deny_executable_memory() -> None:
    """What `MemoryDenyWriteExecute=` denies, as far as Linux 6.3 and later deny it without a filter."""
    ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


@pytest.mark.process
def test_a_run_and_the_dashboards_packages_need_no_memory_that_is_writable_and_executable(tmp_path: Path) -> None:
    held = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"
    if (
        subprocess.run(
            [sys.executable, "-c", held], preexec_fn=deny_executable_memory, stderr=subprocess.DEVNULL
        ).returncode
        == 0
    ):
        pytest.skip("this kernel is older than 6.3 and does not deny it")
    (tmp_path / "targets.toml").write_text(
        '[[target]]\nname = "Nobody"\nmodel = "ghost"\nbase_url = "http://127.0.0.1:9/v1"\nevery = "60s"\n'
        'timeout = "1s"\n[collector]\nconfirm_after = "1s"\n'
    )
    store = f"sqlite:///{tmp_path}/a.db"
    for words in (
        ["-m", "collectors", "run", "--all", "--config", str(tmp_path / "targets.toml"), "--store", store],
        ["-m", "collectors", "export", "probes", "--format", "parquet", "--output", f"{tmp_path}/a.parquet"],
        ["-c", "import numpy, pandas, plotly, pyarrow, streamlit; numpy.ones((300, 300)) @ numpy.ones((300, 300))"],
    ):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=os.environ | {"UPTOKEN_STORE": store},
            preexec_fn=deny_executable_memory,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.parquet").stat().st_size > 0
