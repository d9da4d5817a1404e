"""Where the dashboard's rows are. A viewer cannot change it."""

from __future__ import annotations

import os

from store import DEFAULT_URL


def store_url() -> str:
    """`UPTOKEN_STORE`, else the default store."""
    return os.environ.get("UPTOKEN_STORE") or DEFAULT_URL
