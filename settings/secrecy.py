"""What looks like a secret, whoever put it in the wrong place: asked before anything is kept or shown."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[key]"
_VENDORS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
      (?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}         # OpenAI, Anthropic, OpenRouter, DeepSeek; Stripe
    | (?:hf|gsk|fw|r8|csk|tgp_v1|npm|gh[opsur]|github_pat|lsv2_[a-z]{2}|jina|vck|dop_v1)[_-][A-Za-z0-9]{20,}
    | (?:xai|pplx|nvapi|glpat|pypi|xox[abeprs]|hvs)[-.][A-Za-z0-9_-]{20,}
    | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_-]{20,} | (?:AKIA|ASIA|ABSK)[A-Za-z0-9+/=]{16,}
    | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?    # a JSON Web Token
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
    )""",
    re.VERBOSE,
)
_PLACES = (
    (re.compile(r"(?i)(\bbearer )[^\s'\"]{8,}|(\bbasic )[A-Za-z0-9+/]{12,}=*"), rf"\1\2{HIDDEN}"),
    # user:password@host, to the last @; and user:password where the host was left out
    (re.compile(r"(/(?!user:(?:secret|password)@)[^\s/:@'\"]*:)[^\s'\"]+(?=@)"), r"\1…"),
    (
        re.compile(r"(://(?!user:(?:secret|password)@)[^\s/:@\[\]'\"]*:)(?!…|\d{1,5}(?:[/?#,;\s'\"]|$))[^\s'\"]+"),
        r"\1…",
    ),
    (
        re.compile(r"(?i)([?&;#][a-z_.-]*(?:key|token|secret|passw|pwd|auth|sig|credential)[a-z_.-]*=)[^\s&#'\"]+"),
        rf"\1{HIDDEN}",
    ),
)
_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_CHANGES = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
_FEWEST_CHANGES = 4
"""Between digits and letters: 24 random ones have six on average, a name with a number or a year one or two."""


def hidden(text: str) -> str:
    """A text without what looks like a secret: a key of a vendor's form, a login in a URL, a query's `key=`."""
    text = _VENDORS.sub(HIDDEN, text)
    for place, instead in _PLACES:
        text = place.sub(instead, text)
    return text


def looks_secret(value: str) -> bool:
    """Whether a value is or has a secret: what `hidden` finds, or nothing but a long random word, as keys of vendors
    without a form of their own are (32 hexadecimal digits, say).
    """
    if hidden(value) != value:
        return True
    is_word = re.fullmatch(r"[A-Za-z0-9_-]+", value) is not None
    return is_word and any(len(_CHANGES.findall(run)) >= _FEWEST_CHANGES for run in _RUN.findall(value))


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
            for form in forms(secret)
            for at in range(len(form) - _SHORTEST_PIECE + 1)
        }
        parts |= {form for secret in _whole for form in forms(secret)}
        _trace = re.compile("|".join(map(re.escape, sorted(parts)))) if parts else None


def redacted(text: str) -> str:
    """A text without the secrets."""
    if _trace is None or not _trace.search(text):
        return text
    for secret in _whole:
        for form in forms(secret):
            text = text.replace(form, "[key]")
    for secret in _known:
        for form in forms(secret):
            text = without(text, form)
    return text


def forms(secret: str) -> list[str]:
    """A secret as servers echo it: plain, percent-encoded, in base64, in hexadecimal, escaped; the longest first."""
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), base64.b64encode(raw).decode(), raw.hex(), repr(secret)[1:-1]}
    return sorted((form for form in forms if form), key=len, reverse=True)


def without(text: str, secret: str) -> str:
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
