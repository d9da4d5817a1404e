"""The body of a response, read from the socket in stamped pieces and unpacked afterwards."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from http.client import HTTPException, HTTPResponse

import requests
import urllib3

from collectors.http.connection import Timings
from collectors.http.dialects.base import Dialect, StreamEnd
from collectors.http.own_limits import own_limit
from collectors.http.proxy_failures import keeps_connection
from collectors.http.redaction import root_cause

PIECE_BYTES = 65_536
Piece = tuple[float, bytes]
ZIPPED = ("gzip", "x-gzip", "deflate")


def receive(
    response: requests.Response, most: int, timings: Timings, dialect: Dialect
) -> tuple[list[Piece], str | None]:
    """The body in stamped pieces, and why it ended early, if it did. A piece has the stamp of the moment at which its
    last bytes came out of the socket; what is zipped is unzipped when all of it is here.

    A stream is over at its dialect's own end. What the connection does afterwards is not the response's: it is read on
    for a moment, so that it can be used again, and closed when its end does not come.
    """
    pieces: list[Piece] = []
    size = 0
    end, ended_at = StreamEnd(dialect.end), None
    read1 = _reader(response)
    try:
        while piece := read1(PIECE_BYTES):
            pieces.append((timings.arrived, piece))
            size += len(piece)
            if size > most:
                return _unzip(pieces, response, most)[0], _too_long(most)
            if end.comes_with(piece):
                if ended_at is None:
                    timings.wait_at_most(dialect.after_end_s)
                ended_at, timings.stream_ended = timings.arrived, True
            elif ended_at is not None and timings.arrived - ended_at > dialect.after_end_s:
                return pieces, None
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as problem:
        if ended_at is not None:
            return pieces, None
        if own_limit(problem):
            raise
        return _unzip(pieces, response, most)[0], root_cause(problem)
    missing = getattr(response.raw._original_response, "length", None)
    if missing:
        return _unzip(pieces, response, most)[0], f"the body is {missing} bytes shorter than Content-Length"
    timings.wait_at_most(timings.deadline.remaining_s)
    if not timings.forwarded or keeps_connection(response.headers):
        response.raw.release_conn()  # read to its end, so the next probe can use the connection again
    return _unzip(pieces, response, most)


def _too_long(most: int) -> str:
    return f"the body is longer than {most // 1024} KiB; the rest was not read"


def _reader(response: requests.Response) -> Callable[[int], bytes]:
    """What reads the body as it arrives: `http.client`'s own `read1`, because urllib3's around it takes as much CPU
    again (70 microseconds a read, 18 reads a probe); urllib3's for an encoding that only it knows.
    """
    original = response.raw._original_response
    if isinstance(original, HTTPResponse) and _encoding(response) in ("", "identity", *ZIPPED):
        return original.read1
    return partial(response.raw.read1, decode_content=True)


def _encoding(response: requests.Response) -> str:
    return str(response.headers.get("Content-Encoding", "")).strip().lower()


def _unzip(pieces: list[Piece], response: requests.Response, most: int) -> tuple[list[Piece], str | None]:
    """Each piece as what it holds, up to `most` bytes in all, and what was wrong with it."""
    if _encoding(response) not in ZIPPED:
        return pieces, None
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, whichever it turns out to be
    plain: list[Piece] = []
    left = most
    try:
        for stamp, piece in pieces:
            text = unpacker.decompress(piece, left + 1)
            left -= len(text)
            plain.append((stamp, text[: left + len(text)]))
            if left < 0:
                return plain, _too_long(most)
    except zlib.error as problem:
        return plain, f"the body is not {_encoding(response)} ({problem})"
    return plain, None if unpacker.eof else f"the {_encoding(response)} body is truncated"
