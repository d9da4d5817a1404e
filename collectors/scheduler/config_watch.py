"""Whether the configuration of a running collector was changed, and whether what it is now can be used."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from settings.targets import Config, ConfigError, load

SETTLED_S = 0.5
"""Files are read when they have been as they are for so long: half of a file may be a configuration, too."""
SURE_AFTER_S = 1.5
"""A file that is wrong is read once more after this before anybody is told."""
AGAIN_S = 10.0
"""And then so often: a key file that only the wrong configuration names may have been what was wrong."""

Stamp = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class Wrong:
    """The files are no configuration: the sentence that says why, and whether it was not said before."""

    why: str
    is_news: bool


class ConfigWatch:
    """Looks at the files of a configuration: its own, and those that hold the keys of its targets and of the relay."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._files = _files(config)
        self._stamp = self._first = self._read_stamp()
        self._read_at = time.monotonic() + SETTLED_S  # it may have been changed since it was read
        self._waits = True
        self._why: str | None = None
        self._said: str | None = None

    @property
    def is_changed(self) -> bool:
        """The files are not those that the watch began with."""
        return self._read_stamp() != self._first

    def look(self, *, at_once: bool = False) -> Config | Wrong | None:
        """The configuration when it is another one by now; null when nothing changed. `at_once`: read it in any case,
        and believe what is there.
        """
        stamp, now = self._read_stamp(), time.monotonic()
        if stamp != self._stamp:
            self._stamp, self._waits, self._read_at, self._why = stamp, True, now + SETTLED_S, None
        if not at_once and (not self._waits or now < self._read_at):
            return None
        try:
            found = load(self._config.path)
        except ConfigError as problem:
            return self._wrong(str(problem), now, is_sure=at_once)
        if self._read_stamp() != stamp:  # changed while it was read: to be settled first
            return None
        self._waits, self._why = False, None
        return found if found != self._config or self._said is not None else None

    def _wrong(self, why: str, now: float, *, is_sure: bool) -> Wrong | None:
        is_sure = is_sure or why == self._why
        self._waits, self._why, self._read_at = True, why, now + (AGAIN_S if is_sure else SURE_AFTER_S)
        if not is_sure:
            return None
        is_news, self._said = why != self._said, why
        return Wrong(why, is_news)

    def take(self, config: Config) -> None:
        """Say that a configuration that was found is in force."""
        self._config, self._files, self._said = config, _files(config), None
        self._stamp, self._waits, self._read_at = self._read_stamp(), True, time.monotonic() + SETTLED_S

    def put_off(self) -> None:
        """Say that a configuration that was found could not be taken over yet."""
        self._waits, self._read_at = True, time.monotonic() + SURE_AFTER_S

    def _read_stamp(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _files(config: Config) -> tuple[Path, ...]:
    relay = config.relay.keys_file if config.relay is not None else None
    keys = (relay, *(target.api_key_file for target in config.all_targets))
    return (config.path, *sorted({file for file in keys if file is not None}))


def _stamp(file: Path) -> tuple[int, ...] | None:
    """What changes with a file that is written to, replaced, or may be read by others from now on."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_dev, found.st_ino, found.st_mode
