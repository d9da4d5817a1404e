"""Which proxy a URL is reached through, by the variables that curl and requests read.

Pure and cheap to import: the configuration asks here, too.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from settings.addresses import Address, ip_address_of, is_loopback

DEFAULT_PORT = {"http": 80, "https": 443}

_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True)
class Proxy:
    """A proxy as a variable names it. `problem` says why it cannot be used; then it has no address."""

    variable: str
    scheme: str = "http"
    host: str = ""
    port: int = 0
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    problem: str | None = None

    @property
    def name(self) -> str:
        """Host and port, as an error names it: never with credentials."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Its URL without credentials, which go into a header of their own."""
        return f"{self.scheme}://{self.name}"


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy for a URL; null when it is reached directly, as everything on this machine and in `NO_PROXY` is.

    A lower-case variable outranks its upper-case twin, also when it is empty; `ALL_PROXY` holds where the scheme has no
    variable of its own.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT.get(parts.scheme, 0)
    except ValueError:
        return None  # who sends the request says what is wrong with its URL
    if is_loopback(host) or _is_excepted(host, port, environment):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        variable = name if name in environment else name.upper()
        if value := environment.get(variable, "").strip():
            return parse_proxy(variable, value)
    return None


def parse_proxy(variable: str, value: str) -> Proxy:
    """The proxy that a variable's value names, with or without a scheme; its `problem` says what is wrong with it."""

    def unusable(reason: str) -> Proxy:
        return Proxy(variable, problem=f"{variable} does not name a usable proxy: {reason}")

    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = _plain_host(parts.hostname or ""), parts.port
    except ValueError:  # also a "#", "/" or "?" in a password that is not percent-encoded
        return unusable("write it as http://host:port, special characters of a password percent-encoded")
    if parts.scheme not in DEFAULT_PORT:
        return unusable(f"only http:// and https:// proxies are supported, not {parts.scheme}://")
    if not host or not (_HOST_NAME.fullmatch(host) or ip_address_of(host)) or port == 0:
        return unusable("write it as http://host:port")
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(variable, parts.scheme, host, port or DEFAULT_PORT[parts.scheme], user, unquote(parts.password or ""))


def _plain_host(host: str) -> str:
    """A host in ASCII, without a root dot. Raises ValueError (UnicodeError) for what is no name."""
    return (host if host.isascii() else host.encode("idna").decode()).rstrip(".")


def _is_excepted(host: str, port: int, environment: Mapping[str, str]) -> bool:
    """Whether `NO_PROXY` lists the host: a name and everything below it, an address, a network, or `*`."""
    entries = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    host = host.rstrip(".").lower()
    return any(_matches(entry.lower(), host, port) for entry in re.split(r"[\s,]+", entries) if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = ip_address_of(host)
    if "/" in entry:
        return address is not None and _is_in_network(address, entry)
    with_port = re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d+)", entry)
    name, only_port = with_port.groups() if with_port else (entry, port)
    if int(only_port) != port:
        return False
    if address is not None:
        return ip_address_of(name.strip("[]")) == address
    name = name.removeprefix("*").strip(".")
    return name != "" and (host == name or host.endswith(f".{name}"))


def _is_in_network(address: Address, entry: str) -> bool:
    try:
        network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
    return address in network
