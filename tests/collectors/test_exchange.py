"""Every way in which an exchange can end, against a real HTTP server on loopback."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
import time
import zlib
from typing import Any

import pytest

from benchmarks.browser import free_port
from collectors.http.adaptations import adapt
from collectors.http.connection import ProbeConnection, session_for
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, event, head, raw, reset, usage

pytestmark = pytest.mark.alone

KEY = "sk-canary-0123456789"
BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "What is 17 + 25?"}],
    "max_tokens": 16,
    "temperature": 0,
    "stream": True,
    "stream_options": {"include_usage": True},
}
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


def probe(script: Script, timeout_s: float = 5.0, times: int = 1) -> tuple[Exchange, FaultServer]:
    with FaultServer(script) as server:
        line = ProbeConnection(server.url + "/chat/completions")
        for _ in range(times):
            result = exchange(line, ProbeRequest(BODY, HEADERS, timeout_s, (KEY,)))
        line.close()
    return result, server


def stream(*pieces: bytes | float) -> Script:
    return chunked(*pieces)


def test_a_good_stream_is_ok_with_its_tokens_and_its_times() -> None:
    result, _ = probe(stream(GOOD[0], 0.05, GOOD[1], 0.1, *GOOD[2:]))
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
    result, _ = probe(stream(first, 0.1, *GOOD[1:]))
    assert result.ttft_ms is not None
    assert result.ttft_ms > 95


def test_a_rate_leaves_the_first_token_out() -> None:
    pieces: list[bytes | float] = [chunk("a")]
    for letter in "bcde":
        pieces += [0.05, chunk(letter)]
    result, _ = probe(stream(*pieces, chunk(finish="stop"), usage(completion=20), DONE))
    # 16 of 20 tokens came in the four chunks after the first one, in 0.2 s
    assert result.tokens_per_second == pytest.approx(16 / 0.2, rel=0.15)


def test_a_rate_of_fewer_than_four_chunks_is_none() -> None:
    pieces: list[bytes | float] = [chunk("a"), 0.2, chunk("b"), chunk("c"), chunk(finish="stop")]
    result, _ = probe(stream(*pieces, usage(completion=120), DONE))
    assert result.tokens_per_second is None


def test_reasoning_cut_by_max_tokens_is_a_good_reply() -> None:
    result, _ = probe(stream(chunk(reasoning="hm"), chunk(finish="length"), usage(completion=16), DONE))
    assert (result.outcome, result.response.finish_reason) == ("ok", "length")


WHOLE = b"".join(GOOD)
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


BOMB = gzip.compress(b"data: " + b"x" * 50_000_000)


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (b"this was never zipped", "stream_error", "the body is not gzip"),
        (ZIPPED[:-12], "stream_error", "the gzip body is truncated"),
        (BOMB, "invalid_response", "a line of more than"),
    ],
    ids=["not zipped", "cut", "bomb"],
)
def test_what_is_wrongly_zipped_is_said_and_bounded(body: bytes, outcome: str, words: str) -> None:
    result, _ = probe(answer(200, body, Content_Type="text/event-stream", Content_Encoding="gzip"))
    assert (result.outcome, words in (result.error or "")) == (outcome, True), result


def test_only_what_is_unzipped_within_a_bound_is_asked_for_whichever_libraries_are_installed() -> None:
    assert session_for("http://127.0.0.1").headers["Accept-Encoding"] == "gzip, deflate"


def test_deflate_is_unzipped_too() -> None:
    result, _ = probe(answer(200, zlib.compress(WHOLE), Content_Type="text/event-stream", Content_Encoding="deflate"))
    assert (result.outcome, result.response.text) == ("ok", "42")


def test_a_content_length_that_promises_too_much_is_a_cut() -> None:
    head_of = head(Content_Type="text/event-stream", Content_Length=str(len(WHOLE) + 9))
    result, _ = probe(raw(head_of, WHOLE))
    assert (result.outcome, "the body is 9 bytes shorter than Content-Length" in (result.error or "")) == (
        "stream_error",
        True,
    )


def test_usage_in_every_chunk_counts_once_and_without_usage_chunks_are_counted() -> None:
    every, _ = probe(
        stream(chunk("a"), usage(completion=1), chunk("b"), usage(completion=2), chunk(finish="stop"), DONE)
    )
    never, _ = probe(stream(chunk("a"), chunk("b"), chunk("c"), chunk(finish="stop"), DONE))
    assert (every.completion_tokens, every.tokens_source) == (2, "usage")
    assert (never.completion_tokens, never.tokens_source) == (3, "chunks")


def test_a_missing_done_is_forgiven_when_a_finish_reason_came() -> None:
    assert probe(stream(*GOOD[:-1]))[0].outcome == "ok"


def test_the_connection_is_used_again_and_then_has_no_connect_time() -> None:
    result, server = probe(chunked(*GOOD), times=2)
    assert (result.outcome, result.connect_ms, len(server.requests)) == ("ok", None, 2)


def test_a_kept_connection_that_the_server_closed_is_not_a_failure() -> None:
    result, _ = probe(raw(head(Content_Type="text/event-stream", Content_Length=str(len(WHOLE))), WHOLE), times=3)
    assert result.outcome == "ok"


HTML = b"<html>please log in</html>"
ENDLESS = itertools.repeat(chunk("again"), 30_000)


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        (
            stream(chunk("4"), event({"error": {"code": 502, "message": "upstream died"}})),
            "stream_error",
            "502: upstream died",
        ),
        (stream(event({"error": {"code": "overloaded", "message": "x"}})), "stream_error", "overloaded: x"),
        (stream(chunk("4"), chunk(finish="error"), DONE), "stream_error", "finish_reason"),
        (chunked(chunk("4"), end=False), "stream_error", "cut"),
        (stream(chunk("4")), "stream_error", "without a finish_reason"),
        (reset(head(Content_Type="text/event-stream", Transfer_Encoding="chunked"), b"5\r\nda"), "stream_error", "cut"),
        (stream(*ENDLESS), "stream_error", "longer than 1024 KiB"),
        (stream(*itertools.repeat(b"x" * 9_000, 60)), "invalid_response", "a line of more than"),
        (stream(chunk(role="assistant"), chunk(finish="stop"), DONE), "empty", "no token"),
        (answer(200, b"", Content_Type="text/event-stream"), "stream_error", "ended before its first token"),
        (answer(200, HTML, Content_Type="text/html"), "invalid_response", "text/html"),
        (stream(b"data: {broken\n\n", *GOOD), "invalid_response", "not JSON"),
        (raw(b"SSH-2.0-OpenSSH_9\r\n"), "invalid_response", ""),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000 + b"\r\n"), "invalid_response", ""),
        (answer(401, {"error": {"message": f"bad key {KEY}"}}), "caller_error", "bad key [key]"),
        (answer(402, {"error": {"message": "no credit"}}), "caller_error", "HTTP 402, no credit"),
        (answer(403, {}), "caller_error", "HTTP 403"),
        (answer(404, {"error": {"message": "no such model"}}), "not_found", "no such model"),
        (answer(410, {}), "not_found", "410"),
        (answer(429, {"error": {"message": "slow down"}}, Retry_After="30"), "rate_limited", "(retry after 30)"),
        (answer(500, HTML), "server_error", "HTTP 500"),
        (answer(503, {"detail": "busy"}), "server_error", "busy"),
        (raw(), "connection_error", ""),
        (reset(), "connection_error", ""),
    ],
)
def test_each_fault_has_its_outcome(script: Script, outcome: str, words: str) -> None:
    result, _ = probe(script)
    assert result.outcome == outcome
    assert words in (result.error or "")
    assert len(result.error or "") <= 300
    assert KEY not in (result.error or "")


HALF_EVENT = b'data: {"choices": [{"delta": {"con'
SSE = head(Content_Type="text/event-stream")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (raw(SSE), "ended before its first token"),
        (stream(chunk(role="assistant", content="")), "ended before its first token"),
        (stream(b": ping\n\n"), "ended before its first token"),
        (chunked(chunk(role="assistant", content=""), end=False), "the stream was cut"),
        (raw(SSE, HALF_EVENT), "cut in the middle of an event"),
        (chunked(HALF_EVENT, end=False), "the stream was cut"),
        (raw(SSE, *GOOD[:4], b'data: {"usage": {"prompt_'), "cut in the middle of an event"),
        (
            raw(head(Content_Type="application/json", Content_Length="99"), b'{"choices": ['),
            "shorter than Content-Length",
        ),
    ],
    ids=["nothing", "a role", "a comment", "cut", "half an event", "half a chunk", "half the usage", "half a JSON"],
)
def test_a_response_that_does_not_come_to_its_own_end_is_a_cut(script: Script, words: str) -> None:
    result, _ = probe(script)
    assert (result.outcome, words in (result.error or "")) == ("stream_error", True), result.error


@pytest.mark.parametrize("end", [[DONE], [chunk(finish="stop")], [chunk(finish="length"), DONE]])
def test_a_response_that_ended_properly_without_a_token_is_empty(end: list[bytes]) -> None:
    assert probe(stream(GOOD[0], *end))[0].outcome == "empty"


PAGE = b"""<!DOCTYPE html><html><head><title>502 Bad&nbsp;Gateway</title><style>h1 {color: red}</style></head>
<body><h1>502 Bad Gateway</h1><hr>nginx/1.22.1</body></html>"""
NO_TITLE = (
    b"<html><!-- build 7 --><script>var a = 1</script><body><h1>Just a moment&hellip;</h1><p>Checking</body></html>"
)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (502, PAGE, "HTTP 502, Bad Gateway"),
        (503, NO_TITLE, "HTTP 503, Just a moment… Checking"),
        (503, b"upstream connect error\r\nor disconnect", "HTTP 503, upstream connect error or disconnect"),
        (500, b"x" * 5_000, "HTTP 500, " + "x" * 200),
        (500, b"\x00\x01\x02\xff" * 99, "HTTP 500"),
        (500, b"", "HTTP 500"),
        (500, {"error": {"code": 500, "message": "boom"}}, "HTTP 500, boom"),
        (500, {"error": {"code": "500", "message": "500: boom"}}, "HTTP 500, boom"),
        (500, {"error": {"code": 502, "message": "boom"}}, "HTTP 500, 502: boom"),
        (500, {"error": {"code": 500}}, "HTTP 500, an error without a message"),
        (
            400,
            {"detail": [{"loc": ["body", "seed"], "msg": "bad", "input": "secret words"}]},
            "HTTP 400, body.seed: bad",
        ),
        (400, b"cannot parse: What is 17 + 25?", "HTTP 400, cannot parse: [prompt]"),
    ],
)
def test_the_reason_of_an_error_is_what_its_body_says(status: int, body: Any, error: str) -> None:
    assert probe(answer(status, body))[0].error == error


def test_a_key_that_a_plain_text_body_echoes_is_not_kept() -> None:
    error = probe(answer(401, f"no such key: {KEY}".encode()))[0].error or ""
    assert error.startswith("HTTP 401, no such key: [key]")
    assert KEY not in error


def test_the_models_text_that_a_router_quotes_in_its_error_is_not_kept() -> None:
    """LiteLLM 1.108.7, recorded: it quotes the upstream's stream when it can not read it."""
    message = (
        "litellm.InternalServerError: InternalServerError: OpenAIException - Empty or invalid response from LLM endpoint. "
        """Received: 'data: {"choices": [{"index": 0, "delta": {"content": "4 is my answer"}}]}\n\ndata: [DONE]\n\n'."""
    )
    result, _ = probe(answer(500, {"error": {"message": message, "type": "internal_server_error", "code": "500"}}))
    assert (result.error or "").endswith("invalid response from LLM endpoint. Received: '[response]")


