"""Options that were renamed: a link with the old name still selects them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def adopt_renamed(key: str, renamed: Mapping[str, str], into: str | None = None) -> None:
    """Before a control is drawn: Streamlit drops a name in the address that is none of its options. `key` is the
    parameter that a link has, `into` the control where that is another one now.
    """
    written, control = st.query_params.get(key), into or key
    if control not in st.session_state and written is not None and written in renamed:
        st.session_state[control] = renamed[written]
