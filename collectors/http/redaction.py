"""Error texts that may be kept: one line, printable, short, and without the user's key in any form."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote

from store.secrecy import hidden

LONGEST_ERROR = 300
_SHORTEST_PIECE = 8
_known: frozenset[str] = frozenset()
_whole: frozenset[str] = frozenset()
_trace: re.Pattern[str] | None = None
_adding = threading.Lock()


def keep_secret(secrets: Iterable[str | None], *, pieces: bool = True) -> None:
    """Never let these into a text, whoever makes it. Without `pieces` only as a whole: what a header says may be as
    harmless as the address of a page, of which every text has some letters.
    """
    global _known, _whole, _trace
    new = frozenset(secret for secret in secrets if secret and len(secret) >= _SHORTEST_PIECE)
    with _adding:  # probes' threads add a proxy's, and others read meanwhile: so the sets are replaced, not changed
        if new <= (_known if pieces else _whole):
            return
        _known, _whole = (_known | new, _whole) if pieces else (_known, _whole | new)
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
    """`text` without secrets, what looks like one, and control characters, at most 300 characters; null when nothing is
    left.
    """
    text = hidden(redacted(text))
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
    inner = innermost(problem)
    words = _OBJECT.sub("", str(inner))
    if words != str(inner) or type(inner) is ValueError:
        return words
    return f"{type(inner).__name__}: {inner}" if words else type(inner).__name__


def innermost(problem: BaseException) -> BaseException:
    """The innermost reason that urllib3 and requests wrap."""
    inner = getattr(problem, "reason", None) or (problem.args[-1] if problem.args else None)
    return innermost(inner) if isinstance(inner, BaseException) else problem


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
