"""Every way in which an exchange can fail, against a real HTTP server on loopback."""

from __future__ import annotations

import gzip
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.browser import free_port
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange
from tests.collectors.exchanges import BODY, HEADERS, KEY, WHOLE, probe
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, event, head, raw, reset

pytestmark = pytest.mark.alone


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (lambda: b"this was never zipped", "stream_error", "the body is not gzip"),
        (lambda: gzip.compress(WHOLE)[:-12], "stream_error", "the gzip body is truncated"),
        (lambda: gzip.compress(b"data: " + b"x" * 50_000_000), "invalid_response", "a line of more than"),
    ],
    ids=["not zipped", "cut", "bomb"],
)
def test_what_is_wrongly_zipped_is_said_and_bounded(body: Callable[[], bytes], outcome: str, words: str) -> None:
    result, _ = probe(answer(200, body(), Content_Type="text/event-stream", Content_Encoding="gzip"))
    assert (result.outcome, words in (result.error or "")) == (outcome, True), result


def test_a_content_length_that_promises_too_much_is_a_cut() -> None:
    head_of = head(Content_Type="text/event-stream", Content_Length=str(len(WHOLE) + 9))
    result, _ = probe(raw(head_of, WHOLE))
    assert (result.outcome, "the body is 9 bytes shorter than Content-Length" in (result.error or "")) == (
        "stream_error",
        True,
    )


HTML = b"<html>please log in</html>"
ENDLESS = itertools.repeat(chunk("again"), 30_000)


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        (
            chunked(chunk("4"), event({"error": {"code": 502, "message": "upstream died"}})),
            "stream_error",
            "502: upstream died",
        ),
        (chunked(event({"error": {"code": "overloaded", "message": "x"}})), "stream_error", "overloaded: x"),
        (chunked(chunk("4"), chunk(finish="error"), DONE), "stream_error", "finish_reason"),
        (chunked(chunk("4"), end=False), "stream_error", "cut"),
        (chunked(chunk("4")), "stream_error", "without a finish_reason"),
        (reset(head(Content_Type="text/event-stream", Transfer_Encoding="chunked"), b"5\r\nda"), "stream_error", "cut"),
        (chunked(*ENDLESS), "stream_error", "longer than 1024 KiB"),
        (chunked(*itertools.repeat(b"x" * 9_000, 60)), "invalid_response", "a line of more than"),
        (chunked(chunk(role="assistant"), chunk(finish="stop"), DONE), "empty", "no token"),
        (answer(200, b"", Content_Type="text/event-stream"), "stream_error", "ended before its first token"),
        (answer(200, HTML, Content_Type="text/html"), "invalid_response", "text/html"),
        (chunked(b"data: {broken\n\n", *GOOD), "invalid_response", "not JSON"),
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
        (chunked(chunk(role="assistant", content="")), "ended before its first token"),
        (chunked(b": ping\n\n"), "ended before its first token"),
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
    assert probe(chunked(GOOD[0], *end))[0].outcome == "empty"


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
