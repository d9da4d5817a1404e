"""The sign-in in front of the pages, and who may pass it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import streamlit as st

from pages.queries import access, sessions

_SIGNED_OUT = '<div class="u"><p>You are signed out. <a href="login" target="_self">Sign in</a></p></div>'
_P = ParamSpec("_P")


def let_in() -> bool:
    """Whether the viewer may see all pages, or only the status page; ends the script for one who may see neither."""
    door = access.guard()
    if door == "closed":
        st.error(_why_closed(), title="This dashboard is closed", icon=":material/lock:")
        st.stop()
    if door == "none":
        return True
    if door == "password":
        if not has_session():
            st.html(_SIGNED_OUT)
            st.stop()
        return True
    person = st.user.to_dict()
    if not person.get("is_logged_in"):
        if os.environ.get(access.PUBLIC_FLAG) == "yes":
            return False
        st.title("Uptoken")
        st.write("Sign in to see this dashboard.")
        st.button("Log in", on_click=st.login, type="primary")
        st.stop()
    if not _is_listed(person):
        _not_listed(person)
        st.stop()
    return True


def fragment(
    run_every: str | float | None = None,
) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """`st.fragment` for every part of a page that runs by itself: each run first checks whether its viewer may still
    see it. If not, the whole page runs again, and shows the sign-in instead.
    """

    def decorate(draw: Callable[_P, None]) -> Callable[_P, None]:
        @st.fragment(run_every=run_every)
        @functools.wraps(draw)
        def checked(*args: _P.args, **more: _P.kwargs) -> None:
            if not _still_in():
                st.rerun()
            draw(*args, **more)

        return checked

    return decorate


def _still_in() -> bool:
    door = access.guard()
    if door != "login":
        return door == "none" or (door == "password" and has_session())
    person = st.user.to_dict()
    return _is_listed(person) if person.get("is_logged_in") else os.environ.get(access.PUBLIC_FLAG) == "yes"


def has_session() -> bool:
    """Whether the viewer signed in with the password, by the cookie that opened the page's WebSocket."""
    return sessions.is_signed_in(st.context.cookies.get(sessions.COOKIE))


def sign_out() -> None:
    """A link to the page that ends the session, for viewers who signed in with the password."""
    if access.guard() == "password":
        st.html('<div class="u"><a href="logout" target="_self">Sign out</a></div>')


def _is_listed(person: Mapping[str, Any]) -> bool:
    try:
        return access.allowed(person, access.sign_in_settings()[1])
    except access.AccessError:
        return False


def _not_listed(person: Mapping[str, Any]) -> None:
    email, account = person.get("email"), access.account_of(person)
    if not email:
        why = "This account has no address. Ask the administrator of this dashboard to add it to `allowed_subjects`"
    elif person.get("email_verified") is not True:
        why = (
            f"The login's provider does not say that it verified `{_plain(email)}`, so the address does not count. Ask "
            "the administrator of this dashboard to add your account to `allowed_subjects`"
        )
    else:
        why = (
            f"`{_plain(email)}` is not on the list of this dashboard. Ask its administrator to add you to "
            "`allowed_emails`"
        )
    st.error(f"{why}{f': `{_plain(account)}`' if account else ''}.", title="No access", icon=":material/lock:")
    st.button("Log out", on_click=st.logout)


def _plain(claim: object) -> str:
    """A provider's text for a sentence: it cannot end a code span."""
    return "".join(letter for letter in str(claim)[:200] if letter.isprintable() and letter != "`")


def _why_closed() -> str:
    try:
        access.sign_in_settings()
    except access.AccessError as problem:
        return f"{str(problem)[:1].upper()}{str(problem)[1:]}."
    where = st.get_option("server.address") or "every address of this machine"
    return (
        f"The dashboard listens on `{where}` without a login, so it shows nothing. Let it listen on 127.0.0.1 "
        "behind a proxy, set up a login or a password (docs/security.md), or open it to everybody: "
        f'`{access.OPEN_FLAG}="{access.OPEN_WORDS}"`.'
    )
