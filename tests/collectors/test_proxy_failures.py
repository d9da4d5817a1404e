"""The deadline through a proxy, and what each failure of a proxy is recorded as."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.browser import free_port
from settings.secrecy import redacted
from tests.collectors.proxied import BOTH, PLAIN_AND_TLS, Start, ask, asked, tunnelling, way
from tests.fault_server import GOOD, FaultServer, Script, answer, chunk, chunked, raw
from tests.middlebox import squid

pytestmark = pytest.mark.waits


# -- the deadline


@BOTH
@PLAIN_AND_TLS
@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_target_that_is_too_late_is_a_timeout_within_a_second(
    kind: str, secure: bool, how: str, tls: ssl.SSLContext, start: Start
) -> None:
    slow: dict[str, Script] = {"hangs": raw(6.0), "drips": chunked(*[chunk("a"), 0.2] * 40)}
    with FaultServer(slow[how], tls if secure else None) as server, start(kind) as proxy:
        began = time.monotonic()
        result = asked(server.url, proxy.url, 1.0)
        took_s = time.monotonic() - began
    assert result.outcome == "timeout", result
    assert 0.9 < took_s < 2.0
    if how == "drips":
        assert result.ttft_ms is not None


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        (raw(6.0), "timeout", "did not connect to the target within 1 s"),
        (raw(b"HTTP/1.1 2", *[b"0", 0.1] * 60), "timeout", "within 1 s"),
        (raw(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n", 0.1] * 60), "timeout", "connecting took more than 1 s"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", 6.0), "timeout", "connecting took more than 1 s"),  # the target's TLS
    ],
    ids=["silence", "dripped status", "dripped headers", "no TLS"],
)
def test_the_deadline_holds_in_every_phase_of_connect(script: Script, outcome: str, words: str) -> None:
    with FaultServer(script) as proxy:
        began = time.monotonic()
        result = asked("https://127.0.0.1:9/v1", f"http://127.0.0.1:{proxy.port}", 1.0)
        took_s = time.monotonic() - began
    assert result.outcome == outcome, result
    assert words in (result.error or "")
    assert took_s < 2.0
    assert not result.unreached  # the proxy was there: it says nothing of this machine's own network


@PLAIN_AND_TLS
def test_a_proxy_that_takes_no_connection_is_this_networks_trouble_within_the_deadline(secure: bool) -> None:
    with full_listener() as port:
        began = time.monotonic()
        result = asked("https://192.0.2.1/v1" if secure else "http://192.0.2.1/v1", f"http://127.0.0.1:{port}", 1.0)
        took_s = time.monotonic() - began
    assert result.outcome == "offline"
    assert result.error == f"the proxy 127.0.0.1:{port} (HTTPS_PROXY) cannot be reached: connecting took more than 1 s"
    assert result.unreached
    assert took_s < 2.0


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue is full, so that the kernel drops who comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


def test_the_deadline_holds_over_all_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four addresses that drop what comes share the time; each does not get all of it."""
    with full_listener() as port:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 4)
        began = time.monotonic()
        result = asked("http://192.0.2.1/v1", f"http://proxy.test:{port}", 0.6)
        took_s = time.monotonic() - began
    assert result.outcome == "offline"
    assert took_s < 1.6


