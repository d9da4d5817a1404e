"""The script of the pages, `browser.js`, and what it reports to the server."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shell import time_range

WHY = "why"
"""The session's key for what the viewer clicked on to have it explained (`pages.sections.why`)."""
SORT = "sort_clicked"
"""The session's key for the order whose column head the viewer clicked on, until the page has adopted it."""
_MOUNT = st.components.v2.component("uptoken_browser", js=Path(__file__).with_suffix(".js").read_text())


def mount() -> None:
    """Mount the script, once a run."""
    with st.container(key="browser_script"):
        _MOUNT(
            key="browser",
            on_dragged_change=_pick_range,
            on_reset_change=time_range.reset,
            on_why_change=_keep_why,
            on_sort_change=_keep_sort,
        )


def _pick_range() -> None:
    low, high = st.session_state["browser"].dragged
    time_range.pick_local(str(low), str(high))


def _keep_why() -> None:
    st.session_state[WHY] = str(st.session_state["browser"].why)


def _keep_sort() -> None:
    st.session_state[SORT] = str(st.session_state["browser"].sort)
