"""Which targets are not probed because a person said so: paused in the store, or in a maintenance window."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from settings.maintenance import describe, window_at
from settings.targets import ProbeTarget
from store import Store, StoreError
from store.formats import iso
from store.schema import PAUSES, Pause


class Pauses:
    """The pauses in the store, read again in each tick: another process makes and ends them."""

    def __init__(self, store: Store | None) -> None:
        """Raises StoreError."""
        self._store = store
        self._by_target: dict[str, list[Pause]] = {}
        self._read()

    def refresh(self) -> None:
        """Read them again; those that are known stay in force while the store cannot be read."""
        with suppress(StoreError):
            self._read()

    def _read(self) -> None:
        by_target: dict[str, list[Pause]] = defaultdict(list)
        for row in self._store.read(PAUSES) if self._store is not None else ():
            pause = Pause(*row)
            by_target[pause.target].append(pause)
        self._by_target = by_target

    def reason(self, target: ProbeTarget, at: int) -> str | None:
        """Why a target is not probed at a moment (milliseconds UTC); null when it is."""
        for pause in self._by_target.get(target.name, ()):
            if pause.contains(at):
                until = "until it is resumed" if pause.ends_at is None else f"until {iso(pause.ends_at)}"
                return f"paused {until}{f': {pause.reason}' if pause.reason else ''}"
        window = window_at(target.maintenance, at) if target.maintenance else None
        return None if window is None else describe(window)
