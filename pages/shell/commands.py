"""Commands of the collector, each run for a page as a separate process: the dashboard itself never probes, and opens
the store read-only.

There is no shell, and each value is one argument. A value that looks like a key is refused, because the process list
shows arguments to every user of the machine.
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
    "This looks like a key. Keys are not stored: put it into an environment variable where the collector and the "
    "dashboard run, and enter that variable's name, such as ACME_API_KEY. Consider replacing the key that you pasted."
)

_MAYBE_INCOMPLETE = (
    "Part of it may be done, such as a rename in the file: reload this page, and repeat it in a terminal if needed."
)


Options = Mapping[str, str | bool | tuple[str, ...] | None]


@dataclass(frozen=True)
class CommandResult:
    """A command's output, as a JSON document (empty without one) or as text, and its error, if it failed."""

    document: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    error: str | None = None
    is_secret: bool = False


def run_command(
    command: str,
    *positional: str,
    options: Options | None = None,
    stdin: bytes = b"",
    timeout_s: float = TIMEOUT_S,
) -> CommandResult:
    """Run a command for a viewer who may edit. A null, false or empty option is omitted; a true one is a flag, and one
    with several values is given once for each.
    """
    if (refused := editing.refusal()) is not None:
        return CommandResult(error=refused)
    given = {name: value for name, value in (options or {}).items() if value not in (None, False, "", ())}
    pairs = [(name, each) for name, value in given.items() for each in (value if isinstance(value, tuple) else [value])]
    if any(looks_secret(value) for value in (*positional, *(value for _, value in pairs)) if isinstance(value, str)):
        return CommandResult(error=REFUSED_KEY, is_secret=True)
    words = [name if value is True else f"{name}={value}" for name, value in pairs]
    try:
        return _result(*_run([command, *words, *(("--", *positional) if positional else ())], timeout_s, stdin))
    except subprocess.TimeoutExpired:
        return CommandResult(error=f"It was stopped after {timeout_s:.0f} s. {_MAYBE_INCOMPLETE}")
    except (OSError, ValueError) as problem:  # ValueError: a null character in a value
        return CommandResult(error=_safe(f"The command could not be started: {problem}"))


def _run(words: list[str], timeout_s: float, stdin: bytes = b"") -> tuple[int, str, str]:
    """The exit code, and the first `MOST_BYTES` of output and errors."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(  # nosec B603  no shell, and the command is Uptoken's own
        [sys.executable, "-m", "collectors", *words],
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
    streams = [_Reader(process.stdout, process), _Reader(process.stderr, process)]
    try:
        code = process.wait(timeout_s)
    finally:
        _kill(process)
        for each in streams:
            each.join()
    return code, streams[0].text, streams[1].text


def _feed(stream: IO[bytes], data: bytes) -> None:
    """Write it all, to a process that may not read it, and end the stream."""
    with suppress(OSError), stream:
        stream.write(data)


class _Reader(threading.Thread):
    """Reads a stream to its end, and kills a process that writes too much."""

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
    """One short line without keys, and without the parts that only make sense on a command line."""
    line = " ".join(hidden(redacted(text)).split()).removesuffix(" (see --help)")
    line = re.sub(r"^Invalid value for '?[^:']+'?: ", "", line)
    return line[:1].upper() + line[1:LONGEST_ERROR]
