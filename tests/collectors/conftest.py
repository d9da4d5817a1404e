"""What several of the collectors' tests are given."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trustme

from collectors.scheduler import checking
from store import Store
from tests.collectors.builders import new_store
from tests.collectors.proxied import TINY_LOGIN
from tests.collectors.router_fixture import RouterFixture
from tests.middlebox import LOGIN, Middle, squid, tinyproxy


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RouterFixture]:
    made = RouterFixture(tmp_path)
    with made.server:
        yield made
    made.store.close()


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


@pytest.fixture(autouse=True)
def _checks_do_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe waits for its turn here; tests with processes of their own show that one has it."""
    monkeypatch.setattr(checking, "OTHERS_FIRST_S", 0.0)
