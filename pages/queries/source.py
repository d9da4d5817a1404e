"""Where the dashboard's rows are. A viewer cannot change it."""

from __future__ import annotations

from store.url import configured_url


def store_url() -> str:
    """`UPTOKEN_STORE`, else the default store."""
    return configured_url()
