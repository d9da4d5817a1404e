"""The path below which the dashboard is served: Streamlit's `server.baseUrlPath`."""

from __future__ import annotations

from pages.queries.source import base_path


def path_below_base(path: str) -> str | None:
    """A request's path without the base and the slash after it; null for a path outside the base."""
    base = base_path()
    if path == base:
        return ""
    return path.removeprefix(f"{base}/") if path.startswith(f"{base}/") else None
