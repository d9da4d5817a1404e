"""A server that means ill: bounded memory and time, the right outcome, and nothing of it gets into the store's ways."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from store import open_store
from store.schema import PROBES, Probe
from tests.collectors.builders import config, run_once
from tests.collectors.cli_fixture import ROOT
from tests.fault_server import GOOD, FaultServer, Script, answer, chunk, chunked, event, head, raw

TIMEOUT_S = 1.0
MOST_MB = 150
DEEP = 100_000


def asked(script: Script, timeout_s: float = TIMEOUT_S) -> tuple[Exchange, float]:
    """How an exchange with it ended, and after how many seconds."""
    with FaultServer(script) as server:
        return asked_at(server.url, timeout_s)


def asked_at(url: str, timeout_s: float = TIMEOUT_S) -> tuple[Exchange, float]:
    line = ProbeConnection(f"{url}/chat/completions")
    began = time.monotonic()
    try:
        result = exchange(line, ProbeRequest({"model": "m"}, {"Authorization": "Bearer sk-canary-1"}, timeout_s))
    finally:
        line.close()
    return result, time.monotonic() - began


def endless(first: bytes, piece: bytes, pause_s: float = 0.0) -> Script:
    def script(connection: socket.socket, _: dict[str, Any]) -> None:
        connection.sendall(first)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            connection.sendall(piece)
            time.sleep(pause_s)

    return script


@functools.cache
def bomb(times: int = 1) -> bytes:
    """A quarter of a gigabyte of spaces, zipped."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(256):
            file.write(b" " * 1_048_576)
    body = packed.getvalue()
    for _ in range(times - 1):
        body = gzip.compress(body)
    return body


def usage(**numbers: Any) -> Script:
    text = json.dumps({"choices": [], "usage": numbers}).replace('"1e999"', "1e999").replace('"-NaN"', "NaN")
    return chunked(chunk("Hi"), chunk(finish="stop"), f"data: {text}\n\n".encode(), b"data: [DONE]\n\n")


