"""Error texts that may be kept: one line, printable, short, and without the user's key in any form."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote

LONGEST_ERROR = 300
_SHORTEST_PIECE = 8


def safe_error(text: str, secrets: Iterable[str] = ()) -> str | None:
    """`text` without secrets and control characters, at most 300 characters; null when nothing is left."""
    for secret in secrets:
        for form in _forms(secret):
            text = _without(text, form)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(printable.split())
    if len(line) > LONGEST_ERROR:
        line = line[: LONGEST_ERROR - 1] + "…"
    return line or None


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), base64.b64encode(raw).decode(), raw.hex(), repr(secret)[1:-1]}
    return sorted((form for form in forms if form), key=len, reverse=True)


def _without(text: str, secret: str) -> str:
    """Replace the secret, and any piece of it of eight characters or more: servers echo keys cut short."""
    text = text.replace(secret, "[key]")
    size = _SHORTEST_PIECE
    if len(secret) <= size:
        return text
    start = 0
    while start <= len(text) - size:
        piece = text[start : start + size]
        if piece not in secret:
            start += 1
            continue
        end = start + size
        while end < len(text) and text[start : end + 1] in secret:
            end += 1
        text = text[:start] + "[key]" + text[end:]
        start += len("[key]")
    return text
