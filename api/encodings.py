"""The content encodings that a client accepts."""

from __future__ import annotations

from collections.abc import Iterable


def accepted_encodings(header: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that an `Accept-Encoding` header accepts, in the order of `known`."""
    takes: dict[str, bool] = {}
    for entry in header.lower().split(","):
        name, _, parameter = entry.partition(";")
        takes[name.strip()] = _weight(parameter) > 0
    return [name for name in known if takes.get(name, takes.get("*", False))]


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
