"""Good exchanges with a real HTTP server on loopback: times, framing, and where a response ends."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib

import pytest

from collectors.http.connection import ProbeConnection, session_for
from collectors.http.exchange import ProbeRequest, exchange
from tests.collectors.exchanges import BODY, HEADERS, WHOLE, probe
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, event, head, raw, usage

pytestmark = pytest.mark.alone


def test_a_good_stream_is_ok_with_its_tokens_and_its_times() -> None:
    result, _ = probe(chunked(GOOD[0], 0.05, GOOD[1], 0.1, *GOOD[2:]))
    assert (result.outcome, result.error, result.http_status) == ("ok", None, 200)
    assert result.response.text == "42"
    assert (result.response.usage.prompt_tokens, result.completion_tokens, result.tokens_source) == (20, 2, "usage")
    assert result.ttft_ms == pytest.approx(50, abs=25)
    assert result.total_ms == pytest.approx(150, abs=40)
    assert result.connect_ms is not None
    assert result.tokens_per_second is None  # two tokens are no rate


@pytest.mark.parametrize(
    "first", [chunk(role="assistant"), event({"choices": [{"delta": {"content": None}}]}), b": hi\n\n"]
)
def test_what_comes_before_the_first_token_is_not_the_first_token(first: bytes) -> None:
    result, _ = probe(chunked(first, 0.1, *GOOD[1:]))
    assert result.ttft_ms is not None
    assert result.ttft_ms > 95


def test_a_rate_leaves_the_first_token_out() -> None:
    pieces: list[bytes | float] = [chunk("a")]
    for letter in "bcde":
        pieces += [0.05, chunk(letter)]
    result, _ = probe(chunked(*pieces, chunk(finish="stop"), usage(completion=20), DONE))
    # 16 of 20 tokens came in the four chunks after the first one, in 0.2 s
    assert result.tokens_per_second == pytest.approx(16 / 0.2, rel=0.15)


def test_a_rate_of_fewer_than_four_chunks_is_none() -> None:
    pieces: list[bytes | float] = [chunk("a"), 0.2, chunk("b"), chunk("c"), chunk(finish="stop")]
    result, _ = probe(chunked(*pieces, usage(completion=120), DONE))
    assert result.tokens_per_second is None


def test_reasoning_cut_by_max_tokens_is_a_good_reply() -> None:
    result, _ = probe(chunked(chunk(reasoning="hm"), chunk(finish="length"), usage(completion=16), DONE))
    assert (result.outcome, result.response.finish_reason) == ("ok", "length")


ZIPPED = gzip.compress(WHOLE)


@pytest.mark.parametrize(
    "script",
    [
        chunked(WHOLE),
        chunked(*(WHOLE[i : i + 7] for i in range(0, len(WHOLE), 7))),
        raw(head(Content_Type="text/event-stream"), *GOOD),
        raw(head(Content_Type="text/event-stream", Content_Length=str(len(WHOLE))), *GOOD, close=False),
        chunked(*(ZIPPED[i : i + 9] for i in range(0, len(ZIPPED), 9)), Content_Encoding="gzip"),
        raw(head(Content_Type="text/event-stream", Content_Encoding="gzip"), ZIPPED),
        chunked(WHOLE.replace(b"\n", b"\r\n")),
        chunked(WHOLE.replace(b"\n", b"\r")),
    ],
    ids=["one segment", "split", "close-delimited", "sized", "gzip chunked", "gzip close-delimited", "crlf", "cr"],
)
def test_every_framing_gives_the_same_reply(script: Script) -> None:
    result, _ = probe(script)
    assert (result.outcome, result.response.text, result.completion_tokens) == ("ok", "42", 2)


def test_gzip_is_stamped_as_it_arrives() -> None:
    packer = zlib.compressobj(wbits=31)
    one = packer.compress(GOOD[0]) + packer.flush(zlib.Z_SYNC_FLUSH)
    two = packer.compress(b"".join(GOOD[1:])) + packer.flush()
    result, _ = probe(chunked(one, 0.15, two, Content_Encoding="gzip"))
    assert result.ttft_ms == pytest.approx(150, abs=30)


def test_only_what_is_unzipped_within_a_bound_is_asked_for_whichever_libraries_are_installed() -> None:
    assert session_for("http://127.0.0.1").headers["Accept-Encoding"] == "gzip, deflate"


def test_deflate_is_unzipped_too() -> None:
    result, _ = probe(answer(200, zlib.compress(WHOLE), Content_Type="text/event-stream", Content_Encoding="deflate"))
    assert (result.outcome, result.response.text) == ("ok", "42")


def test_usage_in_every_chunk_counts_once_and_without_usage_chunks_are_counted() -> None:
    every, _ = probe(
        chunked(chunk("a"), usage(completion=1), chunk("b"), usage(completion=2), chunk(finish="stop"), DONE)
    )
    never, _ = probe(chunked(chunk("a"), chunk("b"), chunk("c"), chunk(finish="stop"), DONE))
    assert (every.completion_tokens, every.tokens_source) == (2, "usage")
    assert (never.completion_tokens, never.tokens_source) == (3, "chunks")


def test_a_missing_done_is_forgiven_when_a_finish_reason_came() -> None:
    assert probe(chunked(*GOOD[:-1]))[0].outcome == "ok"


def test_the_connection_is_used_again_and_then_has_no_connect_time() -> None:
    result, server = probe(chunked(*GOOD), times=2)
    assert (result.outcome, result.connect_ms, len(server.requests)) == ("ok", None, 2)


def test_a_kept_connection_that_the_server_closed_is_not_a_failure() -> None:
    result, _ = probe(raw(head(Content_Type="text/event-stream", Content_Length=str(len(WHOLE))), WHOLE), times=3)
    assert result.outcome == "ok"


def test_a_json_body_with_the_type_of_a_stream_is_read_as_what_it_is() -> None:
    body = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
    result, _ = probe(answer(200, body, Content_Type="text/event-stream"))
    assert (result.outcome, result.response.text, result.ttft_ms) == ("ok", "42", None)


def test_a_json_body_is_a_good_reply_without_a_time_to_first_token() -> None:
    body = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    result, _ = probe(answer(200, body))
    assert (result.outcome, result.response.text, result.ttft_ms, result.completion_tokens) == ("ok", "42", None, 2)


# -- where a response ends, and what is none


def test_a_stream_is_over_at_its_done_and_not_when_the_connection_is() -> None:
    """earendil-works/pi#7954: the server keeps the connection open after the last byte."""
    began = time.monotonic()
    result, _ = probe(chunked(*GOOD, 3.0))
    assert (result.outcome, result.completion_tokens) == ("ok", 2)
    assert time.monotonic() - began < 1


