"""When the certificates of hosts expire, from the connections that probes make: real TLS on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from settings.addresses import certificate_host
from store import Store
from store.certificates import certificates, expiry_by_host
from store.clock import now_ms
from store.schema import Certificate, Probe
from tests.collectors.builders import config, new_store, run_once
from tests.factories import NOON
from tests.fault_server import GOOD, FaultServer, chunked

Issue = Callable[[datetime], ssl.SSLContext]


@pytest.fixture
def issue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Issue:
    """A server's certificate until then, by an authority that the collector believes in."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def made(not_after: datetime) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=not_after).configure_cert(context)
        return context

    return made


def _known(store: Store) -> list[Certificate]:
    return certificates(store, now_ms() + 1)


def test_a_probe_records_once_when_the_certificate_of_its_host_expires(tmp_path: Path, issue: Issue) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    store = new_store(tmp_path)
    with FaultServer(chunked(*GOOD), issue(expires)) as server, FaultServer(chunked(*GOOD)) as plain:
        targets = [{"base_url": server.url}, {"base_url": server.url}, {"base_url": plain.url}]
        probes, said = run_once(config(*targets), store)
    assert [probe.outcome for probe in probes] == ["ok"] * 3, said
    [row] = _known(store)
    assert (row.host, row.location) == (f"127.0.0.1:{server.port}", "here")
    assert row.expires_at == round(expires.timestamp() * 1_000)
    assert row.issuer and row.issuer.startswith("trustme")
    assert all(isinstance(probe, Probe) and probe.connect_ms is not None for probe in probes)


def test_a_renewed_certificate_takes_the_place_of_the_old_one(tmp_path: Path, issue: Issue) -> None:
    store, now = new_store(tmp_path), datetime.now(UTC).replace(microsecond=0)
    days = []
    for left in (3, 90):
        with FaultServer(chunked(*GOOD), issue(now + timedelta(days=left))) as server:
            run_once(config({"base_url": server.url}), store, everything=True)
        days.append(sorted(round((row.expires_at / 1_000 - now.timestamp()) / 86_400) for row in _known(store)))
    assert days == [[3], [3, 90]]  # two ports are two hosts
    first = _known(store)[0]
    renewed = Certificate(first.host, first.location, now_ms(), first.expires_at + 1, first.issuer)
    store.write([renewed])
    assert {row.host: row for row in _known(store)}[first.host] == renewed


def test_a_certificate_that_has_expired_is_an_outage_and_what_was_known_stays(tmp_path: Path, issue: Issue) -> None:
    store = new_store(tmp_path)
    with FaultServer(chunked(*GOOD), issue(datetime.now(UTC) - timedelta(days=1))) as server:
        host = f"127.0.0.1:{server.port}"
        known = Certificate(host, "here", now_ms() - 1, now_ms() - 86_400_000)
        store.write([known])
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert {probe.outcome for probe in probes} == {"connection_error"}
    assert _known(store) == [known]


def test_the_location_that_looked_last_says_when_a_hosts_certificate_expires() -> None:
    rows = [
        Certificate("h", "b", NOON + 2, 200),
        Certificate("h", "a", NOON + 1, 100),
        Certificate("other", "a", NOON, 300),
    ]
    assert expiry_by_host(rows) == {"h": 200, "other": 300}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example/v1", "api.example"),
        ("https://API.example:443/v1", "api.example"),
        ("https://api.example:8443/v1?x=1", "api.example:8443"),
        ("http://api.example/v1", None),
    ],
)
def test_a_certificate_belongs_to_a_host_and_its_port(url: str, host: str | None) -> None:
    assert certificate_host(url) == host
