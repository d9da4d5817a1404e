"""From a store's URL to a store."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from settings.secrecy import hidden
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
    check_url(url)
    path = sqlite_path(url)
    if path is None:
        from store.clickhouse import ClickHouseStore

        return ClickHouseStore(url, read_only=read_only)
    from store.sqlite import SqliteStore  # the engine loads only when it is chosen

    refuse_unusable(path)
    return SqliteStore(path, read_only=read_only)


def check_url(url: str) -> None:
    """Raises StoreUrlError when no store can have this URL: before any file is named after it."""
    shown = hidden(f"//{url}")[2:]  # a login is one without a scheme, too
    if url.startswith(("clickhouse://", "chdb://")):
        try:
            _ = urlsplit(url).port
        except ValueError:
            raise StoreUrlError(
                f"the store's URL cannot be read ({shown!r}): write clickhouse://user:password@host:8123/database, "
                "with special characters of the password percent-encoded (a / as %2F, an @ as %40)"
            ) from None
        return
    if sqlite_path(url) is None:
        raise StoreUrlError(
            f"no store is known by the URL {shown!r}: write sqlite:///relative/path.db, sqlite:////absolute/path.db or "
            "clickhouse://user:password@host:8123/database"
        )
    if shown != url:
        raise StoreUrlError(f"the store's path has what looks like a key ({shown!r}): give the file another name")
