"""Keys in places of the configuration that are kept with the history and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from settings.mistakes import NO_VARIABLE, line_of, owner_of, owner_place, place_of
from settings.secrecy import looks_secret
from settings.sections import checked_url


def misplaced_secrets(raw: Mapping[str, Any], text: str, path: Path) -> list[str]:
    """A sentence for each text that looks like a key, the values of headers excepted."""
    return [
        _describe_secret(place, raw, text, path)
        for place, words in _texts(raw)
        if looks_secret(words) and not _is_refused_url(place, words) and place != ("collector", "heartbeat_url")
    ]


def _texts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text below a value with its place, keys included."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield place, name
            if not (place[:1] == ("target",) and place[2:] == ("headers",)):
                yield from _texts(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, number))


def _is_refused_url(place: tuple[Any, ...], words: str) -> bool:
    """Whether it is a base URL that has a sentence of its own."""
    try:
        return place[-1:] == ("base_url",) and not checked_url(words)
    except ValueError:
        return True


def _describe_secret(place: tuple[Any, ...], raw: Mapping[str, Any], text: str, path: Path) -> str:
    known = next((end for end in range(len(place), 0, -1) if not any(looks_secret(str(p)) for p in place[:end])), 0)
    place = place[:known]
    line = line_of(text, place) if place else None
    owner = owner_place(place)
    what = owner_of(owner, dict(raw))
    key = ".".join(str(part) for part in place[max(len(owner), 1) :] if not isinstance(part, int))
    if key.endswith("_env"):
        return f"{place_of(path, line)}: {what}, {key}: {NO_VARIABLE}"
    names = "url_env" if place[:1] == ("channel",) else "api_key_env"
    return (
        f"{place_of(path, line)}: {what}{', ' + key if key else ''}: this looks like a key, and would be stored and "
        f"shown: put it in an environment variable and name that with {names}. It has been in a file, so "
        "consider replacing it"
    )
