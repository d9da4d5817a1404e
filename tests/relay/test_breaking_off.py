"""After the first content nothing switches: a stream ends properly, or with one error event; and who has gone is served
no further.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import openai
import pytest

from tests.fault_server import DONE, chunk, event
from tests.relay.running import MESSAGES, relay_to
from tests.relay.upstreams import ROLE, Exchange, Script, Upstream, good, named

FORTY = [named(ROLE, "from-a"), *(named(chunk(f"t{number} "), "from-a") for number in range(40))]


def _cut(how: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.head(200, Content_Type="text/event-stream")
        for piece in FORTY:
            await exchange.piece(piece)
        if how == "reset":
            exchange.reset()
        elif how == "end":
            await exchange.end()
        elif how == "error":
            await exchange.piece(event({"error": {"message": "CUDA out of memory", "code": 500}}))
            await exchange.end()
        elif how == "half an event":
            await exchange.piece(b'data: {"choices": [{"in')
            await exchange.end()
        elif how == "nonsense":
            await exchange.piece(b"data: <html>\n\n")
            await exchange.gone()
        else:
            await exchange.gone()

    return script


@pytest.mark.alone
@pytest.mark.parametrize("how", ["reset", "end", "error", "half an event", "nonsense", "hang"])
def test_a_stream_that_is_cut_after_forty_tokens_ends_with_one_error_event(how: str) -> None:
    with (
        Upstream(_cut(how)) as a,
        Upstream(good()) as b,
        relay_to(a.url, b.url, idle_timeout="400ms") as relay,
    ):
        began = time.monotonic()
        response = relay.chat(stream=True)
        assert time.monotonic() - began < 1

    assert response.status == 200
    assert response.body.startswith(b"".join(FORTY))
    last = response.events[-1]
    assert len(response.events) == 42
    assert "[DONE]" not in response.events
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert (last["id"], last["object"], last["model"], last["provider"]) == (
        "from-a",
        "chat.completion.chunk",
        "m-1",
        "A",
    )
    assert last["error"]["code"] in (502, 504)
    assert last["error"]["message"]
    assert "error_type" in last["error"]["metadata"]
    row = relay.rows[0]
    expected = {"hang": "timeout", "nonsense": "invalid_response"}.get(how, "stream_error")
    assert (len(relay.rows), row.outcome, row.served, row.completion_tokens) == (1, expected, True, 40)
    assert (len(a.requests), len(b.requests)) == (1, 0)


def test_the_openai_client_raises_when_a_stream_is_cut() -> None:
    with Upstream(_cut("reset")) as a, relay_to(a.url) as relay:
        client = openai.OpenAI(base_url=relay.url, api_key="unused")
        stream = client.chat.completions.create(model="gemma", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        got = []
        with pytest.raises(openai.APIError):
            for piece in stream:
                got += [piece.choices[0].delta.content or ""]
        assert "".join(got) == "".join(f"t{number} " for number in range(40))
        assert len(a.requests) == 1


@pytest.mark.parametrize("end", [b"", DONE, b"data: [DONE]"], ids=["no end", "done", "done without a blank line"])
def test_a_stream_that_says_why_it_finished_has_ended(end: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(ROLE, chunk("42"), chunk(finish="stop"), *([end] if end else []))

    with Upstream(script) as a, relay_to(a.url) as relay:
        response = relay.chat(stream=True)

    assert response.text == "42"
    assert not any("error" in event for event in response.events if event != "[DONE]")
    assert relay.rows[0].outcome == "ok"


def test_a_stream_is_over_with_its_end_though_the_connection_stays_open() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(ROLE, chunk("42"), chunk(finish="stop"), DONE, ends=False)
        await exchange.gone()

    with Upstream(script) as a, relay_to(a.url) as relay:
        began = time.monotonic()
        assert relay.chat(stream=True).text == "42"
        assert time.monotonic() - began < 5
        assert relay.rows[0].outcome == "ok"


def test_a_server_that_breaks_off_by_its_finish_reason_is_an_error() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(ROLE, chunk("42"), chunk(finish="abort"), DONE)

    with Upstream(script) as a, relay_to(a.url) as relay:
        response = relay.chat(stream=True)
    assert response.events[-1]["choices"][0]["finish_reason"] == "error"
    assert relay.rows[0].outcome == "stream_error"


async def _waits(exchange: Exchange) -> None:
    exchange.server.closed_at.append(await exchange.gone())


async def _streams(exchange: Exchange) -> None:
    await exchange.head(200, Content_Type="text/event-stream")
    watch = asyncio.ensure_future(exchange.gone())
    try:
        while not watch.done():
            await exchange.piece(chunk("x"))
            await asyncio.sleep(0.02)
    except OSError:
        pass
    exchange.server.closed_at.append(await watch)


async def _plain(exchange: Exchange) -> None:
    await exchange.head(200, 10_000, Content_Type="application/json")
    await exchange.send(b'{"choices": [')
    exchange.server.closed_at.append(await exchange.gone())


@pytest.mark.alone
@pytest.mark.parametrize(
    ("script", "streamed", "reads"),
    [(_waits, True, False), (_waits, False, False), (_streams, True, True), (_plain, False, False)],
    ids=["waiting for a stream", "waiting for a response", "streaming", "a plain response is made"],
)
def test_who_has_gone_costs_nothing_more(script: Script, streamed: bool, reads: bool) -> None:
    with Upstream(script) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        connection = relay.begin_chat(stream=streamed)
        if reads:
            while b'"x"' not in connection.recv(65_536):
                pass
        else:
            _until(lambda: bool(a.requests))
            time.sleep(0.1)
        left_at = time.monotonic()
        connection.close()
        _until(lambda: bool(a.closed_at))
        assert a.closed_at[0] - left_at < 0.2
        _until(lambda: bool(relay.rows))
        row = relay.rows[0]
        assert (row.cancelled, row.served, len(relay.rows)) == (True, reads, 1)
        assert not b.requests
        assert relay.chat("B").status == 200  # and the relay lives


def test_who_goes_while_another_endpoint_is_about_to_be_tried_is_served_no_further() -> None:
    async def slow_failure(exchange: Exchange) -> None:
        await exchange.gone()

    with (
        Upstream(slow_failure) as a,
        Upstream(good()) as b,
        relay_to(a.url, b.url, first_token_timeout="300ms") as relay,
    ):
        relay.begin_chat(stream=True).close()
        time.sleep(0.6)
        assert not b.requests


def test_a_client_that_reads_nothing_holds_its_upstream_for_the_total_time_at_most(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head(200, Content_Type="text/event-stream")
        watch = asyncio.ensure_future(exchange.gone())
        try:
            while not watch.done():
                await exchange.piece(chunk("x" * 60_000))
        except OSError:
            pass
        exchange.server.closed_at.append(await watch)

    with (
        Upstream(endless) as a,
        relay_to(a.url, total_timeout="1s", idle_timeout="500ms") as relay,
        relay.begin_chat(stream=True) as connection,
    ):
        _until(lambda: bool(a.closed_at), 5)
        assert connection.fileno() > 0
        _until(lambda: bool(relay.rows))
    assert relay.rows[0].cancelled
    assert capfd.readouterr() == ("", "")


def _until(holds: Any, most_s: float = 3) -> None:
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
