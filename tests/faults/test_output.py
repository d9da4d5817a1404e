"""A log or an output that cannot be written: a full disk, a reader that left, a closed descriptor, an ASCII locale."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.cli_fixture import CliFixture, until
from tests.forked import Forked

pytestmark = pytest.mark.waits

NAME = "Modèle – 模型"


def run(place: CliFixture, *words: str, out: str, **variables: str) -> tuple[int, bytes]:
    """The exit code and what was said on standard error of a command whose output goes to a file, or nowhere."""
    close: dict[str, Any] = {"preexec_fn": lambda: os.close(1)} if out == "closed" else {}
    with Path("/dev/null" if out == "closed" else out).open("wb") as stream:
        process: subprocess.Popen[Any] = (subprocess.Popen if close else Forked)(
            [sys.executable, "-m", "collectors", *words],
            cwd=place.folder,
            env=place.environment | variables,
            stdout=stream,
            stderr=subprocess.PIPE,
            **close,
        )
        _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("out", ["/dev/full", "closed", "a pipe without a reader"])
@pytest.mark.parametrize("errors_too", [False, True])
def test_a_loop_goes_on_recording_when_its_log_cannot_be_written(place: CliFixture, out: str, errors_too: bool) -> None:
    place.set_every("1s")
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    stream = writer if "pipe" in out else full
    loop = subprocess.Popen(
        [sys.executable, "-m", "collectors", "run", "--every", "1", "--only", "probe"],
        cwd=place.folder,
        env=place.environment,
        stdout=stream,
        stderr=stream if errors_too else subprocess.PIPE,
        preexec_fn=(lambda: os.close(1)) if out == "closed" else None,
    )
    os.close(writer)
    os.close(full)
    try:
        until(lambda: len(place.probes()) >= 3)
    finally:
        loop.send_signal(signal.SIGTERM)
        _, errors = loop.communicate(timeout=20)
    assert loop.returncode == 0
    assert errors in (None, b"")
    assert {probe.outcome for probe in place.probes()} == {"ok"}


@pytest.mark.parametrize(
    ("out", "reason"), [("/dev/full", "No space left on device"), ("closed", "Bad file descriptor")]
)
@pytest.mark.parametrize(
    "words",
    [
        ("export", "probes"),
        ("export", "probes", "--format", "jsonl"),
        ("export", "probes", "--format", "parquet"),
        ("check",),
        ("check", "--health"),
        ("--help",),
    ],
    ids=" ".join,
)
def test_output_that_was_asked_for_and_cannot_be_written_is_exit_code_3(
    place: CliFixture, words: tuple[str, ...], out: str, reason: str
) -> None:
    assert place.run("run")[0] == 0
    assert run(place, *words, out=out) == (3, f"could not write to standard output: {reason}\n".encode())


@pytest.mark.parametrize("words", [("run", "--all"), ("export", "probes", "--output", "probes.csv")], ids=" ".join)
def test_a_command_whose_purpose_is_no_output_does_its_work_without_one(
    place: CliFixture, words: tuple[str, ...]
) -> None:
    assert place.run("run")[0] == 0
    for out in ("/dev/full", "closed"):
        assert run(place, *words, out=out)[0] == 0
    assert len(place.probes()) == (3 if words[0] == "run" else 1)


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_a_name_outside_ascii_is_recorded_shown_and_exported_in_any_locale(
    place: CliFixture, locale: dict[str, str]
) -> None:
    place.config.write_text(place.config.read_text().replace('name = "a"', f'name = "{NAME}"'))
    for words in (("run",), ("check",), ("export", "probes", "--target", NAME)):
        code, errors = run(place, *words, out=str(place.folder / "out"), UPTOKEN_LOCATION="Zürich", **locale)
        assert (code, b"Traceback" in errors) == (0, False), errors
    assert f"\r\n{NAME},".encode() in (place.folder / "out").read_bytes()
    [probe] = place.probes()
    assert (probe.target, probe.location) == (NAME, "Zürich")


def test_an_argument_that_is_not_utf_8_is_a_sentence(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    code, errors = run(place, "export", "probes", "--target", os.fsdecode(b"caf\xe9"), out="/dev/null")
    assert (code, errors) == (2, b"Invalid value: 'caf\\udce9' is not UTF-8 (see --help)\n")
