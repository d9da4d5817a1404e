"""Where the dashboard is, on a server that has other things beside it: Streamlit's `server.baseUrlPath`."""

from __future__ import annotations

from pages.queries.source import base_path


def path_below_base(path: str) -> str | None:
    """A request's path without the base and the slash behind it; null for a path that is elsewhere."""
    base = base_path()
    if path == base:
        return ""
    return path.removeprefix(f"{base}/") if path.startswith(f"{base}/") else None
