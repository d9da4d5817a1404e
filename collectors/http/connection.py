"""`requests` over connections that stamp when they were usable and when the request's last byte left.

Each thread keeps the stamps of its exchange in its own `Timings`: one thread makes an exchange from beginning to end.
"""

from __future__ import annotations

import base64
import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from collectors.http.authorities import authorities
from collectors.http.deadline import Deadline
from collectors.http.proxies import Proxy, proxy_for
from settings.secrecy import keep_secret

BUFFER_BYTES = 65_536


@dataclass(frozen=True)
class PeerCertificate:
    """What a server showed when a connection was made: until when it is valid (milliseconds UTC), and who signed it."""

    expires_at: int
    issuer: str | None


class Timings:
    """The stamps of one exchange, from `time.perf_counter()`, in seconds; null where it did not come to that."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.connect_began: float | None = None
        self.connected: float | None = None
        self.proxy: Proxy | None = None
        self.forwarded = False
        """The proxy makes the request itself (http://), so that some responses are its own."""
        self.tunnel: Literal["asked for", "open"] | None = None
        """How far `CONNECT` came; null before the proxy was reached, and where there is no tunnel to be opened."""
        self.tunnel_refusal: tuple[int, str] | None = None
        """The status and the words with which the proxy refused it."""
        self.sent: float | None = None
        self.arrived: float = 0.0
        """When bytes last came out of the socket: the stamp of whatever is read next, however many layers later."""
        self.reader: _StampedReader | None = None
        self.certificate: PeerCertificate | None = None
        """Of a connection that was made for this exchange."""
        self.stream_ended = False
        """The protocol's own end of the stream came; what follows is not the response's."""

    def wait_at_most(self, seconds: float) -> None:
        """From now on a read of the response that waits longer is a TimeoutError."""
        if self.reader is not None:
            self.reader.wait_at_most(seconds)


class _Current(threading.local):
    timings: Timings | None = None


_current = _Current()


class _StampedReader(io.RawIOBase):
    """What a response reads from: the socket, with a stamp a read."""

    def __init__(self, raw: io.RawIOBase, timings: Timings) -> None:
        self._raw = raw
        self._timings = timings
        timings.reader = self

    def wait_at_most(self, seconds: float) -> None:
        """See `Timings.wait_at_most`."""
        connected = getattr(self._raw, "_sock", None)  # socket.SocketIO's own
        if connected is not None:
            connected.settimeout(seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._timings.arrived = time.perf_counter()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _StampedResponse(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if _current.timings is not None:
            self.fp = io.BufferedReader(_StampedReader(self.fp.detach(), _current.timings), BUFFER_BYTES)


class _StampedConnection(HTTPConnection):
    response_class = _StampedResponse
    _held: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        timings = _current.timings
        if timings is None:
            return super()._new_conn()
        timings.connect_began = time.perf_counter()
        name = self._dns_host
        try:
            fresh = self._first_that_connects(timings.deadline)
        finally:
            self._dns_host = name
        fresh.settimeout(timings.deadline.remaining_s)
        timings.deadline.guard(fresh)
        return fresh

    def _first_that_connects(self, deadline: Deadline) -> socket.socket:
        """A socket to one of the name's addresses. They share the time: urllib3 would give all of it to each."""
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as problem:
            os.close(os.open(os.devnull, os.O_RDONLY))  # raises EMFILE where that is why no name could be looked up
            raise NameResolutionError(self.host, self, problem) from problem
        for left in range(len(found), 0, -1):
            self._dns_host = str(found[-left][4][0])
            self.timeout = deadline.remaining_s / left
            try:
                return super()._new_conn()
            except ConnectTimeoutError:  # also of what is refused
                if left == 1:
                    raise
        raise NewConnectionError(self, "the host name has no address")

    def connect(self) -> None:
        super().connect()
        if _current.timings is not None:
            _current.timings.connected = time.perf_counter()

    def _tunnel(self) -> None:
        timings = _current.timings
        if timings is None:
            super()._tunnel()
            return
        timings.tunnel = "asked for"
        try:
            super()._tunnel()
        except OSError as problem:
            if refusal := re.match(r"Tunnel connection failed: (\d+) ?(.*)", str(problem)):
                timings.tunnel_refusal = (int(refusal[1]), refusal[2])
            raise
        timings.tunnel = "open"

    def request(self, *arguments: Any, **named: Any) -> None:
        if _current.timings is not None and self.sock is not None:
            self.timeout = _current.timings.deadline.remaining_s
            if _current.timings.connected is None:  # a connection that was there already
                _current.timings.deadline.guard(self.sock)
        if _current.timings is None:
            super().request(*arguments, **named)
            return
        # head and body in one piece: one system call, one segment, and one moment at which the request was sent
        self._held = []
        try:
            super().request(*arguments, **named)
        finally:
            held, self._held = self._held, None
        if self.sock is None:
            self.connect()
        try:
            self.send(b"".join(held))
        finally:  # a server may close its ear before the end and respond all the same; urllib3 then reads the response
            _current.timings.sent = time.perf_counter()

    def send(self, data: Any) -> None:
        if self._held is not None:
            self._held.append(data)
        else:
            super().send(data)


class _StampedTlsConnection(_StampedConnection, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        if _current.timings is not None:
            _current.timings.certificate = _certificate_of(self.sock)


def _certificate_of(connected: Any) -> PeerCertificate | None:
    """Of a TLS socket. What it says of itself is text of a server's: it is kept short."""
    try:
        shown = connected.getpeercert()
        expires_at = ssl.cert_time_to_seconds(shown["notAfter"]) * 1_000
        named = {name: value for part in shown.get("issuer", ()) for name, value in part}
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        return None
    issuer = named.get("organizationName") or named.get("commonName")
    return PeerCertificate(expires_at, issuer[:100] if issuer else None)


class _StampedPool(HTTPConnectionPool):
    ConnectionCls = _StampedConnection


class _StampedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _StampedTlsConnection


class _Adapter(HTTPAdapter):
    """requests' own way to a server, through a proxy whose credentials are in no URL that an error could show."""

    def __init__(self, proxy: Proxy | None, **named: Any) -> None:
        self._proxy = proxy
        super().__init__(**named)

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        if self._proxy is None or self._proxy.user is None:
            return {}
        pair = f"{self._proxy.user}:{self._proxy.password}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        # by what is connected to: requests goes by the URL, and would not look at an https:// proxy's certificate
        super().cert_verify(conn, f"{conn.scheme}://", verify, cert)  # type: ignore[no-untyped-call]


class _StampedAdapter(_Adapter):
    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _StampedPool, "https": _StampedTlsPool}

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = self.pools
        return manager


def _keep_credentials(proxy: Proxy | None) -> None:
    """Let no text have a proxy's password, nor the header that it makes with the user's name."""
    if proxy is not None and proxy.user is not None:
        keep_secret([proxy.password])
        keep_secret([f"{proxy.user}:{proxy.password}"], pieces=False)


def _proxies(proxy: Proxy | None) -> dict[str, str]:
    """As requests wants them."""
    return {} if proxy is None else {"http": proxy.url, "https": proxy.url}


def session_for(url: str) -> requests.Session:
    """A session that takes nothing of the environment but the proxy, and that not for this machine itself, and whose
    certificates are believed.

    requests would let a ~/.netrc replace the key. Raises ValueError when the proxy cannot be used.
    """
    proxy = proxy_for(url, os.environ)
    if proxy is not None and proxy.problem is not None:
        raise ValueError(proxy.problem)
    _keep_credentials(proxy)
    session = requests.Session()
    session.trust_env = False
    session.verify = authorities()
    session.proxies = _proxies(proxy)
    session.headers["Accept-Encoding"] = "gzip, deflate"  # what `body.py` unpacks, whichever libraries are installed
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(proxy))
    return session


class ProbeConnection:
    """A way to one server that keeps its connection open between exchanges. Used by one thread at a time."""

    def __init__(self, url: str, proxy: Proxy | None = None) -> None:
        """Through `proxy`, by default the one that the environment names for the URL."""
        self.url = url
        self.proxy = proxy or proxy_for(url, os.environ)
        _keep_credentials(self.proxy)
        self._verify = authorities()
        self._adapter = _StampedAdapter(self.proxy, pool_connections=1, pool_maxsize=1, max_retries=0)
        self._prepared: requests.PreparedRequest | None = None
        self._certificate: PeerCertificate | None = None

    def take_certificate(self) -> PeerCertificate | None:
        """The certificate of the target's server, once after each connection that was made."""
        taken, self._certificate = self._certificate, None
        return taken

    @property
    def first_host(self) -> str | None:
        """The host that it connects to, the proxy's where there is one; null where there is none to connect to."""
        return self.proxy.host or None if self.proxy is not None else urlsplit(self.url).hostname

    def post(self, body: bytes, headers: dict[str, str], timings: Timings) -> requests.Response:
        """Send, and return when the response's headers are in. Redirects are not followed.

        The request is prepared once and sent by the adapter itself: a session would prepare it anew each time, which
        is a third of the CPU that sending takes. Raises requests.RequestException, and whatever urllib3 lets through
        of a broken response.
        """
        timings.proxy, timings.forwarded = self.proxy, self.proxy is not None and self.url.startswith("http://")
        if self.proxy is not None and self.proxy.problem is not None:
            raise requests.exceptions.InvalidProxyURL(self.proxy.problem)
        if self._prepared is None:
            self._prepared = requests.Request("POST", self.url).prepare()
        request = self._prepared.copy()
        request.headers.update(headers | {"Content-Length": str(len(body))})
        request.body = body
        _current.timings = timings
        try:
            return self._adapter.send(
                request,
                stream=True,
                timeout=timings.deadline.remaining_s,
                verify=self._verify,
                proxies=_proxies(self.proxy),
            )
        finally:
            _current.timings = None
            if timings.certificate is not None and not timings.forwarded:  # else it is the proxy's
                self._certificate = timings.certificate

    def close(self) -> None:
        """Close the connection that was kept."""
        self._adapter.close()
