"""Sample code fits its model and its API: it runs here against servers on loopback, the vendors' packages included. In
tests/test_browser.py it runs against a real model.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from pages.components.sample_code import DIALECTS, SAMPLES, SampleRequest, curl, label, python_openai, python_requests
from tests.fault_server import FaultServer, answer
from tests.middlebox import program

PLAIN = SampleRequest("gemma-3-270m", "http://127.0.0.1:8095/v1", None)
ROUTED = SampleRequest("google/gemma-3-1b-it:free", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", False, True)
SEEING = SampleRequest("x/sees", "https://h/v1", "K", True)


@pytest.mark.parametrize("callee", [PLAIN, ROUTED, SEEING])
@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_sample_names_the_model_and_the_server(callee: SampleRequest, name: str) -> None:
    code = SAMPLES[name][1](callee)
    assert callee.model in code
    assert callee.base_url in code
    if callee.key is not None:
        assert callee.key in code
    else:
        assert "Authorization" not in code and "env" not in code


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_image_is_asked_about_only_where_the_model_takes_images(name: str) -> None:
    write = SAMPLES[name][1]
    assert "image_url" in write(SEEING)
    assert "image" not in write(ROUTED)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_only_a_router_is_told_who_calls(name: str) -> None:
    write = SAMPLES[name][1]
    assert "X-Title" in write(ROUTED)
    assert "X-Title" not in write(PLAIN)


@pytest.mark.parametrize("callee", [PLAIN, ROUTED, SEEING])
def test_the_python_samples_are_python_and_the_curl_sample_sends_json(callee: SampleRequest) -> None:
    ast.parse(python_openai(callee))
    ast.parse(python_requests(callee))
    words = shlex.split(re.sub(r"\\\\\n", " ", curl(callee)))
    assert json.loads(words[words.index("-d") + 1])["model"] == callee.model


# -- run, against a server that says what each API says

KEY = "sk-canary-0123456789"
CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A life."}, "finish_reason": "stop"}],
}  # fmt: skip
RESPONSES = {
    "chat": CHAT,
    "azure": CHAT,
    "responses": {
        "id": "r", "object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": False, "tools": [],
        "tool_choice": "auto", "status": "completed",
        "output": [
            {"id": "t", "type": "reasoning", "summary": []},
            {"id": "o", "type": "message", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "A life.", "annotations": []}]},
        ],
    },
    "anthropic": {
        "id": "a", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": None,
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "A life."}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "A life."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1},
    },
    "embeddings": {
        "object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
}  # fmt: skip
# by API: below the server's address the base URL, where a request goes, and the header that carries the key
CALLED: dict[str, tuple[str, str, str]] = {
    "chat": ("/v1", "/v1/chat/completions", "authorization"),
    "responses": ("/v1", "/v1/responses", "authorization"),
    "anthropic": ("/v1", "/v1/messages", "x-api-key"),
    "gemini": ("/v1beta", "/v1beta/models/m:generateContent", "x-goog-api-key"),
    "azure": ("", "/openai/deployments/m/chat/completions?api-version=2024-10-21", "api-key"),
    "embeddings": ("/v1", "/v1/embeddings", "authorization"),
}
OF_EACH_PACKAGE = ("chat", "anthropic", "gemini")
"""APIs whose Python samples run in processes of their own: to import a vendor's package takes seconds."""
PACKAGES = {"openai": "openai", "anthropic": "anthropic", "google-genai": "google.genai"}


