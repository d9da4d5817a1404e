"""Addresses below a target's base URL."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def below(base_url: str, path: str) -> str:
    """`path` below a base URL, whose query stays where it belongs.

    >>> below("https://h/openai/deployments/d?api-version=2024-10-21", "chat/completions")
    'https://h/openai/deployments/d/chat/completions?api-version=2024-10-21'
    """
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))