def test_a_login_page_with_status_200_is_named_by_its_title() -> None:
    page = b"<html><head><title>Hotel Wi-Fi: sign in</title></head><body>hello</body></html>"
    result, _ = probe(answer(200, page, Content_Type="text/html; charset=utf-8"))
    assert result.error == "text/html was received instead of a chat completion: Hotel Wi-Fi: sign in"


@pytest.mark.parametrize("body", [b"{broken", b"[1]", b""])
def test_a_json_body_that_is_none_is_said_without_a_count_of_events(body: bytes) -> None:
    result, _ = probe(answer(200, body))
    assert (result.outcome, result.error) == (
        "invalid_response",
        "application/json was received instead of a chat completion",
    )


def test_a_json_body_with_the_type_of_a_stream_is_read_as_what_it_is() -> None:
    body = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
    result, _ = probe(answer(200, body, Content_Type="text/event-stream"))
    assert (result.outcome, result.response.text, result.ttft_ms) == ("ok", "42", None)


def test_a_json_body_is_a_good_reply_without_a_time_to_first_token() -> None:
    body = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    result, _ = probe(answer(200, body))
    assert (result.outcome, result.response.text, result.ttft_ms, result.completion_tokens) == ("ok", "42", None, 2)


def test_a_refused_connection() -> None:
    result = exchange(ProbeConnection(f"http://127.0.0.1:{free_port()}/v1"), ProbeRequest(BODY, HEADERS, 2.0))
    assert (result.outcome, result.unreached) == ("connection_error", False)
    assert "refused" in (result.error or "")


