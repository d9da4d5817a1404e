"""What is behind an address that somebody typed, found with few GET requests, over a real server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import free_port
from collectors.discovery import (
    DiscoveryError,
    KeyRefusedError,
    Server,
    UnreachableError,
    apis_to_try,
    base_urls,
    find_server,
    hinted_api,
    typed_url,
)
from settings.targets import ProbeTarget, parse
from tests.fault_server import FaultServer, Script, answer, raw

OPENAI = {"object": "list", "data": [{"id": "acme/m", "object": "model"}]}
ANTHROPIC = {"data": [{"type": "model", "id": "claude-x", "display_name": "X"}], "has_more": False}
GEMINI = {"models": [{"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]}]}


def target(base_url: str, key: str | None = None) -> ProbeTarget:
    named = '\napi_key_env = "ACME_API_KEY"' if key is not None else ""
    text = f'[[target]]\nname = "new"\nmodel = "new"\nbase_url = "{base_url}"{named}\n'
    return parse(text, Path("t"), {"ACME_API_KEY": key} if key else {}).targets[0]


def serving(pages: dict[str, Script]) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        path = request["line"].split()[1]
        pages.get(path, answer(404, {}))(connection, request)

    return script


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("https://h/v1/", "https://h/v1"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1/models?x=1", "https://h/v1?x=1"),
        ("localhost:11434", "http://localhost:11434"),
        ("127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        (" llm.example.com/v1 ", "https://llm.example.com/v1"),
        ("[::1]/v1", "http://[::1]/v1"),
        ("0.0.0.0:11434", "http://0.0.0.0:11434"),
        ("models.localhost", "http://models.localhost"),
    ],
)
def test_an_address_is_taken_as_people_type_it(typed: str, meant: str) -> None:
    assert typed_url(typed) == meant


@pytest.mark.parametrize(
    ("base_url", "api"),
    [
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://api.z.ai/api/anthropic", "anthropic"),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", None),
        ("https://x-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google", "gemini"),
        ("https://name.openai.azure.com", "azure"),
        ("https://api.openai.com/v1", None),
        ("https://anthropic.example.com/v1", None),
    ],
)
def test_a_well_known_host_says_what_it_speaks(base_url: str, api: str | None) -> None:
    assert hinted_api(base_url) == api


def test_a_version_is_tried_with_and_without() -> None:
    assert base_urls("https://h/openai/v1") == ("https://h/openai/v1", "https://h/openai")
    assert base_urls("https://h/openai") == ("https://h/openai/v1", "https://h/openai")


@pytest.mark.parametrize(
    ("typed", "served", "found"),
    [
        ("", "/v1/models", "/v1"),
        ("/v1", "/models", ""),
        ("", "/api/v1/models", "/api/v1"),
        ("/openai", "/openai/models", "/openai"),
    ],
)
def test_the_list_of_models_is_found_where_it_is(typed: str, served: str, found: str) -> None:
    with FaultServer(serving({served: answer(200, OPENAI)})) as server:
        host = server.url.removesuffix("/v1")
        result = find_server(target(host + typed))
    assert (result.base_url, result.api, [each.id for each in result.models]) == (host + found, "chat", ["acme/m"])


def test_a_server_that_wants_its_key_in_another_header_is_asked_in_that_api() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        is_right = request["headers"].get("x-api-key") == "secret-of-acme"
        (answer(200, ANTHROPIC) if is_right else answer(401, {}))(connection, request)

    with FaultServer(script) as server:
        result = find_server(target(server.url, "secret-of-acme"))
    assert (result.api, [each.id for each in result.models]) == ("anthropic", ["claude-x"])


@pytest.mark.parametrize(("response", "api"), [(OPENAI, "chat"), (ANTHROPIC, "anthropic"), (GEMINI, "gemini")])
def test_a_list_says_by_its_shape_which_api_it_is_of(response: Any, api: str) -> None:
    with FaultServer(answer(200, response)) as server:
        assert find_server(target(server.url)).api == api


def test_a_deployment_of_azure_is_in_no_list() -> None:
    assert find_server(target("https://name.openai.azure.com")) == Server("https://name.openai.azure.com", "azure", ())


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        (answer(401, {}), KeyRefusedError, "returned HTTP 401: it needs a key: name the environment variable"),
        (answer(404, {}), DiscoveryError, "there is no list of models at .*/v1/models or .*/models .HTTP 404.: check"),
        (answer(503, {}), DiscoveryError, "/v1/models returned HTTP 503: try again later"),
        (answer(200, b"<html>"), DiscoveryError, "is not JSON: this may be a web page and not an API"),
        (raw(b"SSH-2.0-x\r\n"), UnreachableError, "cannot be reached: .*; check the address, whether the server runs"),
    ],
)
def test_what_goes_wrong_is_said_with_what_to_do(script: Script, kind: type[DiscoveryError], said: str) -> None:
    with FaultServer(script) as server, pytest.raises(kind, match=said):
        find_server(target(server.url))


def test_a_key_that_is_refused_is_named_and_not_shown() -> None:
    with FaultServer(answer(401, {})) as server, pytest.raises(KeyRefusedError) as raised:
        find_server(target(server.url, "secret-of-acme"))
    assert "does not accept the key in ACME_API_KEY; correct it there" in str(raised.value)
    assert "secret-of-acme" not in str(raised.value)


def test_a_proxy_that_is_down_is_said_to_be_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    port = free_port()
    monkeypatch.setitem(os.environ, "HTTPS_PROXY", f"http://user:hidden-word@127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match=f"failed at the proxy 127.0.0.1:{port}.*correct HTTPS_PROXY") as raised:
        find_server(target("https://llm.example.com/v1"))
    assert "hidden-word" not in str(raised.value)


def test_the_apis_of_a_model_are_tried_with_the_most_likely_first() -> None:
    chat = Server("http://h/v1", "chat", ())
    assert list(apis_to_try(chat, "acme/m")) == ["chat", "responses", "anthropic"]
    assert list(apis_to_try(chat, "text-embedding-3-small"))[:2] == ["embeddings", "chat"]
    assert list(apis_to_try(Server("http://h", "gemini", ()), "gemini-x")) == ["gemini"]