SSE = head(200, Content_Type="text/event-stream")
HOSTILE: dict[str, tuple[Callable[[], Script], str]] = {
    "headers without end": (lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X-More: more\r\n" * 100), "invalid_response"),
    "a header without end": (lambda: endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65_536), "invalid_response"),
    "a status line without end": (lambda: endless(b"HTTP/1.1 200 ", b"x" * 65_536), "invalid_response"),
    "headers at a trickle": (lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n", 0.1), "timeout"),
    "a line without end": (lambda: endless(SSE + b"data: ", b"x" * 65_536), "invalid_response"),
    "events without end": (lambda: endless(SSE, chunk("more ") * 500), "stream_error"),
    "events at a trickle": (lambda: endless(SSE, chunk("more "), 0.05), "timeout"),
    "an error without end": (lambda: endless(head(500), b"x" * 65_536), "server_error"),
    "a bomb": (
        lambda: raw(head(200, Content_Type="text/event-stream", Content_Encoding="gzip") + bomb()),
        "invalid_response",
    ),
    "a bomb in a bomb": (
        lambda: raw(head(200, Content_Type="text/event-stream", Content_Encoding="gzip, gzip") + bomb(2)),
        "invalid_response",
    ),
    "deep JSON": (lambda: chunked(b"data: " + b"[" * DEEP + b"]" * DEEP + b"\n\n"), "invalid_response"),
    "a deep object": (
        lambda: chunked(b'data: {"a":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}\n\n"),
        "invalid_response",
    ),
    "a deep body": (lambda: answer(200, b"[" * DEEP + b"]" * DEEP), "invalid_response"),
    "a deep error": (lambda: answer(400, b'{"error":' * DEEP + b"1" + b"}" * DEEP), "caller_error"),
    "many digits": (lambda: usage(prompt_tokens=10**4_000, completion_tokens=3), "ok"),
    "1e999": (lambda: usage(prompt_tokens="1e999", completion_tokens="1e999", cost="1e999"), "ok"),
    "below zero": (lambda: usage(prompt_tokens=-1, completion_tokens=-5, cost=-1), "ok"),
    "not a number": (lambda: usage(prompt_tokens="-NaN", completion_tokens="-NaN", cost="-NaN"), "ok"),
    "numbers as text": (lambda: usage(prompt_tokens="12", completion_tokens=[1], cost={"a": 1}), "ok"),
    "half a letter": (
        lambda: chunked(
            event({"provider": "\ud800", "model": "a\udfffb", "choices": [{"delta": {"content": "\ud83d"}}]}),
            chunk(finish="\udc00stop"),
        ),
        "ok",
    ),
    "no letters": (
        lambda: chunked(
            event({"provider": "a\0b", "model": "\x1b[2J\x07", "choices": [{"delta": {"content": "\0"}}]}),
            chunk(finish="stop"),
        ),
        "ok",
    ),
    "bytes that are no UTF-8": (lambda: chunked(b'data: {"error": {"message": "\xff\xfe\xc3("}}\n\n'), "stream_error"),
    "a terminal's words": (
        lambda: answer(503, {"error": {"message": "\x1b]0;pwned\x07\x1b[31mred\r\nDOWN  forged line\u202e"}}),
        "server_error",
    ),
    "a page's words": (
        lambda: answer(503, {"error": {"message": "<script>alert(1)</script>[x](javascript:alert(1))"}}),
        "server_error",
    ),
    "a length that is a lie": (
        lambda: raw(head(200, Content_Type="text/event-stream", Content_Length="99999999999999999999") + chunk("Hi")),
        "stream_error",
    ),
    "a length below zero": (
        lambda: raw(head(200, Content_Type="text/event-stream", Content_Length="-5") + b"".join(GOOD)),
        "ok",
    ),
    "a chunk size without end": (
        lambda: endless(head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked"), b"f" * 65_536),
        "stream_error",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_ends_in_time_with_its_outcome(name: str) -> None:
    make, outcome = HOSTILE[name]
    result, took_s = asked(make())
    assert (result.outcome, took_s < TIMEOUT_S + 1) == (outcome, True), result
    assert result.error is None or (result.error.isprintable() and len(result.error) <= 300)
    for count in (result.response.usage.prompt_tokens, result.completion_tokens, result.response.usage.cost_usd):
        assert count is None or 0 <= count < 10**9


def test_all_of_them_together_take_less_than_150_mb() -> None:
    """In a process of its own: what the tests themselves hold is not to be counted."""
    with servers() as urls:
        done = subprocess.run(
            [sys.executable, "-c", ASK_ALL, *urls], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST_MB


ASK_ALL = """
import sys
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange
for url in sys.argv[1:]:
    line = ProbeConnection(url + "/chat/completions")
    exchange(line, ProbeRequest({"model": "m"}, {}, 1.0))
    line.close()
print(next(int(row.split()[1]) // 1024 for row in open("/proc/self/status") if row.startswith("VmHWM")))
"""
"""Its own peak: getrusage's would be that of the tests' process, which it was forked from."""


@contextlib.contextmanager
def servers() -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(FaultServer(make())).url for make, _ in HOSTILE.values()]


def test_what_they_say_is_kept_as_rows_and_the_others_are_untouched(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hostile.db")
    with servers() as urls, FaultServer(chunked(*GOOD)) as good:
        targets = [{"base_url": url, "timeout": "2s", "name": f"bad {n}"} for n, url in enumerate(urls)]
        settings = config(*targets, {"base_url": good.url, "name": "good"})
        probes, said = run_once(settings, store, everything=True)
    assert {probe.target for probe in probes} == {"good", *(target["name"] for target in targets)}
    assert [probe.outcome for probe in probes if probe.target == "good"] == ["ok"]
    for probe in probes:
        for text in (probe.error, probe.provider, probe.served_model, probe.finish_reason):
            assert text is None or text.isprintable(), probe
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said
    assert not any(line.startswith("DOWN  forged") for line in said.splitlines())
    assert [Probe(*row) for row in store.read(PROBES)] == probes
    store.close()


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with contextlib.suppress(OSError, ssl.SSLError), context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(65_536)
                    answer(200, {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})(secure, {})

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("which", "outcome", "words"),
    [
        ("right", "ok", ""),
        ("expired", "connection_error", "certificate has expired"),
        ("other host", "connection_error", "IP address mismatch"),
        ("self-signed", "connection_error", "TLS: "),
    ],
)
def test_a_certificate_that_is_not_right_is_no_connection(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, outcome: str, words: str
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificate = {
        "right": lambda: authority.issue_cert("127.0.0.1"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=yesterday),
        "other host": lambda: authority.issue_cert("192.0.2.1"),
        "self-signed": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }[which]()
    with tls_server(certificate) as url:
        result, _ = asked_at(url, 5.0)
    assert result.outcome == outcome, result
    assert words in (result.error or "")


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9/v1", "https://evil.example/v1", "file:///etc/passwd", "//x", "\x00"]
)
def test_no_redirect_is_followed(place: str) -> None:
    for status in (301, 302, 307, 308):
        result, _ = asked(raw(head(status, Location=place, Content_Length="0")))
        assert result.outcome == "invalid_response"
        assert "root:" not in (result.error or "")
