"""Compressed copies of files that never change: made once, by a low-priority thread, and kept in a folder."""

from __future__ import annotations

import gzip
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

import brotli

from store.part_files import part_file
from store.private import make_private_folder

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoding:
    """How to compress bytes, and to decompress them."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


ENCODINGS = {
    "br": Encoding(lambda raw: brotli.compress(raw, quality=11, lgwin=24), brotli.decompress),
    "gzip": Encoding(lambda raw: gzip.compress(raw, 9, mtime=0), gzip.decompress),
}
"""By their names in HTTP, the best first. Browsers accept `br` only over HTTPS and on loopback."""


class Copies:
    """Copies of the files `names` below `root`, kept in `folder` and in memory. Until a copy is ready, its file is
    served uncompressed. The first start with a Streamlit version takes 15 seconds of CPU for what the pages need.
    """

    def __init__(self, root: Path, folder: Path, names: Iterable[str]) -> None:
        self._root, self._folder = root, folder
        self._wanted = {name: set(ENCODINGS) for name in names}
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._queue: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def start(self, first: Iterable[str]) -> None:
        """Make these copies first, beginning with gzip, which takes a second for all of them."""
        first = list(first)
        for encoding in reversed(ENCODINGS):
            for name in first:
                self._enqueue(name, encoding)
        threading.Thread(target=self._work, daemon=True, name="compressed copies").start()

    def knows(self, name: str) -> bool:
        """Whether this file has a copy, or will have one."""
        return name in self._wanted

    def get(self, name: str, encoding: str) -> bytes | None:
        """The copy; null if it is not ready, and then it is made for later requests."""
        body = self._bodies.get((name, encoding))
        if body is None:
            self._enqueue(name, encoding)
        return body

    def _enqueue(self, name: str, encoding: str) -> None:
        wanted = self._wanted.get(name, set())
        if encoding in wanted:
            wanted.discard(encoding)
            self._queue.put((name, encoding))

    def _work(self) -> None:
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while True:
            name, encoding = self._queue.get()
            try:
                self._bodies[name, encoding] = self._copy(name, encoding)
            except OSError as problem:
                _LOGGER.info("no compressed copy of %s: %s", name, problem)

    def _copy(self, name: str, encoding: str) -> bytes:
        """The copy in the folder, if it is intact, else a new one. Its name contains the hash of the file's bytes."""
        raw, how = (self._root / name).read_bytes(), ENCODINGS[encoding]
        path = self._folder / f"{Path(name).name}.{sha256(raw).hexdigest()[:16]}.{encoding}"
        with suppress(OSError, EOFError, zlib.error, brotli.error):
            kept = path.read_bytes()
            if how.decompress(kept) == raw:
                return kept
        made = how.compress(raw)
        with suppress(OSError):  # if the folder cannot be written, the copy is kept in memory only
            make_private_folder(self._folder)
            with part_file(path) as part:
                part.write_bytes(made)
        return made