@pytest.mark.parametrize(
    "script",
    [
        raw(60.0),
        chunked(chunk("4"), *itertools.chain.from_iterable((0.2, b": ping\n\n") for _ in range(100))),
        raw(b"HTTP/1.1 200 OK\r\n", *itertools.chain.from_iterable((0.2, b"a: b\r\n") for _ in range(90))),
    ],
    ids=["never answers", "drips its body", "drips its headers"],
)
def test_the_deadline_is_for_the_whole_probe(script: Script) -> None:
    began = time.perf_counter()
    result, _ = probe(script, timeout_s=0.7)
    assert result.outcome == "timeout"
    assert 0.6 < time.perf_counter() - began < 1.7


def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    with FaultServer(chunked(*GOOD)) as elsewhere:
        result, _ = probe(answer(307, b"", Location=elsewhere.url))
        assert result.outcome == "invalid_response"
        assert "not followed" in (result.error or "")
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://user:pw@llm.example:8443/v2/chat?key=sk-1#top", "https://llm.example:8443/v2/chat"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("/login?next=/v1", "http://127.0.0.1:PORT/login"),
        ("//other.example/v1", "http://other.example/v1"),
        ("http://llm.example:port/", "an invalid address"),
        ("", "nowhere (it has no Location)"),
    ],
)
def test_a_redirect_is_told_with_its_host_port_and_path_and_nothing_that_could_be_a_key(
    location: str, where: str
) -> None:
    result, server = probe(answer(302, b"", Location=location))
    assert (result.error or "").startswith(
        f"HTTP 302, a redirect to {where.replace('PORT', str(server.port))}, which is not followed"
    )


