"""Probes through real proxies: what works, and what a tick and a process record."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import pytest
import trustme

from benchmarks.browser import free_port
from collectors.http.connection import ProbeConnection
from collectors.http.get_json import get_json
from collectors.http.proxies import parse_proxy
from tests.collectors.builders import config, new_store, run_once
from tests.collectors.cli_fixture import CliFixture
from tests.collectors.proxied import BODY, BOTH, PLAIN_AND_TLS, Start, ask, asked, credentials, tunnelling, way
from tests.fault_server import GOOD, FaultServer, answer, chunked
from tests.middlebox import LOGIN, squid, tinyproxy

pytestmark = pytest.mark.waits


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
