"""Who may see the dashboard. On loopback: every user of this machine. Elsewhere: viewers who log in and are listed, or
who know the password (`sessions.py`).

A login is Streamlit's own (OpenID Connect, the section `[auth]` of `.streamlit/secrets.toml`). Its section `[uptoken]`
has the list: `allowed_emails`, addresses or `@example.com` for all of a domain, for providers that verify addresses;
and `allowed_subjects`, accounts as `https://issuer|subject`, for those that do not.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import itsdangerous
import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from pages.queries import sessions
from settings.password import VARIABLE, PasswordError
from settings.secrecy import hidden

OPEN_FLAG = "UPTOKEN_OPEN_WITHOUT_LOGIN"

OPEN_WORDS = "everybody who reaches this address sees all targets, prices and errors"

"""What the flag has to be set to: who opens the dashboard has read what that means."""

PUBLIC_FLAG = "UPTOKEN_PUBLIC_STATUS"

"""Set to `yes`, the status page is there for who has not logged in: names, states, strips and incidents."""

TOKENS = "UPTOKEN_API_TOKENS"

"""Texts, separated by spaces or commas: whoever sends one of them as `Authorization: Bearer` reads the whole API."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

TICKET_S = 12 * 3_600

_SECRET = secrets.token_bytes(32)

_TICKET = re.compile(r"([0-9]{1,12})\.[A-Za-z0-9_-]{43}")

_ENTRY = re.compile(r"[^\s@]*@[^\s@]+")

_had_login = False

Guard = Literal["none", "login", "password", "closed"]

Reach = Literal["everything", "public", "nothing"]


class AccessError(Exception):
    """The secrets do not say who may see the dashboard. The message says what is wrong and what would be right."""


@dataclass(frozen=True)
class AllowList:
    """Who may see everything after a login: addresses and `@domains` in lower case, and `issuer|subject`."""

    emails: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()


def read_allow_list(section: object) -> AllowList:
    """The list that the section `[uptoken]` is. Raises AccessError for anything that is none."""
    if not isinstance(section, Mapping):
        raise AccessError("uptoken in the secrets must be a table: [uptoken]")
    emails = _entries(section, "allowed_emails", '["ada@example.com", "@uptoken.example"]')
    for entry in emails:
        if not _ENTRY.fullmatch(entry):
            raise AccessError(
                f"allowed_emails in the secrets has {hidden(entry)[:100]!r}, which is neither an address nor a domain: "
                'write "ada@example.com", or "@uptoken.example" for all of a domain'
            )
    subjects = _entries(section, "allowed_subjects", '["https://issuer.example/v2.0|subject"]')
    for entry in subjects:
        issuer, _, subject = entry.partition("|")
        if urlsplit(issuer).scheme not in ("https", "http") or not subject:
            raise AccessError(
                f"allowed_subjects in the secrets has {hidden(entry)[:100]!r}, which is no account: write the issuer "
                'and the subject, as in "https://issuer.example/v2.0|subject"'
            )
    return AllowList(frozenset(entry.lower() for entry in emails), frozenset(subjects))


def _entries(section: Mapping[str, Any], name: str, example: str) -> list[str]:
    found = section.get(name, [])
    if not isinstance(found, list | tuple) or not all(isinstance(entry, str) for entry in found):
        raise AccessError(f"{name} in the secrets must be a list of texts: {name} = {example}")
    return [entry.strip() for entry in found]


def sign_in_settings() -> tuple[bool, AllowList]:
    """Whether there is a login, and the list. Raises AccessError: secrets that cannot be read open nothing."""
    global _had_login
    try:
        auth, section = st.secrets.get("auth"), st.secrets.get("uptoken", {})
    except (StreamlitSecretNotFoundError, OSError, ValueError):
        if any(Path(path).exists() for path in st.get_option("secrets.files")):
            raise AccessError(
                "the secrets cannot be read: check that secrets.toml is valid TOML and readable"
            ) from None
        auth, section = None, {}
    listed = read_allow_list(section)
    if auth is not None and not (isinstance(auth, Mapping) and auth):
        raise AccessError("auth in the secrets must be a table with the login's settings: [auth]")
    if auth is None and _had_login:  # a file that an editor is just writing is empty for a moment
        raise AccessError("the login was taken out of the secrets: restart the dashboard to run it without one")
    _had_login = auth is not None
    return _had_login, listed


def refuse_wrong_settings() -> None:
    """Raises SystemExit with a sentence when nobody could be let in, or anybody."""
    try:
        _sign_in_kind()
    except (AccessError, PasswordError) as problem:
        raise SystemExit(f"The dashboard does not start: {problem}.") from None


