"""Compressed copies of files that never change: made once, by a thread that stands back, and kept in a folder."""

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
    """How bytes are compressed, and undone."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


ENCODINGS = {
    "br": Encoding(lambda raw: brotli.compress(raw, quality=11, lgwin=24), brotli.decompress),
    "gzip": Encoding(lambda raw: gzip.compress(raw, 9, mtime=0), gzip.decompress),
}
"""By their names in HTTP, the best first. Browsers take `br` over HTTPS and on loopback alone."""


class Copies:
    """Of the files below `root` that are `names`, kept in `folder` and in memory. What is not there yet, is served
    without: 15 seconds of CPU for what the pages need, the first time that this Streamlit runs here.
    """

    def __init__(self, root: Path, folder: Path, names: Iterable[str]) -> None:
        self._root, self._folder = root, folder
        self._wanted = {name: set(ENCODINGS) for name in names}
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._queue: SimpleQueue[tuple[str, str]] = SimpleQueue()

    def start(self, first: Iterable[str]) -> None:
        """Begin with these: gzip takes a second for all of them, so it comes first."""
        first = list(first)
        for encoding in reversed(ENCODINGS):
            for name in first:
                self._ask(name, encoding)
        threading.Thread(target=self._work, daemon=True, name="compressed copies").start()

    def knows(self, name: str) -> bool:
        """Whether there is, or will be, a copy of this file."""
        return name in self._wanted

    def get(self, name: str, encoding: str) -> bytes | None:
        """The copy; null where there is none yet. Then it is made for the next who asks."""
        body = self._bodies.get((name, encoding))
        if body is None:
            self._ask(name, encoding)
        return body

    def _ask(self, name: str, encoding: str) -> None:
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
        """From the folder, if it is there and is what it should be. The name says of which bytes it is a copy."""
        raw, how = (self._root / name).read_bytes(), ENCODINGS[encoding]
        path = self._folder / f"{Path(name).name}.{sha256(raw).hexdigest()[:16]}.{encoding}"
        with suppress(OSError, EOFError, zlib.error, brotli.error):
            kept = path.read_bytes()
            if how.decompress(kept) == raw:
                return kept
        made = how.compress(raw)
        with suppress(OSError):  # a folder that cannot be written: the copy is kept until the process ends
            make_private_folder(self._folder)
            with part_file(path) as part:
                part.write_bytes(made)
        return made
