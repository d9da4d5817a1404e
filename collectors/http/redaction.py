"""Error texts that may be kept: one line, printable, short, and without the user's key in any form."""

from __future__ import annotations

import re
from collections.abc import Iterable

from settings.secrecy import forms, hidden, redacted, without

LONGEST_ERROR = 300


def safe_error(text: str, secrets: Iterable[str] = ()) -> str | None:
    """`text` without secrets, what looks like one, and control characters, at most 300 characters; null when nothing is
    left.
    """
    text = hidden(redacted(text))
    for secret in secrets:
        for form in forms(secret):
            text = without(text, form)
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
    if words != str(inner) or type(inner) is ValueError or type(inner).__module__.startswith("collectors."):
        return words  # our own errors need no name
    return f"{type(inner).__name__}: {inner}" if words else type(inner).__name__


def innermost(problem: BaseException) -> BaseException:
    """The innermost reason that urllib3 and requests wrap."""
    inner = getattr(problem, "reason", None) or (problem.args[-1] if problem.args else None)
    return innermost(inner) if isinstance(inner, BaseException) else problem
