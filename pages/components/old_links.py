"""Options that were renamed: a link with the old name still selects them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def adopt_renamed(key: str, renamed: Mapping[str, str], into: str | None = None) -> None:
    """Select the new name of an old option. Call it before the control is drawn: Streamlit drops a value in the address
    that is not one of its options. `key` is the link's parameter, `into` the control if it has another key now.
    """
    written, control = st.query_params.get(key), into or key
    if control not in st.session_state and written is not None and written in renamed:
        st.session_state[control] = renamed[written]
