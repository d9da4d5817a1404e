"""`add`, `change` and `remove`: from an address to a valid target, and back, against real servers on loopback."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cli
from cli.add_from import ollama_host
from collectors.http.prompt import PROMPT_TOKENS_AT_MOST
from settings.targets import load
from tests.collectors.cli_fixture import ROOT
from tests.fault_server import GOOD, FaultServer, answer, chunked

START = """# ours
[collector]
every = "60s"
usd_per_day = 1

[[target]]
name = "first"            # the oldest
model = "m"
base_url = "http://127.0.0.1:9/v1"
"""
KEY = "sk-canary-Zq83hfKw02LmXv77"
LISTED = [{"id": f"acme/chat-{number}", "max_model_len": 8_192} for number in range(1, 4)] + [{"id": "acme/embed"}]


class Vendor:
    """A server with chat completions and embeddings; `needs` is the key that it wants."""

    def __init__(self) -> None:
        self.needs: str | None = None
        self.is_broken = False

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        method, path, _ = request["line"].split()
        if self.needs is not None and request["headers"].get("authorization") != f"Bearer {self.needs}":
            answer(401, {"error": {"message": "no such key"}})(connection, request)
        elif method == "GET":
            known = {
                "/v1/models": {"data": LISTED},
                "/api/tags": {"models": [{"name": "gemma3:1b"}, {"name": "qwen3"}]},
            }
            answer(200 if path in known else 404, known.get(path, {}))(connection, request)
        elif self.is_broken:
            answer(500, {"error": {"message": "out of memory"}})(connection, request)
        elif path == "/v1/chat/completions" and request["body"]["model"] != "acme/embed":
            chunked(*GOOD)(connection, request)
        elif path == "/v1/embeddings":
            answer(200, {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}})(connection, request)
        else:
            answer(404, {"error": {"message": "no such model"}})(connection, request)


class Shell:
    """The command line in this process: its exit code, output and errors."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = folder / "targets.toml"
        self.config.write_text(START)
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["collectors", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return int(str(ended.value.code)), out, err

    def json(self, *words: str) -> dict[str, Any]:
        _, out, _ = self(*words, "--json")
        document: dict[str, Any] = json.loads(out)
        return document

    @property
    def names(self) -> list[str]:
        return [target.name for target in load(self.config).all_targets]


@pytest.fixture
def vendor() -> Iterator[tuple[Vendor, FaultServer]]:
    script = Vendor()
    with FaultServer(script) as server:
        yield script, server


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("UPTOKEN_CONFIG", str(tmp_path / "targets.toml"))
    monkeypatch.setenv("UPTOKEN_LOCATION", "here")
    monkeypatch.delenv("ACME_API_KEY", raising=False)
    return Shell(tmp_path, capsys, monkeypatch)


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


def test_an_ollama_is_taken_over_without_what_is_there_already(
    shell: Shell, vendor: tuple[Vendor, FaultServer]
) -> None:
    host = vendor[1].url.removesuffix("/v1")
    words = ("add", "--from", "ollama", "--base-url", host, "--yes")
    assert shell.json(*words)["skipped"] == []
    assert shell.names == ["first", "gemma3:1b", "qwen3"]
    again = shell.json(*words)
    assert [each["reason"] for each in again["skipped"]] == [
        "it is there already, as 'gemma3:1b'",
        "it is there already, as 'qwen3'",
    ]
    assert again["written"] is False


def test_an_ollama_is_listed_and_taken_over_where_its_own_variable_says(
    shell: Shell, vendor: tuple[Vendor, FaultServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = vendor[1].url.removesuffix("/v1").removeprefix("http://")
    monkeypatch.setenv("OLLAMA_HOST", host.replace("127.0.0.1", "0.0.0.0"))
    assert shell.json("add", "--from", "ollama", "--list")["base_url"] == vendor[1].url
    assert shell.json("add", "--from", "ollama", "--dry-run")["targets"][0]["base_url"] == vendor[1].url


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::]:11434", "http://127.0.0.1:11434"),
        (" gpu.lan ", "http://gpu.lan:11434"),
        ("gpu.lan/ollama", "http://gpu.lan:11434/ollama"),
        ("[fd00::1]", "http://[fd00::1]:11434"),
        ("https://gpu.lan", "https://gpu.lan"),
    ],
)
def test_ollamas_variable_means_what_it_means_to_ollama(value: str, url: str) -> None:
    assert ollama_host(value) == url


