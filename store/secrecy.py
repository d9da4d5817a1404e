"""What looks like a secret, whoever put it in the wrong place: asked before anything is kept or shown."""

from __future__ import annotations

import re

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
