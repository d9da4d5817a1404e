"""Server-sent events from stamped pieces of bytes, as https://html.spec.whatwg.org/multipage/server-sent-events.html
defines them, with what real servers need beside: an event that the end of the body cuts short of its blank line still
counts, so does one whose field name has no space behind it, and so does JSON that stands between the events without a
field name, as servers and proxies write their errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_LINE = 256 * 1024
_OPENING = (b"{", b"[")
_LOOSE = re.compile(rb"\{|\[(?:\{|$)")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


class LineTooLongError(ValueError):
    """A line longer than any server-sent event of a model should be."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: when its last data line was complete (in the stamps' own unit), its name and its data. `complete` is
    false for one whose blank line never came.
    """

    at: float
    name: str
    data: str
    complete: bool = True


def _lines(pieces: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """Each line without its end, and the stamp of the piece that completed it. Raises LineTooLongError."""
    rest = b""
    stamp = 0.0
    after_cr = False
    for stamp, piece in pieces:
        if after_cr and piece:
            piece = piece.removeprefix(b"\n")  # the other half of a \r\n that was split
            after_cr = False
        start = 0
        for end in _END_OF_LINE.finditer(piece):
            yield stamp, rest + piece[start : end.start()]
            rest = b""
            start = end.end()
            after_cr = end.group() == b"\r" and start == len(piece)
        rest += piece[start:]
        if len(rest) > LONGEST_LINE:
            raise LineTooLongError(f"a line of more than {LONGEST_LINE // 1024} KiB")
    if rest:
        yield stamp, rest


def events(pieces: Iterable[tuple[float, bytes]]) -> Iterator[Event]:
    """The events in `pieces`, each a stamp and some bytes, however the bytes are split. Raises LineTooLongError."""
    name, at = "", 0.0
    data: list[str] = []
    loose: list[str] = []
    first = True
    for stamp, line in _lines(pieces):
        if first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            first = False
        if loose or (line[:1] in _OPENING and not data and _LOOSE.match(line)):
            loose.append(line.decode("utf-8", "replace"))
            ends = line[:1] if len(loose) > 1 else line[-1:]
            if not line or ends in (b"}", b"]"):
                yield Event(stamp, name, "\n".join(loose))
                name, loose = "", []
            continue
        if not line:
            if data:
                yield Event(at, name, "\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value.decode("utf-8", "replace"))
            at = stamp
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if data or loose:
        yield Event(at, name, "\n".join(data or loose), complete=False)
