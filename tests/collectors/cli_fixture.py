"""A folder with a configuration and a store of its own, and the command line run over them in processes of their own."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from cli import main
from settings import secrecy
from store import StoreError, open_store
from store.schema import PROBES, Probe
from tests.forked import Forked, prepare

ROOT = Path(__file__).resolve().parents[2]
OF_THIS_MACHINE = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
"""Whose certificates this machine believes is no matter of a test that names no others: to load them takes 30 ms."""
STARTED: list[subprocess.Popen[str]] = []
"""Ended with the test, so that a loop of one that failed takes no time from all others."""


class CliFixture:
    """A folder with a configuration and a store of its own."""

    def __init__(self, folder: Path, base_url: str, *, configures: bool = True) -> None:
        prepare()
        self.folder = folder
        self.store_path = folder / "data" / "uptoken.db"
        self.url = f"sqlite:///{self.store_path}"
        self.config = folder / "targets.toml"
        if configures:
            self.configure(base_url)

    def configure(self, base_url: str, more: str = "") -> None:
        """By default with an interval that does not pass on a busy machine between a run's plan and its probe."""
        self.config.write_text(
            f'[collector]\nevery = "1h"\nthroughput_every = "off"\nconfirm_after = "50ms"\n{more}\n'
            f'[[target]]\nname = "a"\nmodel = "m"\nbase_url = "{base_url}"\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process over this place needs to know."""
        variables = {name: value for name, value in os.environ.items() if OF_THIS_MACHINE.get(name) != value}
        return variables | {
            "UPTOKEN_STORE": self.url,
            "UPTOKEN_CONFIG": str(self.config),
            "UPTOKEN_LOCATION": "here",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """`variables` are set in its environment."""
        process = Forked(
            [sys.executable, "-m", "collectors", *words],
            cwd=self.folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        STARTED.append(process)
        return process

    def set_every(self, every: str) -> None:
        """Change the interval."""
        self.config.write_text(re.sub(r'^every = ".*"', f'every = "{every}"', self.config.read_text(), flags=re.M))

    def start_loop(self, *words: str) -> subprocess.Popen[str]:
        """A loop with a tick a second, in each of which the target is due."""
        self.set_every("1s")
        return self.start("run", "--every", "1", *words)

    def python(self, script: str) -> subprocess.CompletedProcess[str]:
        """A script that makes something break before it runs the command line."""
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def call(self, *words: str) -> tuple[int, str, str]:
        """As `run`, in this process: for the many variants of what a real process shows in another test. What it knows
        as a secret from earlier calls is forgotten first: else it would be hidden wherever it is said.
        """
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)  # an export writes bytes
        err = io.StringIO()
        with pytest.MonkeyPatch.context() as here, redirect_stdout(out), redirect_stderr(err):
            here.chdir(self.folder)
            for name, value in self.environment.items():
                here.setenv(name, value)
            for name in os.environ.keys() - self.environment.keys():
                here.delenv(name)
            here.setattr(sys, "argv", ["collectors", *words])
            for name, nothing in (("_known", frozenset()), ("_whole", frozenset()), ("_trace", None)):
                here.setattr(secrecy, name, nothing)
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), out.buffer.getvalue().decode(), err.getvalue()

    def probes(self) -> list[Probe]:
        try:
            store = open_store(self.url, read_only=True)
        except StoreError:  # the collector is just making it
            return []
        rows = [Probe(*row) for row in store.read(PROBES)]
        store.close()
        return rows


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something to happen."""
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
