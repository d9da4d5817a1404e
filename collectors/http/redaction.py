"""Error texts that may be kept: one line, printable, short, and without the user's key in any form."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

LONGEST_ERROR = 300
_SHORTEST_PIECE = 8
_known: set[str] = set()
_whole: set[str] = set()
_trace: re.Pattern[str] | None = None


def keep_secret(secrets: Iterable[str | None], *, pieces: bool = True) -> None:
    """Never let these into a text, whoever makes it. Without `pieces` only as a whole: what a header says may be as
    harmless as the address of a page, of which every text has some letters.
    """
    global _trace
    (_known if pieces else _whole).update(secret for secret in secrets if secret and len(secret) >= _SHORTEST_PIECE)
    parts = {
        form[at : at + _SHORTEST_PIECE]
        for secret in _known
        for form in _forms(secret)
        for at in range(len(form) - _SHORTEST_PIECE + 1)
    }
    parts |= {form for secret in _whole for form in _forms(secret)}
    _trace = re.compile("|".join(map(re.escape, sorted(parts)))) if parts else None


def redacted(text: str) -> str:
    """A text without the secrets."""
    if _trace is None or not _trace.search(text):
        return text
    for secret in _whole:
        for form in _forms(secret):
            text = text.replace(form, "[key]")
    for secret in _known:
        for form in _forms(secret):
            text = _without(text, form)
    return text


def safe_error(text: str, secrets: Iterable[str] = ()) -> str | None:
    """`text` without secrets and control characters, at most 300 characters; null when nothing is left."""
    text = redacted(text)
    for secret in secrets:
        for form in _forms(secret):
            text = _without(text, form)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(printable.split())
    if len(line) > LONGEST_ERROR:
        line = line[: LONGEST_ERROR - 1] + "…"
    return line or None


_OBJECT = re.compile(r"^<?_?\w+\(host=[^)]*\)[^:]*: ")
"""How urllib3 begins its messages: with the connection object, which means nothing to a reader."""


def root_cause(problem: BaseException) -> str:
    """The innermost reason that urllib3 and requests wrap, in words."""
    seen = problem
    while True:
        inner = getattr(seen, "reason", None) or (seen.args[-1] if seen.args else None)
        if not isinstance(inner, BaseException):
            words = _OBJECT.sub("", str(seen))
            if words != str(seen) or type(seen) is ValueError:
                return words
            return f"{type(seen).__name__}: {seen}" if words else type(seen).__name__
        seen = inner


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
