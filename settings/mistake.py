"""What a look at a whole file finds wrong, once each section is right by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something wrong in the file: where, as pydantic writes a place, and in one sentence what."""

    place: tuple[str | int, ...]
    sentence: str
