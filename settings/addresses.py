"""Which hosts are this machine itself."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine itself, however it is written; `0.0.0.0` and `::` connect to it, too."""
    host = host.strip("[]").rstrip(".").lower()
    address = ip_address_of(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def ip_address_of(host: str) -> Address | None:
    """The address that a host is, as `connect` would take it: `127.1` is 127.0.0.1, and so is `::ffff:127.0.0.1`."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host)) if re.fullmatch(r"[0-9a-fx.]+", host) else None
        except OSError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def certificate_host(url: str) -> str | None:
    """The host whose certificate a URL depends on, with the port where it is not 443; null without TLS."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    return parts.hostname if parts.port in (None, 443) else f"{parts.hostname}:{parts.port}"
