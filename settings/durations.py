"""Durations as people write them: `30s`, `5m`, `1.5h`, `2d`."""

from __future__ import annotations

import math
import re
from typing import Any

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
LONGEST_S = 1e11
"""About three thousand years: what is longer is a slip of the finger, and no number of milliseconds."""
LONGEST_SHOWN = 60


def seconds(value: Any) -> float:
    """The seconds in `30s`, `5m`, `1.5h` or `2d`; a bare number is seconds. Raises ValueError."""
    if isinstance(value, float):
        return value
    number: int | str
    if isinstance(value, int) and not isinstance(value, bool):
        number, unit = value, "s"
    elif isinstance(value, str) and (found := _FORM.fullmatch(value.strip())):
        number, unit = found.group(1), found.group(2)
    else:
        raise ValueError(f"{shorten(value)} is not a duration; write it as 30s, 5m, 1h or 1d")
    try:
        result = float(number) * _SECONDS[unit]
    except OverflowError:
        result = math.inf
    if abs(result) > LONGEST_S:
        raise ValueError(f"{shorten(value)} is too long")
    return result


def shorten(value: Any) -> str:
    """A value as an error shows it."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        shown = "the number"
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"


def in_words(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`, `2 d`: one number and its unit, for a person."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            number = seconds / size
            return f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return f"{seconds:.3g} s"
