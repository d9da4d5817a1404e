"""The targets of `targets.toml`, for the page that changes them: read every time, because others may edit the file."""

from __future__ import annotations

from dataclasses import dataclass

from pages.queries import cache
from settings.editing import config_path
from settings.secrecy import hidden, redacted
from settings.targets import ConfigError, load
from store import StoreError
from store.clock import now_ms
from store.schema import PAUSES, Pause


@dataclass(frozen=True)
class ConfiguredTarget:
    """One target of the file, without its key."""

    name: str
    model: str
    base_url: str
    api: str
    every_s: float
    tags: tuple[str, ...]
    is_enabled: bool
    missing_key: str | None


@dataclass(frozen=True)
class Configuration:
    """The file: its path, its targets, and its error, if it has one."""

    path: str
    targets: tuple[ConfiguredTarget, ...] = ()
    error: str | None = None
    is_there: bool = True


def configuration() -> Configuration:
    """The configuration where the dashboard runs."""
    path = config_path()
    shown = _shown(str(path))
    if not path.exists():
        return Configuration(shown, is_there=False)
    try:
        loaded = load(path)
    except ConfigError as problem:
        return Configuration(shown, error=_shown(str(problem)))
    targets = (
        ConfiguredTarget(
            target.name,
            target.model,
            target.base_url,
            target.api,
            target.every_s,
            target.tags,
            target.enabled,
            (target.api_key_env or str(target.api_key_file)) if target.waits_for_key else None,
        )
        for target in loaded.all_targets
    )
    return Configuration(shown, tuple(targets))


def _shown(text: str) -> str:
    """Without a key that was put where a path belongs."""
    return redacted(hidden(text))


def pauses(url: str) -> dict[str, Pause]:
    """The pause of each target that is paused now; none without a store."""
    now = now_ms()
    try:
        rows = [Pause(*row) for row in cache.store(url).read(PAUSES)]
    except StoreError:
        return {}
    return {row.target: row for row in rows if row.contains(now)}
