"""The relay as a process of its own, as `python -m collectors relay` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.forked import Forked
from tests.relay.running import RunningRelay

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RelayProcess:
    process: subprocess.Popen[str]
    client: RunningRelay
    """Only to ask it: what is inside is in another process."""
    store: Path

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.store}"


def command(folder: Path, *arguments: str) -> list[str]:
    store = f"sqlite:///{folder / 'uptoken.db'}"
    files = ["--config", str(folder / "targets.toml"), "--store", store]
    return [sys.executable, "-m", "collectors", "relay", "--port", "0", *files, *arguments]


def environment(**more: str) -> Mapping[str, str]:
    return os.environ | {"UPTOKEN_LOCATION": "here", "PYTHONPATH": str(ROOT)} | more


@contextmanager
def relay_process(
    folder: Path,
    *sections: str,
    arguments: tuple[str, ...] = (),
    way: type[subprocess.Popen[str]] = Forked,
    **more: str,
) -> Iterator[RelayProcess]:
    """Started, and listening. Its errors are in `errors.txt` of the folder."""
    (folder / "targets.toml").write_text("\n".join(sections))
    with (folder / "errors.txt").open("w") as errors:
        process = way(
            command(folder, *arguments),
            cwd=ROOT,
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert "listens on http://" in said, (said, (folder / "errors.txt").read_text())
            port = int(said.rsplit(":", 1)[1].split("/")[0])
            client = RunningRelay(port, None, [], None)  # type: ignore[arg-type]
            yield RelayProcess(process, client, folder / "uptoken.db")
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()  # type: ignore[union-attr]
