"""Who may see the dashboard. On loopback: whoever is on this machine. Elsewhere: who logs in and is on the list.

A login is Streamlit's own (OpenID Connect, the section `[auth]` of `.streamlit/secrets.toml`), the list is
`allowed_emails` in its section `[uptoken]`: whole addresses, or `@example.com` for all of a domain.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Literal

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

OPEN_FLAG = "UPTOKEN_OPEN_WITHOUT_LOGIN"
OPEN_WORDS = "everybody who reaches this address sees all targets, prices and errors"
"""What the flag has to be set to: who opens the dashboard has read what that means."""
PUBLIC_FLAG = "UPTOKEN_PUBLIC_STATUS"
"""Set to `yes`, the status page is there for who has not logged in: names, states, strips and incidents."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TICKET_S = 12 * 3_600
_SECRET = secrets.token_bytes(32)
_TICKET = re.compile(r"([0-9]{1,12})\.[0-9a-f]{64}")

Guard = Literal["none", "login", "closed"]


def guard() -> Guard:
    """What stands before the pages: nothing, a login, or a closed door."""
    if _section("auth"):
        return "login"
    if st.get_option("server.address") in LOOPBACK or os.environ.get(OPEN_FLAG) == OPEN_WORDS:
        return "none"
    return "closed"


def let_in() -> bool:
    """Whether the viewer may see all pages, or the status page alone; ends the script for who may see none."""
    door = guard()
    if door == "closed":
        where = st.get_option("server.address") or "every address of this machine"
        st.error(
            f"The dashboard listens on `{where}` without a login, so it shows nothing. Let it listen on 127.0.0.1 "
            "behind a proxy, or set a login up (docs/security.md), or open it to all: "
            f'`{OPEN_FLAG}="{OPEN_WORDS}"`.',
            title="Nobody may see this yet",
            icon=":material/lock:",
        )
        st.stop()
    if door == "none":
        return True
    is_logged_in = bool(st.user.to_dict().get("is_logged_in"))
    if os.environ.get(PUBLIC_FLAG) == "yes" and not is_logged_in:
        return False
    if not is_logged_in:
        st.title("Uptoken")
        st.write("Statistics of language models, for those who are on its list.")
        st.button("Log in", on_click=st.login, type="primary")
        st.stop()
    person = st.user.to_dict()
    if not allowed(person, _section("uptoken").get("allowed_emails", ())):
        who = person.get("email") or "an account without an address"
        st.error(
            f"`{who}` is not on the list of this dashboard. Who runs it can put you on it: `allowed_emails` in its "
            "secrets.",
            title="Not on the list",
            icon=":material/lock:",
        )
        st.button("Log out", on_click=st.logout)
        st.stop()
    return True


def allowed(person: Mapping[str, Any], listed: Iterable[str]) -> bool:
    """Whether somebody who logged in is on the list. An address that the provider does not vouch for is nobody's."""
    email = person.get("email")
    if not isinstance(email, str) or "@" not in email or person.get("email_verified") is False:
        return False
    email = email.strip().lower()
    domain = "@" + email.rpartition("@")[2]
    return any(entry.strip().lower() in (email, domain) for entry in listed)


def _section(name: str) -> Mapping[str, Any]:
    try:
        found = st.secrets.get(name)
    except StreamlitSecretNotFoundError:
        return {}
    return found if isinstance(found, Mapping) else {}


# -- downloads are no pages: a link carries a ticket that only a page gives out


def ticket(query: str, until: int | None = None) -> str:
    """Leave for one download until a moment (seconds since 1970)."""
    until = until if until is not None else int(time.time()) + TICKET_S
    return f"{until}.{hmac.new(_SECRET, f'{until}?{query}'.encode(), sha256).hexdigest()}"


def may_download(query: str, shown: str | None) -> bool:
    """Whether a download may be had: on loopback always, behind a login with a ticket that has not run out."""
    door = guard()
    if door != "login":
        return door == "none"
    written = _TICKET.fullmatch(shown or "")
    if written is None or int(written[1]) <= time.time():
        return False
    return hmac.compare_digest(written[0], ticket(query, int(written[1])))
