"""Who may change `targets.toml` and send probes through the dashboard; the server checks it again at every action.

`UPTOKEN_EDIT` unset: a browser on this machine, where the dashboard has no login. `yes`: every viewer who signed in,
and everyone that a proxy in front of 127.0.0.1 lets through. A list of addresses, `@domains` or `issuer|subject`: these
accounts. `no`: nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.queries import access
from pages.shell import sign_in
from pages.shell.host_check import parse_authority
from settings.addresses import is_loopback

FLAG = "UPTOKEN_EDIT"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def refusal() -> str | None:
    """Why the viewer may not edit, and what to do about it; null for a viewer who may."""
    wanted, door = os.environ.get(FLAG, "").strip(), access.guard()
    if wanted.lower() == "no":
        return f"Editing is switched off ({FLAG}=no)."
    is_local = door == "none" and st.get_option("server.address") in access.LOOPBACK
    is_signed_in = (door == "login" and _is_let_in()) or (door == "password" and sign_in.has_session())
    if not wanted:
        return None if is_local and _is_asked_locally() else _HOW
    if wanted.lower() == "yes":
        needed = f"{FLAG}=yes needs a login where the dashboard listens to other machines."
        return None if is_signed_in or is_local else needed
    try:
        listed = editors(wanted)
    except access.AccessError as problem:
        return f"{problem}."
    if door == "none":
        return f"{FLAG} lists accounts, and this dashboard has no login: set one up, or use {FLAG}=yes on 127.0.0.1."
    may = is_signed_in and access.allowed(viewer(), listed)
    return None if may else f"Your account is not listed in {FLAG}."


def editors(text: str) -> access.AllowList:
    """The accounts that `UPTOKEN_EDIT` lists. Raises AccessError for an entry that is not an account."""
    entries = [entry for entry in re.split(r"[\s,]+", text) if entry]
    emails = [entry for entry in entries if "|" not in entry]
    if any("@" not in entry for entry in emails):
        raise access.AccessError(f"{FLAG} must be yes, no, or a list of addresses, @domains or issuer|subject")
    try:
        return access.read_allow_list(
            {"allowed_emails": emails, "allowed_subjects": [entry for entry in entries if "|" in entry]}
        )
    except access.AccessError:
        raise access.AccessError(
            f"{FLAG} has an entry that is not an account: write ada@example.com or @example.com"
        ) from None


_HOW = (
    f"This page is read-only here. To allow edits from other machines, set {FLAG} where the dashboard runs "
    "(docs/security.md)."
)


def _is_asked_locally() -> bool:
    """Whether this session came from a browser on this machine. A request that a proxy forwarded has the proxy's host
    name, or a header that says so.
    """
    headers = session_headers()
    places = [headers.get("host", ""), headers.get("origin", "").partition("://")[2] or headers.get("host", "")]
    named = [parse_authority(place) for place in places]
    return all(place is not None and is_loopback(place.name) for place in named) and not any(
        name.lower() in headers for name in _FORWARDED
    )


def _is_let_in() -> bool:
    """Whether the viewer is logged in and listed: after a logout the public status page may still be open."""
    person = viewer()
    try:
        return person.get("is_logged_in") is True and access.allowed(person, access.sign_in_settings()[1])
    except access.AccessError:
        return False


def viewer() -> Mapping[str, Any]:
    """The claims of the login about the viewer."""
    return st.user.to_dict()


def session_headers() -> dict[str, str]:
    """The headers of the session's WebSocket, by their names in lower case."""
    return {name.lower(): str(st.context.headers[name]) for name in st.context.headers}
