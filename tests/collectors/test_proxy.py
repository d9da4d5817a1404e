"""Probes through real proxies, and what each failure of a proxy is recorded as."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from benchmarks.browser import free_port
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from collectors.http.get_json import get_json
from collectors.http.proxies import parse_proxy
from settings.secrecy import redacted
from tests.collectors.builders import config, new_store, run_once
from tests.collectors.cli_fixture import CliFixture
from tests.fault_server import GOOD, FaultServer, Script, answer, chunk, chunked, raw
from tests.middlebox import LOGIN, Middle, squid, tinyproxy

pytestmark = pytest.mark.waits

BODY = {"model": "m", "messages": [{"role": "user", "content": "What is 17 + 25?"}], "max_tokens": 16, "stream": True}
HEADERS = {"Authorization": "Bearer sk-canary-0123456789", "Content-Type": "application/json"}
TINY_LOGIN = ("svc-uptoken", "Sesame-77")
PLAIN_AND_TLS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
BOTH = pytest.mark.parametrize("kind", ["tinyproxy", "squid"])
Start = Callable[..., AbstractContextManager[Middle]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a target needs for TLS; the collector believes in its authority as in a company's."""
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "model.test").configure_cert(context)
    return context


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., AbstractContextManager[Middle]]:
    """Starts a proxy by its name; with `login` it wants one."""

    def started(kind: str, *, login: bool = False) -> AbstractContextManager[Middle]:
        if kind == "squid":
            return squid(login=LOGIN if login else None)
        return tinyproxy(tmp_path, login=TINY_LOGIN if login else None)

    return started


def credentials(kind: str) -> str:
    user, password = LOGIN if kind == "squid" else TINY_LOGIN
    return f"{quote(user, safe='')}:{quote(password, safe='')}@"


@contextlib.contextmanager
def way(url: str, proxy: str) -> Iterator[ProbeConnection]:
    """Through that proxy although the target is on this machine."""
    line = ProbeConnection(f"{url}/chat/completions", parse_proxy("HTTPS_PROXY", proxy))
    yield line
    line.close()


def ask(line: ProbeConnection, timeout_s: float = 5.0) -> Exchange:
    return exchange(line, ProbeRequest(BODY, HEADERS, timeout_s))


def asked(url: str, proxy: str, timeout_s: float = 5.0) -> Exchange:
    with way(url, proxy) as line:
        return ask(line, timeout_s)


# -- what works


@pytest.mark.alone
@BOTH
@PLAIN_AND_TLS
@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
def test_a_probe_through_a_proxy_is_timed_at_the_socket_and_its_connection_is_kept(
    kind: str, secure: bool, login: bool, tls: ssl.SSLContext, start: Start
) -> None:
    script = chunked(GOOD[0], 0.1, *GOOD[1:])
    who = credentials(kind) if login else ""
    with (
        FaultServer(script, tls if secure else None) as server,
        start(kind, login=login) as proxy,
        way(server.url, f"http://{who}{proxy.name}") as line,
    ):
        first, second, *more = [ask(line) for _ in range(6)]
    assert (first.outcome, first.error, first.response.text) == ("ok", None, "42")
    assert (second.outcome, second.error, second.http_status) == ("ok", None, 200)
    assert first.connect_ms is not None
    # tinyproxy forwards one request a connection
    assert (second.connect_ms is None) == (secure or kind == "squid")
    ttft_ms = [result.ttft_ms for result in (second, *more) if result.ttft_ms is not None]
    assert len(ttft_ms) == 5
    assert 100 <= round(min(ttft_ms)) < 135
    assert len(server.requests) == 6
    for request in server.requests:
        assert request["line"] == "POST /v1/chat/completions HTTP/1.1"
        assert request["headers"]["host"] == f"127.0.0.1:{server.port}"
        assert "proxy-authorization" not in request["headers"]
        assert request["body"] == BODY


