"""A VFS that notes every write and sync, and the disks that a power cut could have left.

What was written before a file's last sync is there. Of what came after it, each write may be there, missing, or torn at
a sector, whatever the order in which it was made. A file that was deleted is gone with the next sync of any other: a
file system that keeps a journal brings its own changes to the disk in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


@dataclass(frozen=True)
class Event:
    """`write`, `truncate`, `sync` or `delete` of a file, or `told`: the program said that a tick is recorded."""

    kind: str
    file: str
    at: int = 0
    data: bytes = b""


@dataclass
class Tape:
    """What happened, in order."""

    events: list[Event] = field(default_factory=list)

    def told(self, tick: int) -> None:
        """Note that a tick was said to be recorded."""
        self.events.append(Event("told", "", tick))

    def ticks_told(self, until: int) -> set[int]:
        """Those that were told before an event."""
        return {event.at for event in self.events[:until] if event.kind == "told"}

    def disk_after(self, until: int, chance: random.Random) -> dict[str, bytes]:
        """The files as a power cut before event `until` could have left them."""
        disk: dict[str, bytes] = {}
        happened = list(enumerate(self.events[:until]))
        last_sync = max((n for n, event in happened if event.kind == "sync"), default=-1)
        for name in sorted({event.file for _, event in happened if event.file}):
            mine = [(n, event) for n, event in happened if event.file == name]
            certain = max(
                (n for n, event in mine if event.kind == "sync" or (event.kind == "delete" and n < last_sync)),
                default=-1,
            )
            content = bytearray()
            for n, event in mine:
                if n <= certain:
                    _apply(content, event)
            loose = [event for n, event in mine if n > certain]
            chance.shuffle(loose)
            for event in loose:
                fate = chance.random()
                if fate < 0.4:
                    _apply(content, event)
                elif fate < 0.7 and event.kind == "write" and len(event.data) > SECTOR:
                    _apply(content, _torn(event, chance))
            disk[name] = bytes(content)
        return disk


def _torn(event: Event, chance: random.Random) -> Event:
    cut = chance.randrange(SECTOR, len(event.data), SECTOR)
    if chance.random() < 0.5:
        return Event("write", event.file, event.at, event.data[:cut])
    return Event("write", event.file, event.at + cut, event.data[cut:])


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "write":
        if len(content) < event.at:
            content.extend(bytes(event.at - len(content)))
        content[event.at : event.at + len(event.data)] = event.data
    elif event.kind == "truncate":
        del content[event.at :]
        content.extend(bytes(max(0, event.at - len(content))))
    elif event.kind == "delete":
        content.clear()


class _Vfs(apsw.VFS):
    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> Any:
        return _File(self._tape, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        self._tape.events.append(Event("delete", Path(name).name))
        super().xDelete(name, sync)


class _File(apsw.VFSFile):
    def __init__(self, tape: Tape, name: Any, flags: Any) -> None:
        self._tape = tape
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(filename).name if filename else ""
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._tape.events.append(Event("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._tape.events.append(Event("truncate", self._name, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._tape.events.append(Event("sync", self._name))
        super().xSync(flags)


@contextmanager
def recording(wal_pages: int) -> Iterator[Tape]:
    """Note what every new connection writes. It checkpoints each `wal_pages` pages, so that the tape has many of them,
    and holds the file for itself: a VFS in Python has no shared memory.
    """
    tape = Tape()
    vfs = _Vfs(tape)

    def alone(connection: apsw.Connection) -> None:
        connection.execute(f"PRAGMA locking_mode=EXCLUSIVE; PRAGMA wal_autocheckpoint={wal_pages}")

    apsw.connection_hooks.append(alone)
    try:
        yield tape
    finally:
        apsw.connection_hooks.remove(alone)
        vfs.unregister()