def test_a_stream_that_stays_open_without_done_is_a_timeout() -> None:
    """Though the finish reason and the usage came: `[DONE]` is what ends it, for clients, too (`test_vendor_clients`)."""
    result, _ = probe(chunked(*GOOD[:-1], 3.0), timeout_s=1.0)
    assert (result.outcome, result.response.finish_reason, result.completion_tokens) == ("timeout", "stop", 2)
    assert result.ttft_ms is not None


def test_done_is_found_however_it_is_split_and_not_in_what_the_model_says() -> None:
    cut = [DONE[:-9], DONE[-9:-4], DONE[-4:]]
    result, _ = probe(chunked(*GOOD[:-1], *cut, 3.0))
    assert result.outcome == "ok"
    said = chunk("data: [DONE]")
    result, _ = probe(chunked(said, 0.3, chunk("more"), chunk(finish="stop"), usage(completion=9), DONE))
    assert (result.outcome, result.completion_tokens) == ("ok", 9)


def test_a_connection_is_used_again_after_done() -> None:
    with FaultServer(chunked(*GOOD)) as server:
        line = ProbeConnection(f"{server.url}/chat/completions")
        first, second = (exchange(line, ProbeRequest(BODY, HEADERS, 5.0)) for _ in range(2))
        line.close()
    assert (first.outcome, second.outcome) == ("ok", "ok")
    assert first.connect_ms is not None and second.connect_ms is None


@pytest.mark.parametrize("alive", [b"data: \n\n", b"data:\n\n", b": ping\n\n", b"event: ping\ndata: x\n\n"])
def test_what_keeps_a_connection_alive_is_no_event(alive: bytes) -> None:
    """Growth-Circle/cadis#362, netease-lcap/wave-agent#1326."""
    result, _ = probe(chunked(alive, *GOOD[:2], alive, *GOOD[2:]))
    assert (result.outcome, result.completion_tokens) == ("ok", 2)


def test_reasoning_that_is_billed_and_not_shown_is_work() -> None:
    """datapizza-labs/datapizza-ai#84: all 16 tokens went into it."""
    spent = usage(completion=16, completion_tokens_details={"reasoning_tokens": 16})
    result, _ = probe(chunked(chunk(role="assistant", content=""), chunk(finish="length"), spent, DONE))
    assert (result.outcome, result.ttft_ms, result.completion_tokens) == ("ok", None, 16)


def test_reasoning_in_blocks_of_the_content_is_a_token_and_no_answer() -> None:
    """symfony/ai#2422: Mistral's magistral."""
    block = {"type": "thinking", "thinking": [{"type": "text", "text": "Okay"}]}
    result, _ = probe(
        chunked(
            event({"choices": [{"delta": {"content": [block]}}]}), chunk(finish="length"), usage(completion=16), DONE
        )
    )
    assert result.outcome == "ok"
    assert result.ttft_ms is not None
    assert (result.response.text, result.response.reasoned) == ("", True)


def test_what_stands_between_think_tags_is_no_answer() -> None:
    result, _ = probe(
        chunked(chunk("<think>17 + 25 is"), chunk(" 42</think>"), chunk("41"), chunk(finish="stop"), DONE)
    )
    assert result.response.text == "41"


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "refusal", "sensitive", "guardrail_intervened"])
def test_a_filter_shows_that_the_server_works(reason: str) -> None:
    """vercel/ai#4220, theopenco/llmgateway#1626."""
    result, _ = probe(chunked(chunk(role="assistant", content=""), chunk(finish=reason), usage(20, 0), DONE))
    assert (result.outcome, result.ttft_ms) == ("ok", None)


def test_zero_tokens_of_a_text_that_came_are_not_known() -> None:
    """mudler/LocalAI#9927."""
    result, _ = probe(chunked(*GOOD[:-2], usage(0, 0), DONE))
    assert (result.completion_tokens, result.tokens_source, result.response.usage.prompt_tokens) == (2, "chunks", None)


def test_a_response_that_comes_before_the_request_has_left_is_read_and_nothing_raises() -> None:
    """The server hangs up on a body of 16 MB that it does not want to read; what it said before is on its way."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(head(200, Content_Type="text/event-stream", Connection="close") + WHOLE)
            time.sleep(0.3)

    threading.Thread(target=serve, daemon=True).start()
    line = ProbeConnection(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions")
    body = BODY | {"messages": [{"role": "user", "content": "x" * 16_000_000}]}
    with listener:
        result = exchange(line, ProbeRequest(body, HEADERS, 5.0))
    line.close()
    assert result.outcome in ("ok", "connection_error"), result
