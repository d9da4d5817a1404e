"""The URL of a store: its one parser, and the engine that it opens."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from settings.secrecy import hidden
from store.paths import refuse_unusable
from store.protocol import Store, StoreUrlError

DEFAULT_URL = "sqlite:///data/uptoken.db"
Engine = Literal["sqlite", "chdb", "clickhouse"]


@dataclass(frozen=True)
class StoreUrl:
    """A store's URL: `text` as it was written, and its parts. `path` is SQLite's file, symbolic links resolved, or the
    folder of the in-process engine; `host` and what follows are a ClickHouse server's.
    """

    text: str = field(repr=False)
    engine: Engine
    path: Path | None = None
    host: str | None = None
    port: int = 8123
    username: str = "default"
    password: str = field(default="", repr=False)
    database: str = "uptoken"
    secure: bool = False
    cluster: str | None = None
    retention_days: int | None = None

    @property
    def file(self) -> Path | None:
        """The file of a SQLite store; null for ClickHouse."""
        return self.path if self.engine == "sqlite" else None

    def __str__(self) -> str:
        """Without the password."""
        return hidden(self.text)


def configured_url(url: str | None = None) -> str:
    """`url`, else `UPTOKEN_STORE`, else the default."""
    return url or os.environ.get("UPTOKEN_STORE") or DEFAULT_URL


def parse_store_url(text: str) -> StoreUrl:
    """Take a URL apart, written as SQLAlchemy writes them: `sqlite:///relative/path`, `sqlite:////absolute/path`, and
    for a fleet `clickhouse://user:password@host:8123/database` or `chdb:////absolute/path`. Raises StoreUrlError.
    """
    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("clickhouse", "chdb"):
        return _parse_clickhouse(text)
    shown = hidden(f"//{text}")[2:]  # also a login in a URL without a scheme
    if scheme != "sqlite" or not rest.startswith("/") or rest == "/":
        raise StoreUrlError(
            f"no store is known by the URL {shown!r}: write sqlite:///relative/path.db, sqlite:////absolute/path.db or "
            "clickhouse://user:password@host:8123/database"
        )
    if shown != text:
        raise StoreUrlError(f"the store's path has what looks like a key ({shown!r}): give the file another name")
    return StoreUrl(text, "sqlite", Path(os.path.realpath(rest[1:])))


def _parse_clickhouse(text: str) -> StoreUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise StoreUrlError(
            f"the store's URL cannot be read ({hidden(text)!r}): write clickhouse://user:password@host:8123/database, "
            "with special characters of the password percent-encoded (a / as %2F, an @ as %40)"
        ) from None
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    days = options.get("retention_days") or None
    if days is not None and not (days.isdecimal() and int(days)):
        raise StoreUrlError(f"the store's URL has retention_days={days!r}: write a number of days, as in 90")
    cluster = options.get("cluster") or None
    retention_days = int(days) if days else None
    if parts.scheme == "chdb":
        folder = Path(unquote(parts.path))
        return StoreUrl(text, "chdb", folder, cluster=cluster, retention_days=retention_days)
    secure = options.get("secure", "0").lower() not in ("0", "false")  # `?secure` alone asks for it, too
    return StoreUrl(
        text,
        "clickhouse",
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/") or "uptoken",
        secure=secure,
        cluster=cluster,
        retention_days=retention_days,
    )


def open_store(url: str | None = None, *, read_only: bool = False) -> Store:
    """Open the store at `url`, else the configured one. Raises StoreUrlError when no store can have this URL, and
    StoreError when the store is not usable.
    """
    parsed = parse_store_url(configured_url(url))
    if parsed.file is None:
        from store.clickhouse import ClickHouseStore

        return ClickHouseStore(parsed, read_only=read_only)
    from store.sqlite import SqliteStore  # the engine loads only when it is chosen

    refuse_unusable(parsed.file)
    return SqliteStore(parsed.file, read_only=read_only)
