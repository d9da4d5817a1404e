"""Options that were renamed: a link with the old name still selects them."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st


def adopt_renamed(key: str, renamed: Mapping[str, str]) -> None:
    """Before the control `key` is drawn: Streamlit drops a name in the address that is none of its options."""
    written = st.query_params.get(key)
    if key not in st.session_state and written is not None and written in renamed:
        st.session_state[key] = renamed[written]
