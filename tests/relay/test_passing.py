"""What passes through the relay passes as it came."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.fault_server import DONE, chunk, event, usage
from tests.relay.running import relay_to
from tests.relay.upstreams import ROLE, Exchange, Upstream, completion, good, good_stream

ODD = [
    b": OPENROUTER PROCESSING\n\n",
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"x":{"a":[1,2.50]}}\n\n',
    b'event: message\r\ndata: {"choices": [{"index":0,"delta":{"content":"\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80"}}], "unknown": 1e2}\r\n\r\n',
    b'id: 7\nretry: 10\ndata: {"choices":[{"index":0,\ndata: "delta":{"content":"two lines"}}]}\n\n',
    b": keep-alive\n\n",
    b'data:{"choices":[{"index":0,"delta":{"reasoning_content":"hm","vendor":{"deep":null}}}],"id":"x"}\r\r',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop","logprobs":{"content":[]}}]}\n\n',
    b"data: [DONE]\n\n",
]


def test_unknown_fields_comments_multibyte_characters_and_line_ends_pass_byte_for_byte() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(*ODD)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        response = relay.chat(stream=True)

    assert response.status == 200
    assert response.body == b"".join(ODD)


def test_events_that_are_split_at_any_offset_pass_byte_for_byte() -> None:
    whole = b"".join(ODD)
    offset = 0

    async def script(exchange: Exchange) -> None:
        await exchange.stream(whole[:offset], whole[offset:], gap_s=0.0005)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        for offset in range(1, len(whole)):
            assert relay.chat(stream=True).body == whole, offset


def test_a_stream_that_comes_byte_by_byte_passes_byte_for_byte() -> None:
    whole = b"".join(ODD)

    async def script(exchange: Exchange) -> None:
        await exchange.stream(*(whole[at : at + 1] for at in range(len(whole))))

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(stream=True).body == whole


def test_a_chunk_passes_as_soon_as_it_comes() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.head(200, Content_Type="text/event-stream")
        for piece in (ROLE, chunk("4")):
            await exchange.piece(piece)
        await exchange.gone()

    with Upstream(script) as upstream, relay_to(upstream.url) as relay, relay.begin_chat(stream=True) as connection:
        began = time.monotonic()
        got = b""
        while b'"4"' not in got:
            got += connection.recv(65_536)
        assert time.monotonic() - began < 5
    assert b"cache-control: no-cache" in got.lower()
    assert b"x-accel-buffering: no" in got.lower()


def test_a_plain_response_passes_byte_for_byte() -> None:
    body = b'{ "id":"x", "choices":[{"index":0,"message":{"role":"assistant","content":"4\\u0032"},"finish_reason":"stop"}],\n "vendor": 1.0}'

    async def script(exchange: Exchange) -> None:
        await exchange.json(body)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        response = relay.chat()

    assert (response.status, response.body) == (200, body)
    assert response.headers["content-type"] == "application/json"


def test_in_a_request_only_the_model_and_the_usage_of_a_stream_change() -> None:
    asked = {
        "model": "gemma",
        "messages": [{"role": "user", "content": "é漢"}],
        "temperature": 0.7,
        "unknown": {"a": [1, None]},
        "tools": [{"type": "function"}],
        "max_tokens": 1,
    }
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        relay.request("POST", "/v1/chat/completions", asked)
        relay.request("POST", "/v1/chat/completions", asked | {"stream": True, "stream_options": {"x": 1}})
        plain, streamed = (exchange.body for exchange in upstream.requests)

    assert plain == asked | {"model": "m-1"}
    assert streamed == asked | {
        "model": "m-1",
        "stream": True,
        "stream_options": {"x": 1, "include_usage": True},
    }


def test_what_a_client_says_to_the_relay_does_not_reach_a_server_that_is_no_router() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(provider={"sort": "price"}, models=["other"], route="fallback").status == 200
        assert upstream.requests[0].body.keys() == {"model", "messages"}


def test_neither_the_key_nor_the_headers_of_a_client_reach_the_model_server_but_its_trace_does() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {
        "Authorization": "Bearer client-key-1",
        "Cookie": "a=b",
        "traceparent": trace,
        "tracestate": "v=1",
        "HTTP-Referer": "https://app.example/x",
    }
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        relay.chat(headers=sent)
        got = upstream.requests[0].headers

    assert (got["traceparent"], got["tracestate"], got["accept-encoding"]) == (trace, "v=1", "identity")
    assert not {"authorization", "cookie", "http-referer"} & got.keys()


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("sends", ["where asked", "always", "never"])
def test_the_usage_chunk_reaches_only_a_client_that_asked_for_it(asks: bool, sends: str) -> None:
    async def script(exchange: Exchange) -> None:
        events = good_stream()
        wanted = exchange.body.get("stream_options", {}).get("include_usage")
        if sends == "never" or (sends == "where asked" and not wanted):
            del events[-2]
        await exchange.stream(*events)

    more = {"stream_options": {"include_usage": True}} if asks else {}
    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        response = relay.chat(stream=True, **more)

    assert response.text == "42"
    chunks = [event for event in response.events if event != "[DONE]"]
    has_usage = [event for event in chunks if event["choices"] == []]
    assert len(has_usage) == (1 if asks and sends != "never" else 0)
    row = relay.rows[0]
    if sends == "never":
        assert (row.prompt_tokens, row.completion_tokens, row.tokens_source) == (None, 2, "chunks")
    else:
        assert (row.prompt_tokens, row.completion_tokens, row.tokens_source) == (20, 2, "usage")


def test_a_server_that_refuses_to_report_usage_is_asked_without_it() -> None:
    async def script(exchange: Exchange) -> None:
        if "stream_options" in exchange.body:
            await exchange.json({"error": {"message": "Unrecognized field: stream_options"}}, 400)
        else:
            await exchange.stream(*good_stream()[:-2], DONE)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(stream=True).text == "42"
        assert relay.chat(stream=True).text == "42"
        assert len(upstream.requests) == 3  # remembered
        assert relay.rows[0].outcome == "ok"


@pytest.mark.parametrize(
    ("own", "standard"),
    [
        ("end_turn", "stop"),
        ("eos", "stop"),
        ("STOP", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("whatever", "stop"),
    ],
)
def test_a_finish_reason_that_is_not_standard_is_replaced_and_kept_beside(own: str, standard: str) -> None:
    last = event({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": own, "more": 1}], "y": 2})

    async def script(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            await exchange.stream(chunk("42"), last, DONE)
        else:
            await exchange.json(completion(finish=own))

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        streamed, plain = relay.chat(stream=True), relay.chat()

    reason = {"finish_reason": standard, "native_finish_reason": own}
    assert streamed.body.startswith(chunk("42"))
    assert streamed.events[1] == {"id": "x", "choices": [{"index": 0, "delta": {}, "more": 1} | reason], "y": 2}
    assert streamed.events[2] == "[DONE]"
    assert plain.json["choices"][0].items() >= reason.items()


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_an_event_with_a_standard_finish_reason_passes_byte_for_byte(reason: str) -> None:
    last = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"%s"}]  }\n\n' % reason.encode()

    async def script(exchange: Exchange) -> None:
        await exchange.stream(chunk("42"), last, DONE)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(stream=True).body == chunk("42") + last + DONE


def test_a_response_in_one_piece_becomes_the_stream_that_was_asked_for() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.json(completion("forty-two"))

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        response = relay.chat(stream=True)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == "forty-two"
    assert response.events[-1] == "[DONE]"
    assert all(event == "[DONE]" or event["choices"] for event in response.events)


def test_numbers_that_no_double_holds_reach_the_server_as_they_are() -> None:
    seed = 123456789012345678901234567890
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(seed=seed).status == 200
        assert upstream.requests[0].body["seed"] == seed


def test_a_large_event_passes() -> None:
    picture = "A" * 3_000_000
    large = event({"choices": [{"index": 0, "delta": {"content": "x", "images": [picture]}}]})

    async def script(exchange: Exchange) -> None:
        await exchange.stream(ROLE, large, chunk(finish="stop"), usage(), DONE)

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        response = relay.chat(stream=True)

    assert large in response.body
    assert json.loads(response.body.split(b"\n\n")[1][6:])["choices"][0]["delta"]["images"] == [picture]


def test_the_connection_of_a_stream_is_used_again_also_when_it_ends_a_moment_after_its_last_event() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(*good_stream(), ends=False)
        await asyncio.sleep(0.03)
        await exchange.end()

    with Upstream(script) as upstream, relay_to(upstream.url) as relay:
        for _ in range(3):
            assert relay.chat(stream=True).text == "42"
            time.sleep(0.06)
        assert upstream.connections == 1