def _run(name: str, callee: SampleRequest, *, in_process: bool = False) -> str:
    """What a sample prints. `in_process`: Python in this process, where the vendors' packages are imported once, for
    the variants of what a process of its own shows in another test.
    """
    language, write = SAMPLES[name]
    if language != "python":
        program(*{"typescript": ("node", "nodejs"), "bash": ("curl",)}[language])
    package = PACKAGES[DIALECTS[callee.api].sdk]
    if name == "Python (openai)" and find_spec(package.partition(".")[0]) is None:
        pytest.skip(f"{package} is not installed")
    command = {
        "python": [sys.executable, "-c"],
        "bash": ["bash", "-c"],
        "typescript": ["node", "--input-type=module", "-e"],
    }[language]
    environment = os.environ | {"KEY": KEY, "NO_PROXY": "*"}
    if in_process and language == "python":
        return _run_here(write(callee), environment)
    done = subprocess.run([*command, write(callee)], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run_here(code: str, environment: dict[str, str]) -> str:
    with pytest.MonkeyPatch.context() as here, redirect_stdout(io.StringIO()) as said:
        for variable, value in environment.items():
            here.setenv(variable, value)
        exec(compile(code, "sample", "exec"), {"__name__": "__main__"})
    return said.getvalue()


@pytest.mark.process
@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("api", list(CALLED))
def test_a_sample_runs_in_what_its_server_speaks(api: str, name: str) -> None:
    base, path, header = CALLED[api]
    with FaultServer(answer(200, RESPONSES[api])) as server:
        url = server.url.removesuffix("/v1") + base
        said = _run(name, SampleRequest("m", url, "KEY", api=api), in_process=api not in OF_EACH_PACKAGE)
    assert ("0.5" if api == "embeddings" else "A life.") in said
    [request] = server.requests
    assert request["line"] == f"POST {path} HTTP/1.1"
    if not (api == "anthropic" and name == "Python (openai)"):  # the vendor's package chooses between its two headers
        assert request["headers"][header] == (f"Bearer {KEY}" if header == "authorization" else KEY)
    assert request["body"].get("model", "m") == "m"
    assert KEY not in json.dumps(request["body"]) + request["line"]


@pytest.mark.process
@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("api", ["chat", "responses", "anthropic", "gemini", "azure", "embeddings"])
def test_a_samples_key_goes_where_the_target_says(api: str, name: str) -> None:
    base, _, _ = CALLED[api]
    with FaultServer(answer(200, RESPONSES[api])) as server:
        url = server.url.removesuffix("/v1") + base
        _run(name, SampleRequest("m", url, "KEY", api=api, api_key_header="X-Own-Key"), in_process=True)
    assert server.requests[0]["headers"]["x-own-key"] == KEY


@pytest.mark.process
@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("api", ["chat", "responses", "anthropic", "azure", "embeddings"])
def test_a_samples_query_is_the_base_urls_and_the_targets(api: str, name: str) -> None:
    base, path, _ = CALLED[api]
    with FaultServer(answer(200, RESPONSES[api])) as server:
        url = server.url.removesuffix("/v1") + base + "?tenant=a%20b"
        _run(name, SampleRequest("m", url, "KEY", api=api, params={"region": "eu"}), in_process=True)
    where, _, query = server.requests[0]["line"].split()[1].partition("?")
    assert where == path.partition("?")[0]
    own = {"api-version=2024-10-21"} if api == "azure" else set()
    assert {pair.replace("%20", "+") for pair in query.split("&")} == {"tenant=a+b", "region=eu"} | own


@pytest.mark.process
@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("/openai/deployments/mine", "/openai/deployments/mine/chat/completions?api-version=2024-10-21"),
        ("/openai", "/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        ("/openai/v1", "/openai/v1/chat/completions"),
    ],
)
@pytest.mark.parametrize("name", list(SAMPLES))
def test_azure_is_called_by_the_resource_by_a_deployment_and_below_v1(name: str, base: str, path: str) -> None:
    with FaultServer(answer(200, CHAT)) as server:
        _run(name, SampleRequest("m", server.url.removesuffix("/v1") + base, "KEY", api="azure"), in_process=True)
    assert server.requests[0]["line"].split()[1] == path


@pytest.mark.parametrize("api", list(CALLED))
def test_an_image_is_asked_about_as_the_api_has_it_and_a_bare_host_is_completed(api: str) -> None:
    callee = replace(SEEING, api=api, base_url="https://h")
    kinds = {"chat": '"image_url"', "azure": '"image_url"', "responses": '"input_image"', "anthropic": '"source"'}
    write: Callable[[Any], str] = curl
    assert (kinds.get(api, "image") in write(callee)) == (api in kinds)
    ends = {"anthropic": "https://h/v1/messages", "gemini": "https://h/v1beta/models/x/sees:generateContent"}
    assert callee.url == ends.get(api, callee.url)


def test_the_first_sample_is_named_for_the_vendors_package() -> None:
    assert [label("Python (openai)", api) for api in ("chat", "anthropic", "gemini")] == [
        "Python (openai)",
        "Python (anthropic)",
        "Python (google-genai)",
    ]
    assert label("curl", "gemini") == "curl"


@pytest.mark.parametrize("api", list(CALLED))
@pytest.mark.parametrize("key", [None, "KEY"])
@pytest.mark.parametrize("name", [name for name, (language, _) in SAMPLES.items() if language == "python"])
def test_a_python_sample_imports_what_it_uses_and_nothing_else(name: str, key: str | None, api: str) -> None:
    tree = ast.parse(SAMPLES[name][1](SampleRequest("m", "http://127.0.0.1:1/v1", key, api=api)))
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    assert imported == {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & {"os", *imported}
    assert ("os" in imported) == (key is not None)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_routers_sample_sends_a_key_also_where_the_target_names_none(name: str) -> None:
    code = SAMPLES[name][1](replace(ROUTED, api_key_env=None))
    assert "OPENROUTER_API_KEY" in code and '"none"' not in code
