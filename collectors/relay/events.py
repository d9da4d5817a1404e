"""A stream of server-sent events as raw bytes, one event at a time, so that what is not changed passes as it came."""

from __future__ import annotations

import re

from collectors.http.sse import Event, events

LARGEST_EVENT_BYTES = 16 * 1024 * 1024
"""An image in base64 is one event."""
_END = re.compile(rb"\n\n|\r\n\r\n|\r\r|\n\r\n|\r\n\n")
_LONGEST_END = 4


class EventTooLargeError(ValueError):
    """An event larger than any that a model server should send."""


class EventSplitter:
    """Splits a stream into its events, however the bytes arrive. Joined, the events and `rest` are the stream."""

    def __init__(self) -> None:
        self.rest = b""
        """The beginning of an event whose blank line has not come yet."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that are complete with this piece, each with its blank line. Raises EventTooLargeError."""
        data = self.rest + piece
        searched = max(0, len(self.rest) - _LONGEST_END)
        complete: list[bytes] = []
        start = 0
        for end in _END.finditer(data, searched):
            if end.group() == b"\r\r" and end.end() < len(data) and data[end.end()] == 0x0A:
                continue  # \r\r\n: the second line ends with \r\n
            complete.append(data[start : end.end()])
            start = end.end()
        self.rest = data[start:]
        if len(self.rest) > LARGEST_EVENT_BYTES:
            raise EventTooLargeError(f"an event of more than {LARGEST_EVENT_BYTES // 2**20} MiB")
        return complete


def parse_event(raw: bytes) -> Event | None:
    """The event in these bytes; null where they hold none, as comments do."""
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.count(b"\n") == 2 and b"\r" not in raw:
        return Event(0.0, "", raw[6:-2].decode("utf-8", "replace"))
    try:
        return next(events([(0.0, raw)]), None)
    except ValueError:  # a line longer than probes read: what it says is in its data fields all the same
        lines = [line for line in re.split(rb"\r\n|\n|\r", raw) if line.startswith(b"data:")]
        return Event(0.0, "", b"\n".join(line[5:].removeprefix(b" ") for line in lines).decode("utf-8", "replace"))


def with_data(raw: bytes, data: bytes) -> bytes:
    """The event with other data (one line of JSON), its other fields and line ends as they were."""
    lines = re.split(rb"(\r\n|\n|\r)", raw)
    pairs = list(zip(lines[::2], [*lines[1::2], b""], strict=False))
    changed: list[bytes] = []
    has_data = False
    for line, end in pairs:
        if not line.startswith(b"data:"):
            changed.append(line + end)
        elif not has_data:
            has_data = True
            changed.append(b"data: " + data + end)
    return b"".join(changed)
