"""The options that several commands share."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated

import typer

from settings.durations import seconds, shorten
from settings.secrecy import looks_secret
from store.clock import now_ms
from store.formats import moment
from store.schema import TABLES
from store.url import DEFAULT_URL, configured_url, parse_store_url

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The configuration file. [default: $UPTOKEN_CONFIG, else targets.toml]"
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help=f"The store's URL. [default: $UPTOKEN_STORE, else {DEFAULT_URL}]"),
]
TableName = Annotated[str, typer.Argument(metavar="TABLE", help=f"One of {', '.join(TABLES)}.")]


def location() -> str:
    """The name of the place that this collector runs at: `UPTOKEN_LOCATION`, else the host's name."""
    named = as_text(os.environ.get("UPTOKEN_LOCATION") or socket.gethostname())
    if looks_secret(named):
        raise typer.BadParameter(
            "UPTOKEN_LOCATION looks like a key: set it to a name for this location, such as office"
        )
    return named


def as_text(argument: str) -> str:
    """An argument or a variable as UTF-8, also where the locale is another one. Raises typer.BadParameter."""
    try:
        return os.fsencode(argument).decode() if not _is_text(argument) else argument
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{argument!a} is not UTF-8") from None


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in argument)


def store_url(url: str | None) -> str:
    """The store's URL, from the option, the environment or the default. Raises StoreUrlError."""
    configured = configured_url(url)
    parse_store_url(configured)  # before any file is named after it
    return configured


def moment_or_age(text: str | None) -> int | None:
    """`2026-11-24`, `2026-11-24T12:00:00+01:00` or an age as `7d`, as milliseconds UTC. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"[0-9.]+\s*[smhd]", text.strip()):
            return now_ms() - round(seconds(text) * 1_000)
        return moment(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{shorten(text)} is not a time; write 2026-11-24, 2026-11-24T12:00:00+00:00, or an age such as 7d or 12h"
        ) from None
