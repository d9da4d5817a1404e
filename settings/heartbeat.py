"""`heartbeat_url` of `[collector]`: who is told at each tick that the collector lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from settings.secrecy import keep_secret
from settings.sections import CollectorSection

SHORTEST_SECRET = 12
"""Shorter parts of a URL are words of an API."""
_OPPOSITE = {("status", "up"): "down", ("success", "true"): "false"}
"""What Uptime Kuma's and Gatus's addresses say of a failure; anybody else's end with /fail then."""


@dataclass(frozen=True)
class HeartbeatSettings:
    """Where a heartbeat goes, and the token that it carries. The URL is a secret: who has it can pretend to be well."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def fail_url(self) -> str:
        """Where an error is reported."""
        parts = urlsplit(self.url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        changed = [(name, _OPPOSITE.get((name, value.lower()), value)) for name, value in query]
        if changed != query:
            return urlunsplit(parts._replace(query=urlencode(changed)))
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))

    @property
    def method(self) -> str:
        """Gatus takes a POST with a token; the others take a GET."""
        return "POST" if self.token else "GET"


def heartbeat_settings(
    section: CollectorSection, folder: Path, environment: Mapping[str, str], read_file: Callable[[Path], str | None]
) -> HeartbeatSettings | None:
    """Where heartbeats go; null where they go nowhere (yet). Raises ValueError, without its words, for what is no
    URL.
    """
    url = section.heartbeat_url
    if section.heartbeat_url_env:
        url = environment.get(section.heartbeat_url_env, "").strip() or None
    if section.heartbeat_url_file:
        url = read_file(folder / section.heartbeat_url_file)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("heartbeat_url is not an address: write it as https://hc-ping.com/...")
    token = environment.get(section.heartbeat_token_env or "", "").strip() or None
    words = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    keep_secret([token, *(word for word in words if len(word) >= SHORTEST_SECRET)])
    keep_secret([url], pieces=False)
    return HeartbeatSettings(url, token)
