"""What the browser adds to the pages: see `browser.js`, which is the whole of it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shell import time_range

WHY = "why"
"""Where a page finds what somebody wants to have explained, once (`pages.sections.why`)."""
_MOUNT = st.components.v2.component("uptoken_together", js=Path(__file__).with_suffix(".js").read_text())


def together() -> None:
    """Mount it, once a run; a range that was dragged in a chart becomes the page's own."""
    with st.container(key="together"):
        _MOUNT(key="browser", on_dragged_change=_dragged, on_reset_change=time_range.reset, on_why_change=_asked_why)


def _dragged() -> None:
    low, high = st.session_state["browser"].dragged
    time_range.pick_local(str(low), str(high))


def _asked_why() -> None:
    st.session_state[WHY] = str(st.session_state["browser"].why)
