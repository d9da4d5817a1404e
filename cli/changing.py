"""A store that a command changes beside running collectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from collectors.scheduler.lock import LockedError, LockFile, lock_path, writing
from store import Store, StoreError, open_store
from store.url import parse_store_url

WAIT_S = 30.0


@contextmanager
def changing(url: str, *, derives: bool = False) -> Iterator[Store]:
    """The store at a URL, while `restore`, `repair` and `rebuild` stay away. `derives`: roll-ups are added up again,
    which a server does in several statements: collectors of this machine record nothing meanwhile. Raises StoreError.
    """
    with writing(url), _recording_alone(url) if derives and not parse_store_url(url).file else nullcontext():
        opened = open_store(url)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def _recording_alone(url: str) -> Iterator[None]:
    file = LockFile(lock_path(url))
    try:
        with file.exclusive(WAIT_S):
            yield
    except LockedError as problem:
        raise StoreError(f"{problem}: try again") from problem
    finally:
        file.close()
