"""LangChain, LiteLLM and the Vercel AI SDK as clients, each in an environment of its own (`.clients/`, made once)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.relay.running import relay_to
from tests.relay.upstreams import Upstream, failing, good

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]
CLIENTS = Path(__file__).resolve().parents[2] / ".clients"
INSTALL_S = 600

LANGCHAIN = """
import sys
from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="gemma", base_url=sys.argv[1], api_key="unused", max_retries=0)
assert model.invoke("What is 17 + 25?").content == "42"
assert "".join(piece.content for piece in model.stream("What is 17 + 25?")) == "42"
counted = list(ChatOpenAI(model="gemma", base_url=sys.argv[1], api_key="unused", stream_usage=True).stream("hi"))
assert sum(piece.usage_metadata["output_tokens"] for piece in counted if piece.usage_metadata) == 2
"""
LITELLM = """
import sys
import litellm
asked = dict(model="openai/gemma", api_base=sys.argv[1], api_key="unused", max_retries=0,
             messages=[{"role": "user", "content": "What is 17 + 25?"}])
assert litellm.completion(**asked).choices[0].message.content == "42"
pieces = list(litellm.completion(**asked, stream=True))
assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "42"
pieces = list(litellm.completion(**asked, stream=True, stream_options={"include_usage": True}))
assert pieces[-1].usage.completion_tokens == 2
"""
VERCEL = """
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
const provider = createOpenAICompatible({ name: 'relay', baseURL: process.argv[2], includeUsage: true });
const plain = await generateText({ model: provider('gemma'), prompt: 'What is 17 + 25?', maxRetries: 0 });
if (plain.text !== '42') throw new Error(plain.text);
const stream = streamText({ model: provider('gemma'), prompt: 'What is 17 + 25?', maxRetries: 0 });
let text = '';
for await (const piece of stream.textStream) text += piece;
if (text !== '42') throw new Error(text);
const usage = await stream.usage;
if (usage.outputTokens !== 2) throw new Error(JSON.stringify(usage));
"""


def _run(*command: str | Path, folder: Path = CLIENTS, most_s: int = INSTALL_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=most_s)


def _python_with(*packages: str) -> Path:
    """The Python of an environment with these packages; the test is skipped where they cannot be installed."""
    folder = CLIENTS / packages[0].partition("==")[0]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        CLIENTS.mkdir(exist_ok=True)
        done = _run(sys.executable, "-m", "venv", folder)
        if done.returncode == 0:
            done = _run(python, "-m", "pip", "install", "-q", *packages)
        if done.returncode != 0:
            pytest.skip(f"{packages[0]} cannot be installed here: {done.stderr[-300:]}")
        (folder / "ready").touch()
    return python


def _node_with(**packages: str) -> Path:
    """A folder in which node finds these packages."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = CLIENTS / "vercel"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": packages}))
        done = _run("npm", "install", "--no-audit", "--no-fund", folder=folder)
        if done.returncode != 0:
            pytest.skip(f"the Vercel AI SDK cannot be installed here: {done.stderr[-300:]}")
        (folder / "ready").touch()
    return folder


@pytest.mark.parametrize(
    ("packages", "script"),
    [(("langchain-openai==1.7.4",), LANGCHAIN), (("litellm==1.108.7",), LITELLM)],
    ids=["langchain", "litellm"],
)
def test_a_python_client_chats_and_streams_unchanged(packages: tuple[str, ...], script: str) -> None:
    python = _python_with(*packages)
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        done = _run(python, "-c", script, relay.url, most_s=120)
    assert (done.returncode, done.stderr[-2_000:]) == (0, done.stderr[-2_000:])


def test_the_vercel_ai_sdk_chats_and_streams_unchanged() -> None:
    folder = _node_with(**{"ai": "6.0.326", "@ai-sdk/openai-compatible": "2.0.92"})
    (folder / "test.mjs").write_text(VERCEL)
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        done = _run("node", "test.mjs", relay.url, folder=folder, most_s=60)
    assert (done.returncode, done.stderr[-2_000:]) == (0, done.stderr[-2_000:])