def test_a_proxy_that_fails_is_not_called_another_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _, _, err = shell("add", "--from", "ollama", "--base-url", "http://gpu.example", "--yes")
    assert "no Ollama responds at http://gpu.example (" in err and "failed at the proxy" in err


def test_an_embedding_model_of_an_ollama_is_probed_as_one(shell: Shell) -> None:
    listed = answer(200, {"models": [{"name": "nomic-embed-text:latest"}, {"name": "gemma3:1b"}]})
    with FaultServer(listed) as server:
        host = server.url.removesuffix("/v1")
        found = shell.json("add", "--from", "ollama", "--base-url", host, "--dry-run", "--no-test")
    assert [each["api"] for each in found["targets"]] == ["embeddings", "chat"]


def test_a_name_that_is_taken_keeps_its_slash(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "litellm.yaml"
    entry = "{model_name: acme/m, litellm_params: {model: openai/m1, api_base: 'http://127.0.0.1:9/v1', api_key: x}}"
    path.write_text(f"model_list:\n- {entry}\n- {entry.replace('openai/m1', 'openai/m2')}\n")
    shell("add", "--from", str(path), "--yes", "--no-test")
    assert shell.names == ["first", "acme/m", "acme/m (2)"]


def test_a_file_that_is_too_large_is_not_read_in_part(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "litellm.yaml"
    entry = "{model_name: m, litellm_params: {model: openai/m1, api_base: 'http://127.0.0.1:9/v1', api_key: x}}"
    path.write_text(f"model_list:\n- {entry}\n" + "#" * 4 * 1024 * 1024)
    code, _, err = shell("add", "--from", str(path), "--yes", "--no-test")
    assert code == 2 and "it is larger than 4 MiB" in err


def test_a_price_that_is_assumed_is_said_after_the_day(shell: Shell) -> None:
    words = ("--base-url", "https://llm.example.com/v1", "--model", "m", "--no-test", "--dry-run")
    assert " a day, price unknown, assumed high\n" in shell("add", *words)[1]


def test_a_litellm_configuration_is_taken_over_with_what_answers(
    shell: Shell, vendor: tuple[Vendor, FaultServer], tmp_path: Path
) -> None:
    url, path = vendor[1].url, tmp_path / "litellm.yaml"
    path.write_text(
        "model_list:\n"
        f"- {{model_name: first, litellm_params: {{model: openai/acme/chat-1, api_base: '{url}', api_key: x}}}}\n"
        f"- {{model_name: gone, litellm_params: {{model: openai/acme/embed, api_base: '{url}', api_key: x}}}}\n"
        f"- {{model_name: waits, litellm_params: {{model: openai/m, api_base: '{url}', api_key: os.environ/ACME_API_KEY}}}}\n"
        f"- {{model_name: leaky, litellm_params: {{model: openai/m, api_key: {KEY}}}}}\n"
    )
    code, out, err = shell("add", "--from", str(path), "--yes", "--no-test")
    assert (code, err) == (0, "") and KEY not in out
    assert shell.names == ["first", "first (2)", "gone", "waits"]
    shell.config.write_text(START)
    found = shell.json("add", "--from", str(path), "--dry-run")
    assert [each["name"] for each in found["targets"]] == ["first (2)", "waits"]
    code, out, _ = shell("add", "--from", str(path), "--yes")
    assert code == 0 and shell.names == ["first", "first (2)", "waits"]
    assert "waits: waiting for a key: set ACME_API_KEY; 1,464 probes a day" in out
    assert {each["name"]: each["reason"][:30] for each in found["skipped"]} == {
        "leaky": "its key is written in that fil",
        "gone": "not found: HTTP 404, no such m",
    }


def test_openrouters_models_are_a_choice(shell: Shell, vendor: tuple[Vendor, FaultServer]) -> None:
    url = vendor[1].url
    shell.config.write_text(START + f'\n[openrouter]\nbase_url = "{url}"\n')
    assert "which of OpenRouter's 4 models? --list shows them" in shell("add", "--from", "openrouter", "--yes")[2]
    code, _, err = shell("add", "--from", "openrouter", "--model", "chat-3", "--yes", "--no-test")
    assert (code, err) == (0, "")
    added = load(shell.config).all_targets[-1]
    assert (added.name, added.model, added.base_url) == ("acme/chat-3", "acme/chat-3", url)
    assert added.api_key_env == "OPENROUTER_API_KEY"


def test_a_model_of_openrouter_costs_what_its_list_says(shell: Shell) -> None:
    listed = {"id": "acme/priced", "name": "Priced", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}
    with FaultServer(answer(200, {"data": [listed]})) as server:
        shell.config.write_text(START + f'\n[openrouter]\nbase_url = "{server.url}"\n')
        found = shell.json("add", "--from", "openrouter", "--model", "priced", "--dry-run", "--no-test")
    prompt_usd = PROMPT_TOKENS_AT_MOST * 1e-6
    day_usd = 1_440 * (prompt_usd + 16 * 2e-6) + 24 * (prompt_usd + 128 * 2e-6)  # one a minute, and one longer an hour
    assert found["targets"][0]["day"]["max_usd"] == pytest.approx(day_usd)


def test_a_target_is_changed_and_removed_with_comments_kept_and_each_undone(shell: Shell) -> None:
    changed = shell.json("change", "first", "--every", "5m", "--tags", "x,y")
    assert shell.config.read_text() == START + 'every = "5m"\ntags = ["x", "y"]\n'
    assert shell.json("change", "first", "--every", "5m")["written"] is False
    assert shell.json("change", "first", "--every", "default", "--tags", "")["written"]
    assert shell.config.read_text() == START
    assert "was changed since" in shell.json("change", "--undo", changed["undo"])["error"]
    shell.config.write_text(f'{START}\n# below\n[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://h/v1"\n')
    before = shell.config.read_text()
    removed = shell.json("remove", "b", "--yes")
    assert shell.config.read_text() == f"{START}\n# below\n"
    assert shell.json("remove", "--undo", removed["undo"])["undone"] == removed["undo"]
    assert shell.config.read_text() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("change", "frist", "--every", "5m"), "no target is named 'frist'; did you mean 'first'?"),
        (("change", "first"), "give a target, and --every or --tags; or --undo ID"),
        (("change", "first", "--every", "never"), "'never' is not a duration"),
        (("change", "first", "--every", "0s"), "every: "),
        (("remove", "first"), "there is no terminal to ask on: add --yes"),
        (("remove", "first", "--yes"), "has no [[target]]: there is nothing to probe"),
        (("remove",), "give a target, or --undo ID"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(shell: Shell, words: tuple[str, ...], said: str) -> None:
    code, _, err = shell(*words)
    assert (code, said in err) == (2, True), err
    assert shell.config.read_text() == START


def test_a_target_that_a_route_needs_is_not_removed(shell: Shell) -> None:
    more = '\n[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    shell.config.write_text(START + more + '\n[[route]]\nmodel = "r"\ntargets = ["b"]\n')
    code, _, err = shell("remove", "b", "--yes")
    assert code == 2 and "route 1" in err
    assert shell("remove", "first", "--yes")[0] == 0
    assert shell.names == ["b"]


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
