"""Server-sent events come out the same however the bytes were split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.http.sse import LONGEST_LINE, LineTooLongError, events

STREAM = (
    b"\xef\xbb\xbf: a comment first\r\n\r\n"
    b"data: one\n\n"
    b"event: error\rdata:two\rdata: lines\r\r"
    b"id: 7\r\nretry: 10\r\ndata: caf\xc3\xa9\r\n\r\n"
    b": ping\n\ndata\n\n"
    b"data: the last has no blank line"
)
EXPECTED = [("", "one"), ("error", "two\nlines"), ("", "café"), ("", ""), ("", "the last has no blank line")]


def _said(pieces: list[bytes]) -> list[tuple[str, str]]:
    return [(event.name, event.data) for event in events((float(n), piece) for n, piece in enumerate(pieces))]


def test_the_events_of_a_stream() -> None:
    assert _said([STREAM]) == EXPECTED


@given(st.lists(st.integers(0, len(STREAM))))
def test_any_split_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert _said([STREAM[a:b] for a, b in itertools.pairwise(edges)]) == EXPECTED


@given(st.lists(st.binary(max_size=20)))
def test_any_bytes_at_all_give_the_same_events_when_joined(pieces: list[bytes]) -> None:
    assert _said(pieces) == _said([b"".join(pieces)])


def test_an_event_has_the_stamp_of_the_piece_that_completed_its_data() -> None:
    pieces = [(1.0, b"data: a\n\ndata: b"), (2.0, b"c"), (3.0, b"\n"), (4.0, b"\ndata: d\n\n")]
    assert [(event.at, event.data) for event in events(pieces)] == [(1.0, "a"), (3.0, "bc"), (4.0, "d")]


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(LineTooLongError, match="more than 256 KiB"):
        list(events((0.0, b"x" * 60_000) for _ in range(LONGEST_LINE)))


@pytest.mark.parametrize(
    "loose",
    [b'{"error": {"code": 429}}\n', b'[{\n  "error": {\n    "code": 429\n  }\n}\n]\n'.replace(b"}\n]", b"}]")],
)
def test_json_between_the_events_is_an_event(loose: bytes) -> None:
    said = _said([b"data: one\n\n" + loose + b"data: two\n\n"])
    assert [data for _, data in said] == ["one", loose.decode().strip(), "two"]


def test_a_line_that_is_no_json_and_no_field_says_nothing() -> None:
    assert _said([b"[INFO] warming up\n<!-- hi -->\ndata: one\n\n"]) == [("", "one")]
