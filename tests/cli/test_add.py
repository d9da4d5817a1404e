"""`add`: from an address to a valid target, against real servers on loopback."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.cli.shell import KEY, START, Shell, Vendor
from tests.collectors.cli_fixture import ROOT
from tests.fault_server import FaultServer


def test_a_target_is_found_tried_priced_and_written_and_one_command_undoes_it(
    shell: Shell, vendor: tuple[Vendor, FaultServer]
) -> None:
    _, server = vendor
    host = server.url.removesuffix("/v1")
    code, out, err = shell("add", "--base-url", host, "--model", "chat-2", "--every", "5m", "--tags", "a, b", "--yes")
    assert (code, err) == (0, "")
    assert f"the API is at {server.url}\n" in out
    assert "chat-2: up, first token after " in out and "; 312 probes a day, price unknown; on this machine\n" in out
    block = (
        f'\n[[target]]\nname = "chat-2"\nmodel = "acme/chat-2"\nbase_url = "{server.url}"\nevery = "5m"\n'
        'tags = ["a", "b"]\n'
    )
    assert shell.config.read_text() == START + block
    assert len(server.requests) == 2  # the list, and one probe
    undo = out.partition("`add --undo ")[2].partition("`")[0]
    assert shell("add", "--undo", undo)[0] == 0
    assert shell.config.read_text() == START


def test_a_dry_run_says_the_same_and_writes_nothing(shell: Shell, vendor: tuple[Vendor, FaultServer]) -> None:
    _, server = vendor
    found = shell.json("add", "--base-url", server.url, "--model", "acme/embed", "--dry-run")
    [target] = found["targets"]
    assert (target["api"], target["test"]["outcome"], target["test"]["ttft_ms"]) == ("embeddings", "ok", None)
    assert target["day"] == {"probes": 1_440.0, "max_usd": 0.0, "words": "price unknown; on this machine"}
    assert 'api = "embeddings"' in found["toml"]
    assert (found["written"], found["undo"], shell.config.read_text()) == (False, None, START)


def test_a_well_known_provider_has_a_price_before_anything_is_sent(shell: Shell) -> None:
    words = (
        "add",
        "--base-url",
        "https://api.openai.com/v1",
        "--model",
        "gpt-4o-mini",
        "--api-key-env",
        "ACME_API_KEY",
    )
    [target] = shell.json(*words, "--no-test", "--dry-run")["targets"]
    assert target["test"] is None and 0 < target["day"]["max_usd"] < 1
    assert "assumed" not in target["day"]["words"]
    [unknown] = shell.json("add", "--base-url", "https://llm.example.com/v1", "--model", "m", "--no-test", "--dry-run")[
        "targets"
    ]
    assert "price unknown, assumed high" in unknown["day"]["words"]


def test_the_models_of_a_server_are_listed(shell: Shell, vendor: tuple[Vendor, FaultServer]) -> None:
    _, server = vendor
    found = shell.json("add", "--base-url", server.url, "--list")
    assert (found["base_url"], found["api"]) == (server.url, "chat")
    assert found["models"][0] == {"id": "acme/chat-1", "context_tokens": 8_192}
    assert len(found["models"]) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (),
            "there is no terminal to ask on: give --base-url URL, --model MODEL, --yes (or --dry-run, to write nothing)",
        ),
        (("--yes",), "--base-url is missing"),
        (("--yes", "--base-url", "{url}"), "--model is missing: {url} lists acme/chat-1, acme/chat-2, acme/chat-3"),
        (
            ("--yes", "--base-url", "{url}", "--model", "chat"),
            "3 models at {url} have 'chat' in their names: acme/chat-1",
        ),
        (("--yes", "--base-url", "{url}", "--model", "gpt"), "{url} lists no model 'gpt', but acme/chat-1"),
        (("--yes", "--base-url", "ftp://h", "--model", "m"), "--base-url: 'ftp://h' is not a base URL; write it as"),
        (
            ("--yes", "--base-url", "{url}", "--model", "chat-1", "--name", "first"),
            "has a target 'first' already: choose",
        ),
        (
            ("--yes", "--base-url", "{url}", "--model", "chat-1", "--every", "fast"),
            "'fast' is not a duration; write it",
        ),
        (("--yes", "--base-url", "{url}", "--model", "chat-1", "--every", "10d"), "every: "),
        (
            ("--yes", "--base-url", "{url}", "--model", "chat-1", "--api", "grpc"),
            "'grpc' is not one of chat, responses",
        ),
        (("--yes", "--base-url", "http://127.0.0.1:9", "--model", "m"), "127.0.0.1:9 cannot be reached: "),
        (
            ("--yes", "--base-url", "{url}", "--model", "chat-1", "--api-key-env", KEY),
            "the name of the environment var",
        ),
        (("--yes", "--base-url", "{url}", "--model", "chat-1", "--name", KEY), "this looks like a key"),
        (("--yes", "--base-url", f"https://u:{KEY}@h/v1", "--model", "m"), "a key does not belong in the URL"),
        (("--undo", "0123456789ab"), "no change of "),
        (("--yes", "--from", "ollama", "--name", "n"), "--name cannot be combined with --from ollama: leave it out"),
        (
            ("--yes", "--from", "openrouter", "--base-url", "{url}"),
            "--base-url cannot be combined with --from openrouter",
        ),
        (
            ("--yes", "--from", "x.yaml", "--api-key-env", "ACME_API_KEY"),
            "--api-key-env cannot be combined with --from x",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_written(
    shell: Shell, vendor: tuple[Vendor, FaultServer], words: tuple[str, ...], said: str
) -> None:
    url = vendor[1].url
    given = [word.format(url=url) for word in words]
    code, out, err = shell("add", *given)
    assert (code, out) == (2, "")
    assert said.format(url=url) in err and KEY[3:] not in err
    assert shell.config.read_text() == START
    document = shell.json("add", *given)
    assert document["exit_code"] == 2 and document["error"] == err.rstrip("\n")


def test_a_key_comes_from_its_variable_and_its_absence_is_said(
    shell: Shell, vendor: tuple[Vendor, FaultServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, server = vendor
    script.needs = KEY
    words = ("add", "--base-url", server.url, "--model", "acme/chat-1", "--yes")
    assert "it needs a key: name the environment variable that holds it with --api-key-env" in shell(*words)[2]
    named = (*words, "--api-key-env", "ACME_API_KEY")
    assert "returned HTTP 401: it needs a key: set ACME_API_KEY" in shell(*named)[2]
    monkeypatch.setenv("ACME_API_KEY", "another-key-of-acme")
    assert "it does not accept the key in ACME_API_KEY; correct it there" in shell(*named)[2]
    assert shell.config.read_text() == START
    monkeypatch.setenv("ACME_API_KEY", KEY)
    code, out, _ = shell(*named)
    assert code == 0 and "the collector needs ACME_API_KEY in its environment" in out
    written = shell.config.read_text()
    assert 'api_key_env = "ACME_API_KEY"' in written and KEY not in written + out


def test_a_model_that_does_not_answer_is_written_only_when_that_is_wanted(
    shell: Shell, vendor: tuple[Vendor, FaultServer]
) -> None:
    script, server = vendor
    script.is_broken = True
    words = ("add", "--base-url", server.url, "--model", "acme/chat-1", "--yes")
    code, _, err = shell(*words)
    assert code == 2
    assert "nothing was written: chat-1: server error: " in err and "add --no-test to write it as it is" in err
    seen = len(server.requests)
    assert shell(*words, "--no-test")[0] == 0
    assert shell.names == ["first", "chat-1"] and len(server.requests) == seen


def test_a_server_without_a_list_is_tried_in_the_api_that_is_named(
    shell: Shell, vendor: tuple[Vendor, FaultServer]
) -> None:
    _, server = vendor
    elsewhere = server.url.replace("/v1", "/elsewhere")
    code, _, err = shell("add", "--base-url", elsewhere, "--model", "m", "--yes")
    assert code == 2 and "for a server without a list, give --model and --api" in err
    code, _, err = shell("add", "--base-url", elsewhere, "--model", "m", "--api", "chat", "--yes")
    assert code == 2 and "nothing was written: m: not found: HTTP 404" in err  # it was tried there


def test_a_file_that_is_wrong_already_is_left_alone(shell: Shell, vendor: tuple[Vendor, FaultServer]) -> None:
    shell.config.write_text(START + 'evry = "5s"\n')
    code, _, err = shell("add", "--base-url", vendor[1].url, "--model", "acme/chat-1", "--yes")
    assert code == 2 and "line 10: target 1 ('first') has no 'evry'; did you mean 'every'?" in err


def test_a_price_that_is_assumed_is_said_after_the_day(shell: Shell) -> None:
    words = ("--base-url", "https://llm.example.com/v1", "--model", "m", "--no-test", "--dry-run")
    assert " a day, price unknown, assumed high\n" in shell("add", *words)[1]


def _talk(process: subprocess.Popen[bytes], terminal: int, lines: list[tuple[str, str]]) -> str:
    """Answer each question as soon as it is there."""
    said, waiting, until = "", list(lines), time.monotonic() + 60
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 4096).decode()
            except OSError:
                break
            while waiting and waiting[0][0] in said.partition("\x00")[0].rsplit("»", 1)[-1]:
                _, typed = waiting.pop(0)
                said += "»"
                os.write(terminal, f"{typed}\n".encode())
        elif process.poll() is not None:
            break
    assert not waiting, said
    return said


@pytest.mark.waits
def test_on_a_terminal_it_asks_for_what_is_missing(shell: Shell, vendor: tuple[Vendor, FaultServer]) -> None:
    script, server = vendor
    script.needs = KEY
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "collectors", "add"],
        cwd=shell.config.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "ACME_API_KEY": KEY, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        said = _talk(
            process,
            ours,
            [
                ("Base URL of its API", server.url.removesuffix("/v1")),
                ("The environment variable that holds it", KEY),
                ("The environment variable that holds it", "ACME_API_KEY"),
                ("its number, or a part of its name", "chat"),
                ("its number, or a part of its name", "3"),
                ("Name on the dashboard", "Mine"),
                ("Write this to ", "y"),
            ],
        )
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "not the key itself, which is never written down" in said
    assert "Mine: up, first token after " in said
    assert 'name = "Mine"\nmodel = "acme/chat-3"\n' in shell.config.read_text()
    assert KEY not in shell.config.read_text()