@PLAIN_AND_TLS
def test_an_https_proxy_works_and_its_own_certificate_is_checked(
    secure: bool, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is for its user alone, and squid is another one
        Path(folder).chmod(0o755)
        certificate = Path(folder) / "proxy.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        certificate.chmod(0o644)
        with (
            FaultServer(chunked(*GOOD), tls if secure else None) as server,
            squid(listen=f"https_port tls-cert={certificate}") as proxy,
        ):
            with way(server.url, f"https://{proxy.name}") as line:
                assert [ask(line).outcome for _ in range(2)] == ["ok", "ok"]
                assert (line.take_certificate() is not None) == secure  # the target's, and never the proxy's
                assert line.take_certificate() is None
            other = tmp_path / "other.pem"
            trustme.CA().cert_pem.write_to_path(str(other))
            monkeypatch.setenv("SSL_CERT_FILE", str(other))
            result = asked(server.url, f"https://{proxy.name}")
    assert result.outcome == "offline"
    assert result.error is not None
    assert f"the proxy {proxy.name} (HTTPS_PROXY) cannot be reached" in result.error
    assert "certificate verify failed" in result.error


@pytest.mark.alone
def test_connect_ms_is_all_of_the_way_to_the_target(tls: ssl.SSLContext) -> None:
    """100 ms before the proxy says yes to CONNECT are 100 ms before the connection is usable, and no part of the TTFT."""
    with FaultServer(chunked(*GOOD), tls) as server, tunnelling(server.port, delay_s=0.1) as port:
        result = asked(server.url, f"http://127.0.0.1:{port}")
    assert result.outcome == "ok", result
    assert result.connect_ms is not None
    assert 100 < result.connect_ms < 300
    assert result.ttft_ms is not None
    assert result.ttft_ms < 80


@contextlib.contextmanager
def tunnelling(to: int, delay_s: float) -> Iterator[int]:
    """A proxy that takes its time before it opens a tunnel."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)

    def script(connection: socket.socket, _: object) -> None:
        time.sleep(delay_s)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", to)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    with FaultServer(script) as server:
        yield server.port


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


# -- a tick, and a process


def test_a_tick_through_a_dead_proxy_is_offline_and_judges_no_other_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    store = new_store(tmp_path)
    with FaultServer(answer(500, {})) as server:
        settings = config(
            {"name": "proxied", "base_url": "http://model.test/v1"},
            {"name": "mine", "base_url": server.url},
        )
        probes, _ = run_once(settings, store, everything=True)
    store.close()
    assert {(probe.target, probe.outcome) for probe in probes} == {("proxied", "offline"), ("mine", "server_error")}
    assert any(f"the proxy 127.0.0.1:{port} (HTTP_PROXY) cannot" in (probe.error or "") for probe in probes)


def test_who_was_reached_is_the_proxy_and_not_the_target_behind_it() -> None:
    """The judgement of this machine's own network goes by the hosts that it connects to itself."""
    assert ProbeConnection("https://a.test/v1").first_host == "a.test"
    assert (
        ProbeConnection("https://a.test/v1", parse_proxy("HTTPS_PROXY", "http://corp.test:3128")).first_host
        == "corp.test"
    )
    assert ProbeConnection("https://a.test/v1", parse_proxy("HTTPS_PROXY", "socks5://corp.test")).first_host is None


def test_a_list_is_read_through_the_proxy_and_its_failure_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(answer(200, {"data": []})) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        assert get_json("http://router.test/api/v1/models") == {"data": []}
        assert proxy.requests[0]["line"] == "GET http://router.test/api/v1/models HTTP/1.1"
    port = free_port()
    monkeypatch.setenv("http_proxy", f"http://ada:canary-secret-9@127.0.0.1:{port}")
    with pytest.raises(ValueError, match=rf"GET /api/v1/models failed at the proxy 127\.0\.0\.1:{port}: .*refused"):
        get_json("http://router.test/api/v1/models")
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ValueError, match="http_proxy does not name a usable proxy"):
        get_json("http://router.test/api/v1/models")


def test_the_collector_records_successes_behind_tinyproxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `HTTP_PROXY` did to every success before: no row, no budget, exit code 0."""
    with (
        FaultServer(chunked(*GOOD)) as server,
        # the target's name is known to the proxy alone: it hands what is for it on to the server
        tinyproxy(tmp_path, more=f'Upstream http 127.0.0.1:{server.port} "model.test"') as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,[::1]")
        recorded(CliFixture(tmp_path, "http://model.test/v1"))
    assert "POST http://model.test:80/v1/chat/completions HTTP/1.1" in [request["line"] for request in server.requests]


def test_the_collector_records_successes_behind_squid_with_a_companys_authority(
    tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(chunked(*GOOD), tls) as server, squid(login=LOGIN) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{credentials('squid')}{proxy.name}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.environ["SSL_CERT_FILE"])
        monkeypatch.delenv("SSL_CERT_FILE")
        place = CliFixture(tmp_path, f"https://model.test:{server.port}/v1")
        recorded(place)
    written = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert LOGIN[1].encode() not in written


def recorded(place: CliFixture) -> None:
    """One run of the collector, as cron makes it."""
    code, out, err = place.run("run", "--all")
    assert code == 0, (out, err)
    assert "Traceback" not in err
    (probe,) = place.probes()
    assert (probe.outcome, probe.error) == ("ok", None)
    assert probe.ttft_ms is not None
    assert probe.connect_ms is not None