def test_what_comes_after_the_connection_has_all_the_time_that_is_left(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's name has two addresses, so each has half of the time; CONNECT takes more than half."""

    def both(_: str, port: int, *__: object, **___: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2

    with FaultServer(chunked(*GOOD), tls) as server, tunnelling(server.port, delay_s=1.2) as port:
        monkeypatch.setattr(socket, "getaddrinfo", both)
        result = asked(server.url, f"http://proxy.test:{port}", 2.0)
    assert result.outcome == "ok", result


# -- what goes wrong at the proxy


@PLAIN_AND_TLS
def test_a_proxy_that_is_down_is_this_networks_trouble_and_is_named_without_its_credentials(secure: bool) -> None:
    port = free_port()
    scheme = "https" if secure else "http"
    result = asked(f"{scheme}://192.0.2.1/v1", f"http://ada:canary-secret-9@127.0.0.1:{port}")
    assert result.outcome == "offline"
    assert result.error is not None
    assert result.error.startswith(f"the proxy 127.0.0.1:{port} (HTTPS_PROXY) cannot be reached: ")
    assert "Connection refused" in result.error
    assert "canary" not in result.error
    assert "ada" not in result.error
    assert redacted("it said canary-secret-9") == "it said [key]"
    assert redacted("Basic YWRhOmNhbmFyeS1zZWNyZXQtOQ==") == "Basic [key]"  # ada:canary-secret-9 in base64


@PLAIN_AND_TLS
def test_a_proxy_whose_name_is_not_found_is_this_networks_trouble(secure: bool) -> None:
    result = asked("https://192.0.2.1/v1" if secure else "http://192.0.2.1/v1", "http://proxy.invalid:3128")
    assert result.outcome == "offline"
    assert "the proxy proxy.invalid:3128 (HTTPS_PROXY) cannot be reached: " in (result.error or "")


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://a:canary#x@h:1", "\x00", "http://[::1"])
def test_a_value_that_names_no_proxy_is_this_networks_trouble(value: str) -> None:
    result = asked("https://192.0.2.1/v1", value)
    assert result.outcome == "offline"
    assert (result.error or "").startswith("HTTPS_PROXY does not name a usable proxy: ")


@BOTH
@PLAIN_AND_TLS
def test_a_login_that_is_missing_or_wrong_is_the_users(kind: str, secure: bool, start: Start) -> None:
    scheme = "https" if secure else "http"
    with start(kind, login=True) as proxy:
        missing = asked(f"{scheme}://127.0.0.1:9/v1", proxy.url)
        wrong = asked(f"{scheme}://127.0.0.1:9/v1", f"http://ada:canary@{proxy.name}")
    assert (missing.outcome, missing.http_status) == ("caller_error", 407)
    assert f"the proxy {proxy.name} (HTTPS_PROXY) requires a login" in (missing.error or "")
    assert f"write it into HTTPS_PROXY as http://user:secret@{proxy.name}" in (missing.error or "")
    assert wrong.outcome == "caller_error"
    assert f"the proxy {proxy.name} (HTTPS_PROXY) rejected the login" in (wrong.error or "")
    assert "canary" not in (wrong.error or "")


@BOTH
@PLAIN_AND_TLS
@pytest.mark.parametrize("target", ["127.0.0.1:{free}", "nowhere.invalid"])
def test_a_target_that_the_proxy_cannot_reach_is_down(kind: str, secure: bool, target: str, start: Start) -> None:
    with start(kind) as proxy:
        url = f"{'https' if secure else 'http'}://{target.format(free=free_port())}/v1"
        result = asked(url, proxy.url)
    assert result.outcome == "connection_error", result
    assert (result.error or "").startswith(f"the proxy {proxy.name} (HTTPS_PROXY) cannot reach the target: HTTP 50")
    assert not result.unreached


@PLAIN_AND_TLS
def test_a_proxy_that_may_not_reach_the_target_is_the_users(secure: bool) -> None:
    with squid(more="acl all_of_them dst 192.0.2.0/24\nhttp_access deny all_of_them") as proxy:
        result = asked("https://192.0.2.1/v1" if secure else "http://192.0.2.1/v1", proxy.url)
    assert (result.outcome, result.http_status) == ("caller_error", 403)
    assert f"the proxy {proxy.name} (HTTPS_PROXY) refuses the request (HTTP 403 Forbidden" in (result.error or "")
    assert "NO_PROXY" in (result.error or "")


@pytest.mark.parametrize(
    ("said", "outcome", "words"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "caller_error", "requires a login (HTTP 407 Who are you)"),
        (b"HTTP/1.1 403\r\n\r\n", "caller_error", "refuses the request (HTTP 403)"),
        (b"HTTP/1.0 405 No\r\n\r\n", "caller_error", "refuses the request (HTTP 405 No)"),
        (b"HTTP/1.1 408 Late\r\n\r\n", "connection_error", "cannot reach the target: HTTP 408 Late"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", "connection_error", "cannot reach the target: HTTP 502 Bad"),
        (b"HTTP/1.1 504 Late\r\n\r\n", "connection_error", "cannot reach the target: HTTP 504 Late"),
        (b"HTTP/1.1 200 OK\r\n\r\nno TLS at all", "connection_error", "TLS: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "offline", "did not connect to the target"),
        (b"HTTP/1.1 banana\r\n\r\n", "offline", "did not connect to the target"),
        (b"HTTP/1.1 99999 x\r\n\r\n", "offline", "did not connect to the target"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "offline", "did not connect to the target"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "offline", "did not connect to the target"),
        (b"", "offline", "did not connect to the target"),
        (b"\x00\xff" * 40, "offline", "did not connect to the target"),
    ],
)
def test_what_a_proxy_says_to_connect_decides(said: bytes, outcome: str, words: str) -> None:
    with FaultServer(raw(said)) as proxy:
        result = asked("https://127.0.0.1:9/v1", f"http://127.0.0.1:{proxy.port}")
    assert result.outcome == outcome, result
    assert words in (result.error or "")
    assert result.ttft_ms is None


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"X_Squid_Error": "ERR_DNS_FAIL 0"}, "connection_error"),
        ({"Server": "tinyproxy/1.11.1"}, "connection_error"),
        ({"Proxy_Status": "corp; error=connection_refused"}, "connection_error"),
        ({"Proxy_Status": "corp; received-status=503"}, "server_error"),
        ({"Server": "uvicorn"}, "server_error"),
    ],
)
def test_a_503_is_the_targets_own_unless_the_proxy_signed_it(headers: dict[str, str], outcome: str) -> None:
    with FaultServer(answer(503, {}, **headers)) as proxy:
        assert asked("http://192.0.2.1/v1", f"http://127.0.0.1:{proxy.port}").outcome == outcome


def test_a_407_from_behind_a_tunnel_is_the_targets_own(tls: ssl.SSLContext, start: Start) -> None:
    with FaultServer(answer(407, {}), tls) as server, start("tinyproxy") as proxy:
        result = asked(server.url, proxy.url)
    assert (result.outcome, result.error) == ("caller_error", "HTTP 407")


@BOTH
@PLAIN_AND_TLS
def test_a_proxy_that_dies_mid_stream_cuts_it_and_then_is_down(
    kind: str, secure: bool, tls: ssl.SSLContext, start: Start
) -> None:
    script = chunked(GOOD[0], GOOD[1], 2.0, *GOOD[2:])
    with (
        FaultServer(script, tls if secure else None) as server,
        start(kind) as proxy,
        way(server.url, proxy.url) as line,
    ):
        killing = threading.Timer(0.5, proxy.process.kill)
        killing.start()
        began = time.monotonic()
        cut = ask(line)
        proxy.process.wait()
        down = ask(line)
        took_s = time.monotonic() - began
    assert cut.outcome == "stream_error", cut
    assert cut.ttft_ms is not None
    assert down.outcome == "offline"
    assert f"the proxy {proxy.name} (HTTPS_PROXY) cannot be reached" in (down.error or "")
    assert took_s < 2.0
