"""Commands of the collector, run for a page as processes of their own: the dashboard itself probes nothing and opens
the store read-only.

There is no shell, each value is one argument, and a value that looks like a key never becomes one: a process list shows
arguments to everybody.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pages.shell import editing
from settings.secrecy import hidden, looks_secret, redacted

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 2 * 1024 * 1024
LONGEST_ERROR = 600
TIMEOUT_S = 90.0
REFUSED_KEY = (
    "This looks like a key. A key is never written down: put it in an environment variable where the collector and the "
    "dashboard run, and give that variable's name, such as ACME_API_KEY. Consider replacing the key that you pasted."
)


@dataclass(frozen=True)
class CommandResult:
    """What a command said: its JSON document (empty without one) or its text, and what went wrong, if anything."""

    document: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    error: str | None = None
    is_secret: bool = False


def run_command(
    command: str, *positional: str, options: Mapping[str, str | bool | None] | None = None, timeout_s: float = TIMEOUT_S
) -> CommandResult:
    """Run one, for a viewer who may edit. An option that is null or false is left out, one that is true is a flag."""
    if (refused := editing.refusal()) is not None:
        return CommandResult(error=refused)
    given = {name: value for name, value in (options or {}).items() if value not in (None, False, "")}
    if any(looks_secret(value) for value in (*positional, *given.values()) if isinstance(value, str)):
        return CommandResult(error=REFUSED_KEY, is_secret=True)
    words = [name if value is True else f"{name}={value}" for name, value in given.items()]
    try:
        return _result(*_run([command, *words, *(("--", *positional) if positional else ())], timeout_s))
    except subprocess.TimeoutExpired:
        return CommandResult(error=f"It took longer than {timeout_s:.0f} s and was stopped; nothing was written.")
    except (OSError, ValueError) as problem:  # ValueError: a null character in a value
        return CommandResult(error=_safe(f"The command could not be started: {problem}"))


def _run(words: list[str], timeout_s: float) -> tuple[int, str, str]:
    """Its exit code, output and errors, each as far as it is read."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(  # nosec B603  no shell, and the command is Uptoken's own
        [sys.executable, "-m", "collectors", *words],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    streams = [_Reader(process.stdout, process), _Reader(process.stderr, process)]
    try:
        code = process.wait(timeout_s)
    finally:
        _kill(process)
        for each in streams:
            each.join()
    return code, streams[0].text, streams[1].text


class _Reader(threading.Thread):
    """Reads a stream to its end; a process that says too much is ended."""

    def __init__(self, stream: IO[bytes], process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream, self._process, self.text = stream, process, ""
        self.start()

    def run(self) -> None:
        with self._stream:
            said = self._stream.read(MOST_BYTES)
            if len(said) == MOST_BYTES:
                _kill(self._process)
        self.text = said.decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _result(code: int, out: str, err: str) -> CommandResult:
    try:
        document = json.loads(out)
    except ValueError:
        document = None
    if isinstance(document, dict):
        said = document.get("error")
        return CommandResult(document, "", _safe(str(said)) if said is not None else None)
    if code == 0:
        return CommandResult(text=_safe(out))
    return CommandResult(error=_safe(err) or f"The command ended with exit code {code}.")


def _safe(text: str) -> str:
    """One line, short, without keys, and without what only a command line has."""
    line = " ".join(hidden(redacted(text)).split()).removesuffix(" (see --help)")
    line = re.sub(r"^Invalid value for '?[^:']+'?: ", "", line)
    return line[:1].upper() + line[1:LONGEST_ERROR]