# -- where a response ends, and what is none


def test_a_stream_is_over_at_its_done_and_not_when_the_connection_is() -> None:
    """earendil-works/pi#7954: the server keeps the connection open after the last byte."""
    began = time.monotonic()
    result, _ = probe(chunked(*GOOD, 3.0))
    assert (result.outcome, result.completion_tokens) == ("ok", 2)
    assert time.monotonic() - began < 1


def test_a_stream_that_stays_open_without_done_is_a_timeout() -> None:
    """Though the finish reason and the usage came: `[DONE]` is what ends it, for clients, too (`test_dialects`)."""
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


def refusing(message: str, *fields: str) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = any(name in request["body"] for name in fields)
        (answer(400, {"error": {"message": message}}) if wrong else chunked(*GOOD))(connection, request)

    return script


@pytest.mark.parametrize(
    ("message", "field", "replacement"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            '"max_completion_tokens"',
        ),
        ("Unrecognized request argument supplied: stream_options", "stream_options", None),
        ("'temperature' does not support 0 with this model", "temperature", None),
    ],
)
def test_a_refused_field_is_left_out_and_remembered(message: str, field: str, replacement: str | None) -> None:
    result, server = probe(refusing(message, field))
    assert (result.outcome, result.adaptations) == ("ok", ((field, replacement),))
    assert len(server.requests) == 2
    assert adapt(BODY, list(result.adaptations)) == server.requests[-1]["body"]


