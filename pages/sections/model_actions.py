"""Actions of the model page: other targets, the comparison, and things to copy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

import streamlit as st

from api.downloads import link as download_link
from api.report_routes import link as report_link
from pages.components import formatting
from pages.components.copy_menu import BASE, PAGE, CopyItem, MenuLink, copy_menu
from pages.queries import access, cache
from pages.queries.time_range import TimeRange
from pages.sections import compare_targets
from pages.shell.time_range import in_page_link
from store import Selection
from store.clock import MINUTE_MS
from store.formats import iso
from store.schema import Target

COMPARE = Path(__file__).resolve().parents[1] / "compare.py"


def neighbours(names: Sequence[str], name: str | None) -> None:
    """Buttons that switch to the targets before and after this one in the list."""
    place = names.index(name) if name in names else None
    before = names[place - 1] if place else None
    after = names[place + 1] if place is not None and place + 1 < len(names) else None
    for key, text, icon, other in (
        ("previous_target", "Previous", "chevron_left", before),
        ("next_target", "Next", "chevron_right", after),
    ):
        st.button(
            text,
            icon=f":material/{icon}:",
            icon_position="left" if text == "Previous" else "right",
            key=key,
            help=formatting.as_markdown(other) if other else None,
            disabled=other is None,
            on_click=_choose,
            args=(other,),
        )


def _choose(name: str) -> None:
    st.session_state["target"] = name


def compare_link(url: str, name: str) -> None:
    """A link to the comparison with the most similar target; nothing when it is the only one."""
    pair = compare_targets.pair(url, name)
    if pair:
        st.page_link(
            str(COMPARE),
            label="Compare",
            icon=":material/compare_arrows:",
            query_params={"with": pair, **in_page_link()},
        )


def copies(target: Target, window: TimeRange) -> None:
    """The menu: the page as a link, a badge, an API call and a file, and the month's report."""
    name = quote(target.name, safe="")
    badge = (
        f"[![{_plain(target.name)}: uptime]({BASE}badge/{name}.svg)]({BASE}model?{urlencode({'target': target.name})})"
    )
    since, until = cache.rounded(window.since, MINUTE_MS), None if window.is_live else window.until
    selection = Selection(since, until, (target.name,))
    items = [CopyItem("Link to this view", PAGE), CopyItem("Markdown badge", badge)]
    items += [CopyItem("curl (API)", curl(target.name, since, until))]
    links = [
        MenuLink("CSV of these probes", download_link("probes", selection), is_download=True),
        MenuLink("Report of this month", report_link(target.name)),
    ]
    st.html(copy_menu(items, links), width="content")


def curl(name: str, since: int, until: int | None) -> str:
    """The command that requests a range's summary from the API (milliseconds UTC; null: until now)."""
    span = {"from": since} | ({"to": until} if until is not None else {})
    query = urlencode({name: iso(moment).replace("+00:00", "Z") for name, moment in span.items()}, safe=":")
    token = '-H "Authorization: Bearer $UPTOKEN_API_TOKENS" ' if access.guard() != "none" else ""
    address = f"{BASE}api/v1/targets/{quote(name, safe='')}/summary?{query}"
    return f"curl {token}{shlex.quote(address)}"


def _plain(name: str) -> str:
    """A name, escaped for the square brackets of a Markdown link."""
    return "".join(f"\\{letter}" if letter in "[]\\`*_<>" else letter for letter in name)
