"""Which requests the server takes at all: those whose `Host` is one of the dashboard's names and whose page is its own.

A page of a stranger can point its own name at 127.0.0.1 and then read what this server sends ("DNS rebinding"). Its
requests still carry the stranger's name, in `Host`. Streamlit looks at that for its WebSocket alone; this does for
every route, and compares ports as well, so that another program on this machine is a stranger, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CONFIG = ".streamlit/config.toml"
MOST_LOGGED = 20
MISDIRECTED_REQUEST = 421
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{0,5}))?", re.ASCII | re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Authority:
    """A host and, where one was written, a port. The name is lower-case, without brackets and trailing dots."""

    name: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """`host`, `host:port` or `[IPv6]:port`; null when it is none of these."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name, port = found[1].lower().strip("[]").rstrip("."), int(found[2]) if found[2] else None
    return Authority(name, port) if name and (port or 0) <= 65_535 else None


def is_listed(name: str, allowed_hosts: Sequence[str]) -> bool:
    """Whether Streamlit's `server.allowedHosts` has this name, by itself or as `*.example.com`; `*` is no name."""
    patterns = (entry.strip().lower().rstrip(".") for entry in allowed_hosts)
    return any(name.endswith(entry[1:]) if entry.startswith("*.") else name == entry for entry in patterns)


def refusal(
    hosts: Sequence[str], origins: Sequence[str], allowed_hosts: Sequence[str], trusted_origins: Collection[str]
) -> str | None:
    """Why a request is refused and what to set, in one sentence; null when it is taken.

    `hosts` and `origins` are the values of its `Host` and `Origin` headers, the others Streamlit's
    `server.allowedHosts` (empty, or with `*`: any host) and `server.corsAllowedOrigins`. Behind a proxy that ends TLS
    the origin is `https` and the request is not, so a port that is not written is the default of the origin's scheme.
    """
    host = parse_authority(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        return f"The request must have one Host header, with a name from server.allowedHosts in {CONFIG}."
    any_host = not allowed_hosts or "*" in (entry.strip() for entry in allowed_hosts)
    if not any_host and not is_listed(host.name, allowed_hosts):
        return (
            f"The dashboard does not serve the host {host.name[:100]}: to allow it, add that name to "
            f"server.allowedHosts in {CONFIG} and restart the dashboard."
        )
    if not origins or (len(origins) == 1 and origins[0] in trusted_origins):
        return None
    scheme, _, authority = origins[0].partition("://") if len(origins) == 1 else ("", "", "")
    page, default_port = parse_authority(authority), _DEFAULT_PORTS.get(scheme)
    if (
        page is not None
        and default_port is not None
        and (page.port or default_port) == (host.port or default_port)
        and (page.name == host.name or is_listed(page.name, allowed_hosts))
    ):
        return None
    return (
        f"A page of {', '.join(origins)[:100]!r} may not use the dashboard at {hosts[0]}: let a reverse proxy pass "
        f"the Host header on unchanged, or add that origin to server.corsAllowedOrigins in {CONFIG}."
    )


class HostCheck:
    """ASGI middleware that answers what `refusal` refuses with 421 (Misdirected Request), WebSockets included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            refused = refusal(
                headers.getlist("host"),
                headers.getlist("origin"),
                st.get_option("server.allowedHosts"),
                st.get_option("server.corsAllowedOrigins"),
            )
            if refused is not None:
                if scope["type"] == "websocket":
                    self._log(refused)
                response = PlainTextResponse(f"{refused}\n", MISDIRECTED_REQUEST, {"X-Content-Type-Options": "nosniff"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _log(self, refused: str) -> None:
        """A browser shows nobody why a WebSocket failed. Strangers choose the text, so that the log must not fill."""
        if len(self._logged) < MOST_LOGGED and refused not in self._logged:
            self._logged.add(refused)
            _LOGGER.warning("%s", refused)
