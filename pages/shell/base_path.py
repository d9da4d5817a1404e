"""Where the dashboard is, on a server that has other things beside it: Streamlit's `server.baseUrlPath`."""

from __future__ import annotations

import streamlit as st


def path_below_base(path: str) -> str | None:
    """A request's path without the base and the slash behind it; null for a path that is elsewhere."""
    base = f"/{st.get_option('server.baseUrlPath') or ''}".rstrip("/")
    if path == base:
        return ""
    return path.removeprefix(f"{base}/") if path.startswith(f"{base}/") else None
