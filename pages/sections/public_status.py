"""The public status page inside of the dashboard: its settings, its links, and how it looks."""

from __future__ import annotations

import os
from urllib.parse import urljoin

from markupsafe import Markup

from api import status_page
from pages.components import formatting
from pages.components.table import Column, below, bold, table
from pages.queries import access, public_status, source
from settings.secrecy import hidden
from store import StoreError
from store.clock import now_ms

ROOT = "status/"
"""Where the public page is from the dashboard's pages."""


def settings_table() -> Markup:
    """Who may see it, and what is set."""
    settings = public_status.page_settings()
    zone = os.environ.get(public_status.ZONE, "").strip()
    is_unknown = bool(zone) and formatting.known_zone(zone) is None
    wrong = f"{hidden(zone)[:60]!r} is not a known time zone" if is_unknown else ""
    rows = [
        ("Visible to", _audience(), access.PUBLIC_FLAG),
        ("Title", settings.title, public_status.TITLE),
        ("Time zone", settings.zone + below(wrong), public_status.ZONE),
        ("Notice", settings.notice or None, public_status.NOTICE),
    ]
    columns = ("Setting", Column("Value", "left wrap"), Column("Variable", "left"))
    code = Markup("<code>{}</code>")
    return table(columns, [(bold(name), value, code.format(variable)) for name, value, variable in rows])


def _audience() -> str:
    door = access.guard()
    if door == "none":
        return "everyone who can open this dashboard"
    if access.may_see_status():
        return "everyone, without a login"
    return "nobody without a login; yes opens it to everyone"


def links() -> Markup:
    """To the page, and to its feed."""
    return Markup(
        '<div class="u"><ul class="u-links"><li><a href="{0}" target="_blank">Public status page</a></li>'
        '<li><a href="feed.atom" target="_blank">Feed of incidents</a></li></ul></div>'
    ).format(ROOT)


def frame(address: str | None) -> str:
    """The HTML that puts the page into another one. `address`: of this page, as its viewer's browser has it."""
    target = urljoin(address or "https://uptoken.example.com/", f"{ROOT}?embed")
    return f'<iframe src="{target}" title="Status" style="border:0; width:100%; height:600px"></iframe>'


def preview() -> str:
    """The embedded form, for a frame."""
    try:
        status = public_status.load_public_status(source.store_url(), now_ms())
    except StoreError:  # what is wrong, and where, is not for the public
        return str(status_page.failed_page(status_page.UNKNOWN))
    return str(status_page.index_page(status, is_embedded=True, root=ROOT))
