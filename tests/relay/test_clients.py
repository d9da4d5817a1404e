"""Clients that people have, unchanged, with the relay's address as their base URL."""

from __future__ import annotations

import subprocess
from typing import Any

import anthropic
import openai
import openrouter
import pytest

from tests.middlebox import program
from tests.relay.running import MESSAGES, config_of, relay_to, running, target
from tests.relay.test_dialects import STREAM, _messages
from tests.relay.upstreams import Exchange, Upstream, completion, failing, good

ASKED: Any = {"model": "gemma", "messages": MESSAGES}


def test_openai_chats_streams_and_lists() -> None:
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        client = openai.OpenAI(base_url=relay.url, api_key="unused", max_retries=0)
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "42"
        chunks = list(client.chat.completions.create(**ASKED, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "42"
        chunks = list(client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 2
        assert [model.id for model in client.models.list()] == ["gemma", "A", "B"]
        assert client.models.retrieve("gemma").id == "gemma"
        raw = client.chat.completions.with_raw_response.create(**ASKED)
        assert raw.headers["x-uptoken-provider"] == "B"


def test_openai_raises_what_it_raises_for_the_vendors_own_errors() -> None:
    refusal = {"error": {"message": "messages is empty", "type": "invalid_request_error", "code": None}}
    with Upstream(failing(400, refusal)) as a, relay_to(a.url) as relay:
        client = openai.OpenAI(base_url=relay.url, api_key="unused", max_retries=0)
        with pytest.raises(openai.BadRequestError, match="messages is empty"):
            client.chat.completions.create(**ASKED)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**ASKED | {"model": "nobody"})
        a.script = failing(429, Retry_After="9")
        with pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(**ASKED)
        assert raised.value.response.headers["retry-after"] == "9"


def test_openai_makes_embeddings() -> None:
    async def script(exchange: Exchange) -> None:
        entry = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        await exchange.json(
            {"object": "list", "data": [entry], "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )

    with Upstream(script) as upstream, running(config_of(target("E", upstream.url, api="embeddings"))) as relay:
        client = openai.OpenAI(base_url=relay.url, api_key="unused", max_retries=0)
        made = client.embeddings.create(model="E", input="a", encoding_format="float")
        assert made.data[0].embedding == [0.5, 0.25]


def test_openrouter_chats_streams_and_looks_a_generation_up() -> None:
    whole = completion()
    whole["choices"][0]["native_finish_reason"] = "stop"

    async def script(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            await good()(exchange)
        else:
            await exchange.json(whole | {"system_fingerprint": None})

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        client = openrouter.OpenRouter(api_key="unused", server_url=relay.url)
        answer: Any = client.chat.send(**ASKED)
        assert answer.choices[0].message.content == "42"
        streamed: Any = client.chat.send(**ASKED, stream=True)
        with streamed as events:
            assert "".join(event.choices[0].delta.content or "" for event in events) == "42"
        found: Any = client.generations.get_generation(id="chatcmpl-1")
        assert found.data.tokens_completion == 2
        assert [model.id for model in client.models.list().result.data] == ["gemma", "A"]


def test_openrouter_raises_when_a_stream_breaks_off() -> None:
    from tests.relay.test_breaking_off import _cut

    with Upstream(_cut("end")) as upstream, relay_to(upstream.url) as relay:
        client = openrouter.OpenRouter(api_key="unused", server_url=relay.url)
        streamed: Any = client.chat.send(**ASKED, stream=True)
        with streamed as events:
            errors = [event.error for event in events if event.error]
        assert [error.code for error in errors] == [502]


def test_anthropic_sends_messages_and_streams() -> None:
    with Upstream(_messages) as upstream:
        section = target("Claude", upstream.url, api="anthropic", model="claude-1")
        with running(config_of(section)) as relay:
            client = anthropic.Anthropic(base_url=relay.url.removesuffix("/v1"), api_key="unused", max_retries=0)
            asked: Any = {"model": "Claude", "max_tokens": 9, "messages": MESSAGES}
            assert client.messages.create(**asked).content[0].text == "42"  # type: ignore[union-attr]
            with client.messages.stream(**asked) as stream:
                assert "".join(stream.text_stream) == "42"
    assert STREAM


def test_curl_streams() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        sent = '{"model": "gemma", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
        done = subprocess.run(
            [
                program("curl"),
                "-sN",
                f"{relay.url}/chat/completions",
                "-H",
                "Content-Type: application/json",
                "-d",
                sent,
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 0
        assert done.stdout.rstrip().endswith("data: [DONE]")