def _sign_in_kind() -> Literal["login", "password"] | None:
    """How viewers sign in; null if they need not. Raises AccessError and PasswordError."""
    has_login, _ = sign_in_settings()
    has_password = sessions.password() is not None
    if has_login and has_password:
        raise AccessError(f"there are a login ([auth] in the secrets) and a password ({VARIABLE}): choose one of them")
    return "login" if has_login else "password" if has_password else None


def guard() -> Guard:
    """What protects the pages: nothing, a login or a password; `closed` if nobody may see them."""
    try:
        kind = _sign_in_kind()
    except (AccessError, PasswordError):
        return "closed"
    if kind is not None:
        return kind
    if st.get_option("server.address") in LOOPBACK or os.environ.get(OPEN_FLAG) == OPEN_WORDS:
        return "none"
    return "closed"


def allowed(person: Mapping[str, Any], listed: AllowList) -> bool:
    """Whether somebody who logged in is on the list. An address counts only if the provider says, with a boolean, that
    it verified it: anybody can write another's address into an account of some providers.
    """
    if account_of(person) in listed.subjects:
        return True
    email = person.get("email")
    if not isinstance(email, str) or person.get("email_verified") is not True:
        return False
    email = email.strip().lower()
    name, _, domain = email.rpartition("@")
    return bool(name and domain) and not listed.emails.isdisjoint((email, f"@{domain}"))


def account_of(person: Mapping[str, Any]) -> str | None:
    """`issuer|subject` of somebody who signed in; null where the provider names none."""
    issuer, subject = person.get("iss"), person.get("sub")
    return f"{issuer}|{subject}" if isinstance(issuer, str) and isinstance(subject, str) and subject else None


def may_see_status() -> bool:
    """Whether the public status page is there for whoever asks."""
    door = guard()
    return door == "none" or (door in ("login", "password") and os.environ.get(PUBLIC_FLAG) == "yes")


def reach(authorization: str | None, session: str | None = None) -> Reach:
    """How much of the API a request may read, by its `Authorization` header and its session cookie: everything on
    loopback or with one of them, else what the public status page shows, if that is open.
    """
    door = guard()
    if door in ("none", "closed"):
        return "everything" if door == "none" else "nothing"
    if has_token(authorization) or (door == "password" and sessions.is_signed_in(session)):
        return "everything"
    return "public" if may_see_status() else "nothing"


def has_token(authorization: str | None) -> bool:
    """Whether an `Authorization` header bears one of `UPTOKEN_API_TOKENS`. Takes as long for any wrong token."""
    scheme, _, shown = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    digest = _digest(shown.strip())
    known = [_digest(token) for token in re.split(r"[\s,]+", os.environ.get(TOKENS, "")) if token]
    return sum(hmac.compare_digest(digest, each) for each in known) > 0  # all are compared, whichever is right


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


def ticket(query: str, until: int | None = None) -> str:
    """Leave for one download until a moment (seconds since 1970), or until the list changes: who was taken off it may
    have some tickets left.

    It is signed with a key that is derived from the login's `cookie_secret`: valid after a restart, and at every
    replica that shares the login.
    """
    until = until if until is not None else int(time.time()) + TICKET_S
    listed = sign_in_settings()[1]
    purpose = f"download?{query}?{sorted(listed.emails)}{sorted(listed.subjects)}"
    signer = itsdangerous.Signer(_signing_key(), salt=purpose, key_derivation="hmac", digest_method=sha256)
    return signer.sign(str(until)).decode()


def _signing_key() -> str | bytes:
    try:
        auth = st.secrets.get("auth")
    except (StreamlitSecretNotFoundError, OSError, ValueError):
        auth = None
    secret = auth.get("cookie_secret") if isinstance(auth, Mapping) else None
    return secret if isinstance(secret, str) and secret else _SECRET


def may_download(query: str, shown: str | None, authorization: str | None = None, session: str | None = None) -> bool:
    """Whether a download is allowed: to clients that may read the whole API, and behind a login with a valid ticket."""
    if reach(authorization, session) == "everything":
        return True
    if guard() != "login":
        return False
    written = _TICKET.fullmatch(shown or "")
    if written is None or int(written[1]) <= time.time():
        return False
    return hmac.compare_digest(written[0], ticket(query, int(written[1])))


def allowed_origins() -> list[str]:
    """The other sites whose pages may ask the dashboard: Streamlit's `server.corsAllowedOrigins`."""
    return list(st.get_option("server.corsAllowedOrigins") or ())
