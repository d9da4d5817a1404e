"""Standard output and error as they are found: closed, on a full disk, or without the letters of a target's name."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

OUTPUT, ERRORS = 1, 2


class OutputError(Exception):
    """Standard output could not be written."""


class ReaderLeftError(OutputError):
    """What read standard output has ended (`| head`): nothing is wrong."""


class _Descriptor(io.FileIO):
    """One of them, by its number. A failure is raised once, and only while somebody wants what is written."""

    def __init__(self, number: int, *, matters: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.matters = matters

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            if not self.matters:
                return memoryview(data).nbytes
            self.matters = False  # what is still buffered would fail again when the process ends
            if isinstance(problem, BrokenPipeError):
                raise ReaderLeftError from problem
            raise OutputError(f"could not write to standard output: {problem.strerror}") from problem


def take_over() -> None:
    """Let output fail as `OutputError`, errors never, and neither for a character that the encoding lacks.

    A number that is closed is filled with what cannot be written: a file that is opened would get it, and the output.
    """
    for number in (0, OUTPUT, ERRORS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is sys.__stdout__:  # a test that captures it has its own
        sys.stdout = _stream(OUTPUT, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(ERRORS, sys.stderr)


def forgive_output() -> None:
    """From now on output is only a log: what cannot be written of it is left out, and stops nothing."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Descriptor):
        raw.matters = False


def _stream(number: int, known: Any) -> io.TextIOWrapper:
    raw = _Descriptor(number, matters=number == OUTPUT)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=known.encoding if known is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=number == ERRORS or raw.isatty(),
    )
