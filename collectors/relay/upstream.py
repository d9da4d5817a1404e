"""The way to each target: one pool of connections, its URL, its headers, its proxy, and the stamps of an exchange."""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import certifi
from yarl import URL

from collectors.http.addresses import below, names_in_query, path_of
from collectors.http.authorities import authorities
from collectors.http.proxies import Proxy, proxy_for
from collectors.relay.problems import Api
from collectors.request import dialect_of, own_headers
from settings.secrecy import keep_secret
from settings.targets import ProbeTarget
from settings.version import VERSION

USER_AGENT = f"uptoken/{VERSION} (self-hosted relay)"
LARGEST_HEADER_BYTES = 65_536
KEEP_ALIVE_S = 30.0
APIS_OF: dict[str, tuple[Api, ...]] = {
    "chat": ("chat", "completions"),
    "azure": ("chat", "completions"),
    "anthropic": ("messages",),
    "embeddings": ("embeddings",),
}
"""Which requests the relay passes to a target, by its dialect."""


@dataclass
class Marks:
    """The stamps of one exchange, in seconds of `time.perf_counter()`; null where it did not come to that."""

    began: float
    connect_began: float | None = None
    connected: float | None = None
    sent: float | None = None
    is_reused: bool = False
    """It went out on a connection that an earlier one left open."""


@dataclass(frozen=True)
class Upstream:
    """One target as the relay reaches it."""

    target: ProbeTarget
    proxy: Proxy | None
    headers: dict[str, str] = field(repr=False)
    urls: dict[Api, URL] = field(repr=False)

    @property
    def name(self) -> str:
        """The target's name."""
        return self.target.name

    def takes(self, api: Api) -> bool:
        """Whether it speaks what the request is written in."""
        return api in self.urls


def upstream_of(target: ProbeTarget) -> Upstream:
    """The way to a target, through the proxy that the environment names for it."""
    proxy = proxy_for(target.base_url, os.environ)
    if proxy is not None and proxy.user is not None:
        keep_secret([proxy.password])
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    urls = {api: URL(_url(target, api), encoded=True) for api in APIS_OF.get(target.api, ())}
    return Upstream(target, proxy, headers | own_headers(target), urls)


def _url(target: ProbeTarget, api: Api) -> str:
    dialect = dialect_of(target)
    path = dialect.path(path_of(target.base_url), target.model, True)
    if api == "completions":
        path = path.replace("chat/completions", "completions")
    said = names_in_query(target.base_url)
    needed = dialect.query(path_of(target.base_url))
    return below(target.base_url, path, {n: v for n, v in needed.items() if n not in said} | dict(target.params))


@cache
def _trust(named: str | bool) -> ssl.SSLContext:
    """Whose certificates are believed; reading them takes a tenth of a second."""
    if named is True:
        return ssl.create_default_context(cafile=certifi.where())
    path = Path(str(named))
    return ssl.create_default_context(capath=str(path)) if path.is_dir() else ssl.create_default_context(cafile=path)


class Connections:
    """Every connection to a model server. It is made and closed inside the event loop."""

    def __init__(self) -> None:
        self._trust = _trust(authorities())
        self._pool = self._session(keeps=True)
        self._fresh = self._session(keeps=False)

    def _session(self, *, keeps: bool) -> aiohttp.ClientSession:
        kept: dict[str, Any] = {"keepalive_timeout": KEEP_ALIVE_S} if keeps else {"force_close": True}
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, ssl=self._trust, ttl_dns_cache=30, **kept),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[_tracing()],
            max_line_size=LARGEST_HEADER_BYTES,
            max_field_size=LARGEST_HEADER_BYTES,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def post(
        self,
        upstream: Upstream,
        api: Api,
        body: bytes,
        headers: dict[str, str],
        marks: Marks,
        connect_timeout_s: float,
        *,
        is_fresh: bool = False,
    ) -> aiohttp.ClientResponse:
        """Send, and return when the response's headers are in. Redirects are not followed: they could carry the key
        to another host. Raises aiohttp.ClientError, OSError and TimeoutError.
        """
        proxy = upstream.proxy
        if proxy is not None and proxy.problem is not None:
            raise aiohttp.ClientConnectionError(proxy.problem)
        # tinyproxy looks at the first request of a connection alone: a second one would go to the target as it is, with
        # the proxy's password
        is_forwarded = proxy is not None and upstream.urls[api].scheme == "http"
        session = self._fresh if is_fresh or is_forwarded else self._pool
        login = {} if proxy is None else _login(proxy)
        return await session.post(
            upstream.urls[api],
            data=body,
            headers=upstream.headers | headers | (login if is_forwarded else {}),
            allow_redirects=False,
            proxy=None if proxy is None else proxy.url,
            proxy_headers=login or None,
            trace_request_ctx=marks,
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
        )

    async def close(self) -> None:
        """Close them all."""
        await self._pool.close()
        await self._fresh.close()


def _login(proxy: Proxy) -> dict[str, str]:
    if proxy.user is None:
        return {}
    return {"Proxy-Authorization": aiohttp.encode_basic_auth(proxy.user, proxy.password)}


def _tracing() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()

    async def connect_began(_session: object, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.connect_began = time.perf_counter()

    async def connected(_session: object, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.connected = time.perf_counter()

    async def reused(_session: object, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.is_reused = True

    async def sent(_session: object, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.sent = time.perf_counter()

    tracing.on_connection_create_start.append(connect_began)
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    tracing.on_request_chunk_sent.append(sent)
    return tracing