def test_a_minimum_is_met() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        enough = request["body"]["max_tokens"] >= 24
        (chunked(*GOOD) if enough else answer(400, {"error": {"message": "max_tokens must be at least 24"}}))(
            connection, request
        )

    result, _ = probe(script)
    assert (result.outcome, result.adaptations) == ("ok", (("max_tokens", "24"),))


def _limited(least: int, message: str) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        enough = request["body"]["max_tokens"] >= least
        (chunked(*GOOD) if enough else answer(400, {"error": {"message": message}}))(connection, request)

    return script


def test_a_limit_that_hidden_reasoning_uses_up_is_raised_as_far_as_a_probe_may() -> None:
    """BerriAI/litellm#26987, grafana/grafana-llm-app#780."""
    message = "Could not finish the message because max_tokens or model output limit was reached."
    result, server = probe(_limited(200, message))
    assert result.outcome == "ok"
    assert [request["body"]["max_tokens"] for request in server.requests] == [16, 64, 256]
    assert adapt(BODY, list(result.adaptations)) == server.requests[-1]["body"]
    result, server = probe(_limited(5_000, message))
    assert result.outcome == "caller_error"
    assert [request["body"]["max_tokens"] for request in server.requests] == [16, 64, 256, 1_024]


def test_a_server_that_may_not_stream_is_asked_without() -> None:
    """lobehub/lobehub#9385, RooCodeInc/Roo-Code#6868."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        error = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
        whole = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
        (answer(400, {"error": error}) if request["body"]["stream"] else answer(200, whole))(connection, request)

    result, server = probe(script)
    assert (result.outcome, result.ttft_ms, result.adaptations) == ("ok", None, (("stream", "false"),))
    assert "stream_options" not in server.requests[-1]["body"]


def test_a_field_that_param_names_is_left_out_and_the_model_never_is() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = "temperature" in request["body"]
        error = {"message": "Argument not supported", "param": "temperature" if wrong else "model"}
        answer(400, {"error": error})(connection, request)

    result, server = probe(script)
    assert (result.outcome, len(server.requests)) == ("caller_error", 2)
    assert server.requests[-1]["body"].keys() == BODY.keys() - {"temperature"}


def test_a_change_is_remembered_once_it_was_taken_whatever_came_then() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = "temperature" in request["body"]
        refusal = answer(400, {"error": {"message": "temperature is not supported"}})
        (refusal if wrong else chunked(event({"error": {"message": "broken"}}), DONE))(connection, request)

    result, _ = probe(script)
    assert (result.outcome, result.adaptations) == ("stream_error", (("temperature", None),))


def test_a_limit_is_never_lowered_and_holds_under_its_new_name() -> None:
    changes = [("max_completion_tokens", "64"), ("max_tokens", '"max_completion_tokens"')]
    assert adapt({"max_tokens": 16}, changes) == {"max_completion_tokens": 64}
    assert adapt({"max_tokens": 128}, changes) == {"max_completion_tokens": 128}


def test_another_bad_request_is_not_tried_again() -> None:
    result, server = probe(answer(400, {"error": {"message": "bad messages"}}))
    assert (result.outcome, len(server.requests)) == ("caller_error", 1)
    assert json.dumps(server.requests[0]["body"]) == json.dumps(BODY)


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
