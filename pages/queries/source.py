"""Where the dashboard's rows are. A viewer cannot change it."""

from __future__ import annotations

import streamlit as st

from store.url import configured_url


def store_url() -> str:
    """`UPTOKEN_STORE`, else the default store."""
    return configured_url()


def base_path() -> str:
    """Streamlit's `server.baseUrlPath` with a leading slash, such as `/uptoken`; empty without one."""
    path = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""
