"""Exchanges through a proxy, and a proxy that takes its time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from urllib.parse import quote

import pytest

from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from collectors.http.proxies import parse_proxy
from tests.fault_server import FaultServer
from tests.middlebox import LOGIN, Middle

BODY = {"model": "m", "messages": [{"role": "user", "content": "What is 17 + 25?"}], "max_tokens": 16, "stream": True}
HEADERS = {"Authorization": "Bearer sk-canary-0123456789", "Content-Type": "application/json"}
TINY_LOGIN = ("svc-uptoken", "Sesame-77")
PLAIN_AND_TLS = pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
BOTH = pytest.mark.parametrize("kind", ["tinyproxy", "squid"])
Start = Callable[..., AbstractContextManager[Middle]]


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
