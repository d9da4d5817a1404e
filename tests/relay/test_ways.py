"""To a model server through a company's proxy, and behind a company's own certificates, as for probes."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from collectors.http.proxies import Proxy, parse_proxy
from collectors.relay import upstream as upstream_module
from tests.middlebox import LOGIN, squid, tinyproxy
from tests.relay.running import config_of, outcomes, relay_to, running, target
from tests.relay.upstreams import Upstream, good

TINY_LOGIN = ("svc-uptoken", "Sesame-77")


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server needs whose certificate is the company's own, in which the relay believes."""
    authority, trusted = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def _through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """Although the model server is on this machine, which no proxy is used for."""

    def found(_url: str, _environment: Mapping[str, str]) -> Proxy:
        return parse_proxy("HTTPS_PROXY", proxy)

    monkeypatch.setattr(upstream_module, "proxy_for", found)


def test_a_certificate_of_the_companys_own_authority_is_believed(tls: ssl.SSLContext) -> None:
    with Upstream(good(), tls) as upstream, relay_to(upstream.url) as relay:
        assert relay.chat(stream=True).text == "42"
        assert relay.chat().status == 200
        assert upstream.connections == 1
        assert relay.rows[0].connect_ms is not None
        assert relay.rows[1].connect_ms is None


@pytest.mark.waits
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", ["tinyproxy", "squid"])
def test_requests_go_through_a_proxy_with_its_login_and_never_show_it_to_the_server(
    kind: str, secure: bool, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = squid(login=LOGIN) if kind == "squid" else tinyproxy(tmp_path, login=TINY_LOGIN)
    user, password = LOGIN if kind == "squid" else TINY_LOGIN
    with started as proxy, Upstream(good(), tls if secure else None) as upstream:
        from urllib.parse import quote

        _through(monkeypatch, f"http://{quote(user, safe='')}:{quote(password, safe='')}@{proxy.name}")
        with running(config_of(target("A", upstream.url))) as relay:
            for _ in range(3):
                assert relay.chat("A", stream=True).text == "42"
            headers = [exchange.headers for exchange in upstream.requests]
    assert len(headers) == 3
    assert not any("proxy-authorization" in sent for sent in headers)


def test_a_proxy_that_nobody_runs_is_a_target_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream(good()) as upstream:
        _through(monkeypatch, "http://127.0.0.1:1")
        with running(config_of(target("A", upstream.url))) as relay:
            assert relay.chat("A").status == 502
            assert outcomes(relay.rows) == [("A", "connection_error", False)]
        assert not upstream.requests
