"""What a client's `Accept-Encoding` allows."""

from __future__ import annotations

import pytest

from api.encodings import accepted_encodings


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip, deflate, br, zstd", ["br", "gzip"]),
        ("gzip;q=1.0, BR;q=0.1", ["br", "gzip"]),
        ("gzip", ["gzip"]),
        ("br;q=0, gzip", ["gzip"]),
        ("br; q = 0.000, gzip", ["gzip"]),
        ("*", ["br", "gzip"]),
        ("*;q=0", []),
        ("*, br;q=0", ["gzip"]),
        ("identity", []),
        ("gzip;q=none", []),
        ("", []),
        ("gzipped, brotli", []),
    ],
)
def test_only_what_the_header_allows_is_taken_the_best_first(header: str, takes: list[str]) -> None:
    assert accepted_encodings(header, ("br", "gzip")) == takes
