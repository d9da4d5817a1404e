"""`add --from`: targets of an Ollama, of a LiteLLM configuration, and of OpenRouter."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.add_from import ollama_host
from collectors.http.prompt import PROMPT_TOKENS_AT_MOST
from settings.targets import load
from tests.cli.shell import KEY, START, Shell, Vendor
from tests.fault_server import FaultServer, answer


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
