"""Requests of other kinds, and targets of other dialects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fault_server import DONE, event
from tests.relay.running import MESSAGES, config_of, running, target
from tests.relay.upstreams import Exchange, Upstream, failing, good


def _named(name: str, value: dict[str, Any]) -> bytes:
    return f"event: {name}\n".encode() + event({"type": name} | value)


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": []}
STREAM = [
    _named("message_start", {"message": MESSAGE | {"usage": {"input_tokens": 12, "output_tokens": 1}}}),
    _named("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    _named("ping", {}),
    _named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "4"}}),
    _named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "2"}}),
    _named("content_block_stop", {"index": 0}),
    _named("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
    _named("message_stop", {}),
]
ASKED = {"model": "Claude", "max_tokens": 9, "messages": MESSAGES}


def _anthropic(url: str, name: str = "Claude") -> str:
    return target(name, url, api="anthropic", model="claude-1", api_key_env="CLAUDE_KEY")


async def _messages(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream(*STREAM, ends=False)
        await exchange.gone()
    else:
        content = [{"type": "text", "text": "42"}]
        used = {"input_tokens": 12, "output_tokens": 9}
        await exchange.json(MESSAGE | {"content": content, "stop_reason": "end_turn", "usage": used})


@pytest.mark.parametrize("streamed", [True, False])
def test_messages_pass_to_a_target_of_that_dialect(streamed: bool) -> None:
    with Upstream(_messages) as upstream:
        config = config_of(_anthropic(upstream.url), environment={"CLAUDE_KEY": "key-of-the-target"})
        with running(config) as relay:
            headers = {"anthropic-beta": "tools-1", "x-api-key": "key-of-the-client"}
            response = relay.request("POST", "/v1/messages", ASKED | {"stream": streamed}, headers)
            request, row = upstream.requests[0], relay.rows[0]

    assert response.status == 200
    if streamed:
        assert response.body == b"".join(STREAM)
    else:
        assert response.json["stop_reason"] == "end_turn"
    assert request.path == "/v1/messages"
    assert request.body == ASKED | {"model": "claude-1", "stream": streamed}
    assert (request.headers["x-api-key"], request.headers["anthropic-beta"]) == ("key-of-the-target", "tools-1")
    assert request.headers["anthropic-version"]
    assert (row.outcome, row.prompt_tokens, row.completion_tokens, row.api) == ("ok", 12, 9, "messages")
    assert row.finish_reason == "end_turn"


def test_a_message_stream_that_is_cut_ends_with_an_error_event_of_that_dialect() -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.stream(*STREAM[:5])

    with Upstream(cut) as upstream:
        config = config_of(_anthropic(upstream.url), environment={"CLAUDE_KEY": "k-00000000"})
        with running(config) as relay:
            response = relay.request("POST", "/v1/messages", ASKED | {"stream": True})
    assert response.body.startswith(b"".join(STREAM[:5]) + b"event: error\n")
    assert response.events[-1]["error"]["type"] == "api_error"


def test_an_error_of_messages_has_that_dialects_form_too() -> None:
    with Upstream(failing(500)) as upstream:
        config = config_of(_anthropic(upstream.url), environment={"CLAUDE_KEY": "k-00000000"})
        with running(config) as relay:
            response = relay.request("POST", "/v1/messages", ASKED)
    assert (response.status, response.json["type"]) == (500, "error")
    assert response.json["error"]["message"]


def test_messages_do_not_go_to_a_target_that_speaks_another_dialect() -> None:
    with Upstream(good()) as upstream, running(config_of(target("A", upstream.url))) as relay:
        response = relay.request("POST", "/v1/messages", ASKED | {"model": "A"})
        assert response.status == 404
        assert "A does not take messages requests" in response.json["error"]["message"]
        assert not upstream.requests


def test_a_chat_goes_to_azure_by_its_own_url_and_header() -> None:
    with Upstream(good()) as upstream:
        section = target(
            "Azure", f"http://127.0.0.1:{upstream.port}", api="azure", model="gpt-4o", api_key_env="AZURE_KEY"
        )
        with running(config_of(section, environment={"AZURE_KEY": "azure-key-0"})) as relay:
            assert relay.chat("Azure", stream=True).text == "42"
            request = upstream.requests[0]
    assert request.path == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == "azure-key-0"


def test_embeddings_pass() -> None:
    body = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}'

    async def script(exchange: Exchange) -> None:
        await exchange.json(body)

    with Upstream(script) as upstream:
        section = target("E", upstream.url, api="embeddings", model="e-1", usd_per_million_input=1_000_000)
        with running(config_of(section + "usd_per_million_output = 0\n")) as relay:
            response = relay.request("POST", "/v1/embeddings", {"model": "E", "input": ["a", "b"]})
            request, row = upstream.requests[0], relay.rows[0]
    assert response.body == body
    assert (request.path, request.body) == ("/v1/embeddings", {"model": "e-1", "input": ["a", "b"]})
    assert (row.outcome, row.prompt_tokens, row.cost_usd) == ("ok", 3, 3.0)


def test_an_empty_list_of_embeddings_is_no_response() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json({"object": "list", "data": []})

    with Upstream(script) as upstream, running(config_of(target("E", upstream.url, api="embeddings"))) as relay:
        assert relay.request("POST", "/v1/embeddings", {"model": "E", "input": "a"}).status == 502
        assert relay.rows[0].outcome == "empty"


@pytest.mark.parametrize("streamed", [True, False])
def test_older_completions_pass(streamed: bool) -> None:
    async def script(exchange: Exchange) -> None:
        choice = {"index": 0, "text": "42", "finish_reason": None}
        if exchange.body.get("stream"):
            last = {"index": 0, "text": "", "finish_reason": "stop"}
            await exchange.stream(event({"choices": [choice]}), event({"choices": [last]}), DONE)
        else:
            await exchange.json({"id": "cmpl-1", "choices": [choice | {"finish_reason": "eos"}]})

    with Upstream(script) as upstream, running(config_of(target("A", upstream.url))) as relay:
        sent = {"model": "A", "prompt": "17 + 25 =", "stream": streamed}
        response = relay.request("POST", "/v1/completions", sent)
        assert upstream.requests[0].path == "/v1/completions"
        assert relay.rows[0].outcome == "ok"
    if streamed:
        assert response.events[0]["choices"][0]["text"] == "42"
        assert response.events[-1] == "[DONE]"
    else:
        assert response.json["choices"][0]["finish_reason"] == "stop"


def test_a_target_keeps_its_own_headers_parameters_and_fields_below_what_the_client_asks() -> None:
    with Upstream(good()) as upstream:
        section = target("A", upstream.url) + (
            'headers = { X-Team = "blue" }\nparams = { version = "7" }\n'
            "extra_body = { top_k = 5, chat_template_kwargs = { enable_thinking = false, a = 1 } }\n"
        )
        with running(config_of(section)) as relay:
            relay.chat("A", top_k=9, chat_template_kwargs={"a": 2})
            request = upstream.requests[0]
    assert request.path == "/v1/chat/completions?version=7"
    assert request.headers["x-team"] == "blue"
    assert request.body["top_k"] == 9
    assert request.body["chat_template_kwargs"] == {"enable_thinking": False, "a": 2}


def test_a_pinned_provider_of_a_router_is_pinned_for_clients_too() -> None:
    with Upstream(good()) as upstream:
        sections = [f'[openrouter]\nbase_url = "{upstream.url}"', target("A", upstream.url, provider="deepinfra")]
        with running(config_of(*sections)) as relay:
            relay.chat("A", provider={"data_collection": "deny", "allow_fallbacks": True})
            request = upstream.requests[0]
            assert request.body["provider"] == {
                "data_collection": "deny",
                "only": ["deepinfra"],
                "allow_fallbacks": False,
            }
