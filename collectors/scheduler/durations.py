"""Durations as people write them: `30s`, `5m`, `1.5h`, `2d`."""

from __future__ import annotations

import re
from typing import Any

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def seconds(value: Any) -> float:
    """The seconds in `30s`, `5m`, `1.5h` or `2d`; a bare number is seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write it as 30s, 5m, 1h or 1d")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def in_words(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`, `2 d`: one number and its unit, for a person."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
