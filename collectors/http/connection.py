"""`requests` over connections that stamp when they were usable and when the request's last byte left.

The stamps of the exchange that a thread is making are in that thread's `Marks`: an exchange is made by one thread from
its beginning to its end.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import threading
import time
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from collectors.http.deadline import Deadline

BUFFER_BYTES = 65_536


class Marks:
    """The stamps of one exchange, from `time.perf_counter()`, in seconds; null where it did not come to that."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.connect_began: float | None = None
        self.connected: float | None = None
        self.sent: float | None = None
        self.arrived: float = 0.0
        """When bytes last came out of the socket: the stamp of whatever is read next, however many layers later."""


class _Current(threading.local):
    marks: Marks | None = None


_current = _Current()


class _StampedReader(io.RawIOBase):
    """What a response reads from: the socket, with a stamp a read."""

    def __init__(self, raw: io.RawIOBase, marks: Marks) -> None:
        self._raw = raw
        self._marks = marks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._marks.arrived = time.perf_counter()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _StampedResponse(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if _current.marks is not None:
            self.fp = io.BufferedReader(_StampedReader(self.fp.detach(), _current.marks), BUFFER_BYTES)


class _StampedConnection(HTTPConnection):
    response_class = _StampedResponse
    _held: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        marks = _current.marks
        if marks is None:
            return super()._new_conn()
        marks.connect_began = time.perf_counter()
        self.timeout = marks.deadline.remaining_s
        fresh = super()._new_conn()
        marks.deadline.guard(fresh)
        return fresh

    def connect(self) -> None:
        super().connect()
        if _current.marks is not None:
            _current.marks.connected = time.perf_counter()

    def request(self, *arguments: Any, **named: Any) -> None:
        if _current.marks is not None and self.sock is not None:
            self.timeout = _current.marks.deadline.remaining_s
            if _current.marks.connected is None:  # a connection that was there already
                _current.marks.deadline.guard(self.sock)
        if _current.marks is None:
            super().request(*arguments, **named)
            return
        # head and body in one piece: one system call, one segment, and one moment at which the request was sent
        self._held = []
        try:
            super().request(*arguments, **named)
        finally:
            held, self._held = self._held, None
        self.send(b"".join(held))
        _current.marks.sent = time.perf_counter()

    def send(self, data: Any) -> None:
        if self._held is not None:
            self._held.append(data)
        else:
            super().send(data)


class _StampedTlsConnection(_StampedConnection, HTTPSConnection):
    pass


class _StampedPool(HTTPConnectionPool):
    ConnectionCls = _StampedConnection


class _StampedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _StampedTlsConnection


class _StampedAdapter(HTTPAdapter):
    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _StampedPool, "https": _StampedTlsPool}

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self.pools


LOOPBACK = ("127.", "localhost", "[::1]")


def authorities() -> str | bool:
    """Whose certificates are believed: those that `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE` names, for a company's own
    authority, else certifi's.
    """
    return os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def session_for(url: str) -> requests.Session:
    """A session that takes nothing of the environment but the proxy, and that not for this machine itself, and whose
    certificates are believed.

    requests would let a ~/.netrc replace the key.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = authorities()
    if not url.partition("://")[2].startswith(LOOPBACK):
        session.proxies.update(requests.utils.get_environ_proxies(url))
    return session


class Line:
    """A way to one server that keeps its connection open between exchanges. Used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = session_for(url)
        self._verify = authorities()
        self._session.headers.clear()
        self._adapter = _StampedAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._prepared: requests.PreparedRequest | None = None

    def post(self, body: bytes, headers: dict[str, str], marks: Marks) -> requests.Response:
        """Send, and return when the response's headers are in. Redirects are not followed.

        The request is prepared once and sent by the adapter itself: a session would prepare it anew each time, which
        is a third of the CPU that sending takes. Raises requests.RequestException, and whatever urllib3 lets through
        of a broken response.
        """
        if self._prepared is None:
            self._prepared = self._session.prepare_request(requests.Request("POST", self.url))
        request = self._prepared.copy()
        request.headers.update(headers | {"Content-Length": str(len(body))})
        request.body = body
        _current.marks = marks
        try:
            timeout_s = marks.deadline.remaining_s
            return self._adapter.send(
                request, stream=True, timeout=timeout_s, verify=self._verify, proxies=self._session.proxies
            )
        finally:
            _current.marks = None

    def close(self) -> None:
        """Close the connection that was kept."""
        self._adapter.close()
        self._session.close()
