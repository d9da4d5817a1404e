"""Addresses below a target's base URL."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def below(base_url: str, path: str, params: Mapping[str, str] | None = None) -> str:
    """`path` below a base URL, whose query stays where it belongs, with the path's own query and `params` behind it.

    >>> below("https://h/openai/deployments/d?api-version=2024-10-21", "chat/completions")
    'https://h/openai/deployments/d/chat/completions?api-version=2024-10-21'
    """
    parts = urlsplit(base_url)
    path, _, query = path.partition("?")
    given = params or {}
    own = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in given]
    queries = (parts.query, *own, urlencode(given))
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", query="&".join(filter(None, queries))))


def path_of(base_url: str) -> str:
    """A base URL's path."""
    return urlsplit(base_url).path


def names_in_query(base_url: str) -> frozenset[str]:
    """The names of a base URL's query parameters."""
    return frozenset(name for name, _ in parse_qsl(urlsplit(base_url).query, keep_blank_values=True))
