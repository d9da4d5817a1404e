"""Whether the configuration of a running collector has changed, and whether the new one is valid."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from settings.targets import Config, ConfigError, load

SETTLED_S = 0.5
"""Files are read when they have not changed for so long: half of a file may be a configuration, too."""
SURE_AFTER_S = 1.5
"""An invalid file is read once more after this, before it is reported."""
AGAIN_S = 10.0
"""And then so often: what was wrong may have been a key file that only the invalid configuration names."""

Stamp = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class InvalidConfig:
    """The files are not a valid configuration: why, and whether that was not reported before."""

    error: str
    is_news: bool


class ConfigWatch:
    """Looks at the files of a configuration: its own, and those that hold the keys of its targets and of the relay."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._files = _files(config)
        self._stamp = self._first = self._read_stamp()
        self._read_at = time.monotonic() + SETTLED_S  # it may have been changed since it was read
        self._waits = True
        self._error: str | None = None
        self._reported: str | None = None

    @property
    def is_changed(self) -> bool:
        """Whether the files differ from those that the watch began with."""
        return self._read_stamp() != self._first

    def look(self, *, at_once: bool = False) -> Config | InvalidConfig | None:
        """The configuration when it has changed; null when not. `at_once`: read it in any case, and do not wait for it
        to settle.
        """
        stamp, now = self._read_stamp(), time.monotonic()
        if stamp != self._stamp:
            self._stamp, self._waits, self._read_at, self._error = stamp, True, now + SETTLED_S, None
        if not at_once and (not self._waits or now < self._read_at):
            return None
        try:
            config = load(self._config.path)
        except ConfigError as problem:
            return self._invalid(str(problem), now, is_sure=at_once)
        if self._read_stamp() != stamp:  # changed while it was read: to be settled first
            return None
        self._waits, self._error = False, None
        return config if config != self._config or self._reported is not None else None

    def _invalid(self, error: str, now: float, *, is_sure: bool) -> InvalidConfig | None:
        is_sure = is_sure or error == self._error
        self._waits, self._error, self._read_at = True, error, now + (AGAIN_S if is_sure else SURE_AFTER_S)
        if not is_sure:
            return None
        is_news, self._reported = error != self._reported, error
        return InvalidConfig(error, is_news)

    def confirm(self, config: Config) -> None:
        """Note that a changed configuration is in force."""
        self._config, self._files, self._reported = config, _files(config), None
        self._stamp, self._waits, self._read_at = self._read_stamp(), True, time.monotonic() + SETTLED_S

    def postpone(self) -> None:
        """Note that a changed configuration could not be applied yet."""
        self._waits, self._read_at = True, time.monotonic() + SURE_AFTER_S

    def _read_stamp(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _files(config: Config) -> tuple[Path, ...]:
    relay = config.relay.keys_file if config.relay is not None else None
    heartbeat = config.collector.heartbeat_url_file
    keys = (
        relay,
        config.path.parent / heartbeat if heartbeat else None,
        *(target.api_key_file for target in config.all_targets),
    )
    return (config.path, *sorted({file for file in keys if file is not None}))


def _stamp(file: Path) -> tuple[int, ...] | None:
    """What changes with a file that is written to, replaced, or may be read by others from now on."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_dev, stat.st_ino, stat.st_mode
