"""The overview's controls, kept in the address: filter, order, groups and row height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from api import overview_csv
from pages.components import formatting
from pages.components.copy_menu import PAGE, CopyItem, MenuLink, copy_menu
from pages.components.states import WORDS
from pages.queries.overview_rows import NOT_UP, ORDERS, Layout, RowFilter
from pages.queries.time_range import TimeRange
from pages.sections.overview_table import count_lines, most_rows
from pages.shell import browser, workload
from routing.workload import Workload
from stats.incidents import Status
from store.schema import Target

FEW = 8
"""Up to this many targets fit on a screen and need no search."""
MANY = 20
"""Above this many targets, rows are compact by default."""
STATUSES: tuple[Status, ...] = ("down", "degraded", "not_counted", "stale", "never", "paused", "waiting", "disabled")
SHOWN = {"all": "", "not up": NOT_UP} | {WORDS[status]: status for status in STATUSES}
"""Options of the control, and the filter that each stands for."""


@dataclass(frozen=True)
class OverviewForm:
    """The values of the controls."""

    row_filter: RowFilter
    layout: Layout
    size: Workload | None


def controls(targets: Sequence[Target], window: TimeRange) -> OverviewForm:
    """The search (where the targets do not fit on a screen), the order, the view, the workload, and what to copy."""
    _adopt_old_toggle()
    _adopt_clicked_head()
    if not targets:
        return OverviewForm(RowFilter(), Layout(), None)
    with st.container(horizontal=True, vertical_alignment="center", key="find_row"):
        form = _form(targets) if len(targets) > 1 else OverviewForm(RowFilter(), Layout(), workload.control())
        _copies(form, window)
    return form


def _copies(form: OverviewForm, window: TimeRange) -> None:
    """The menu: the view as a link, and its rows as a file."""
    rows = overview_csv.link(window, form.row_filter, form.layout, form.size)
    items = [CopyItem("Link to this view", PAGE)]
    st.html(copy_menu(items, [MenuLink("CSV of these rows", rows, is_download=True)]), width="content")


def _form(targets: Sequence[Target]) -> OverviewForm:
    text = _search(len({target.name for target in targets})) if len(targets) > FEW else ""
    order = st.selectbox(
        "Sort",
        ORDERS,
        key="sort",
        bind="query-params",
        label_visibility="collapsed",
        width=168,
    )
    with st.popover("View", icon=":material/tune:"):
        words = st.selectbox("Show targets", list(SHOWN), key="show", bind="query-params")
        is_reversed = st.toggle("Best first", key="reverse", bind="query-params", help=_ORDER_HELP)
        is_compact = st.toggle("Compact rows", len(targets) > MANY, key="compact", bind="query-params")
        by_tag = any(target.tags for target in targets) and st.toggle("Group by tag", key="by_tag", bind="query-params")
        by_location = len({target.location for target in targets}) > 1 and st.toggle(
            "By location", key="by_location", bind="query-params"
        )
        layout = Layout(order, is_reversed, is_compact, by_tag, by_location)
        everything = count_lines(targets, layout) > most_rows(layout) and st.toggle(
            "All rows", key="all_rows", bind="query-params"
        )
    size = workload.control()
    if SHOWN[words]:
        st.button(f"Only: {words}", icon=":material/close:", help="Show all targets", on_click=_show_all)
    return OverviewForm(RowFilter(text, SHOWN[words], everything), layout, size)


_ORDER_HELP = (
    "By default, targets that need attention come first: down, lowest uptime, highest p95, lowest speed, highest "
    "price. Unknown values are always last."
)


def row_limit_note(count: int, form: OverviewForm) -> None:
    """Say how many rows are not drawn, and how to see them."""
    most = most_rows(form.layout)
    if count > most and not form.row_filter.everything:
        st.caption(
            f"The first {formatting.count(most)} of {formatting.count(count)}. Search, or choose “All rows” under View."
        )


def _search(count: int) -> str:
    return st.text_input(
        "Find",
        key="find",
        bind="query-params",
        placeholder=f"Search {count} targets by name, model or tag",
        label_visibility="collapsed",
        width=320,
        live="250ms",
    )


def _show_all() -> None:
    st.session_state["show"] = "all"


def _adopt_clicked_head() -> None:
    """Sort by the column whose head was clicked; a second click reverses the order."""
    order = st.session_state.pop(browser.SORT, None)
    if order in ORDERS:
        is_second = st.session_state.get("sort") == order
        st.session_state["reverse"] = is_second and not st.session_state.get("reverse", False)
        st.session_state["sort"] = order


def _adopt_old_toggle() -> None:
    """Read the parameter of old links."""
    if st.query_params.get("troubled") == "true" and "show" not in st.session_state:
        st.session_state["show"] = "not up"
    st.query_params.pop("troubled", None)
