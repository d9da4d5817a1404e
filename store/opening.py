"""From a store's URL to a store."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from store.paths import refuse_unusable, sqlite_path
from store.protocol import Store, StoreUrlError

DEFAULT_URL = "sqlite:///data/uptoken.db"


def open_store(url: str | None = None, *, read_only: bool = False) -> Store:
    """Open the store at `url`, else at `UPTOKEN_STORE`, else `sqlite:///data/uptoken.db`.

    URLs are written as SQLAlchemy writes them: `sqlite:///relative/path`, `sqlite:////absolute/path`, and for a fleet
    `clickhouse://user:password@host:8123/database` or `chdb:////absolute/path`.
    Raises StoreUrlError when the URL is none that is known, StoreError when the store is not usable.
    """
    url = url or os.environ.get("UPTOKEN_STORE") or DEFAULT_URL
    if url.startswith(("clickhouse://", "chdb://")):
        try:
            _ = urlsplit(url).port
        except ValueError:  # its words could have a part of the password
            raise StoreUrlError(
                "the store's URL has no port that can be: write clickhouse://user:password@host:8123/database, special "
                "characters of the password percent-encoded"
            ) from None
        from store.clickhouse import ClickHouseStore

        return ClickHouseStore(url, read_only=read_only)
    path = sqlite_path(url)
    if path is None:
        raise StoreUrlError(
            f"no store is known by the URL {url!r}: write sqlite:///relative/path.db, sqlite:////absolute/path.db or "
            "clickhouse://user:password@host:8123/database"
        )
    from store.sqlite import SqliteStore  # the engine loads only when it is chosen

    refuse_unusable(path)
    return SqliteStore(path, read_only=read_only)
