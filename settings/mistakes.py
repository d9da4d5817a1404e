"""What is wrong in a `targets.toml`, in words: where, which key, and what would be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from settings.secrecy import looks_secret
from settings.sections import SECTIONS, SEVERAL
from settings.unknown_keys import suggestion, value_suggestion

NO_VARIABLE = (
    "this is the name of the environment variable that holds the key, such as ACME_API_KEY, not the key itself"
)
_PLAINER = {
    "tuple_type": 'write a list, such as ["a", "b"]',
    "dict_type": 'write a table, such as {X-Title = "Uptoken"}',
}
_NEEDED = {
    "name": "its name on the dashboard",
    "model": "the model's name as the server knows it, such as google/gemma-3-1b-it:free",
    "base_url": "the URL of its API, such as https://openrouter.ai/api/v1",
    "targets": "the names of the targets that serve it",
    "on": 'what it is about, such as ["down", "recovered"]',
    "to": "the names of the channels that get it",
    "type": "webhook, smtp or apprise",
}
_TOLD_APART_BY = {"target": "name", "route": "model", "maintenance": "name", "channel": "name", "workload": "name"}
"""Of sections that there are several of, the key that tells them apart, where there is one."""
_KEYS = {"": list(SECTIONS), **{name: list(model.model_fields) for name, model in SECTIONS.items()}}


def place_of(path: Path, line: int | None) -> str:
    """The file, and the line where it is known."""
    return f"{path}, line {line}" if line else str(path)


def describe(error: Any, raw: dict[str, Any], text: str, path: Path) -> str:
    """One finding of pydantic's as a sentence that says where, what and what would be right."""
    location = tuple(part for part in error["loc"])
    where = place_of(path, line_of(text, location))
    owner = owner_place(location)
    what = owner_of(owner, raw) if len(location) > 1 or error["type"] != "extra_forbidden" else "the file"
    key = ".".join(str(part) for part in location[len(owner) :])
    if error["type"] == "extra_forbidden":
        return f"{where}: {what} has no {key or location[-1]!r}{_nearest(location)}"
    if error["type"] == "missing":
        return f"{where}: {what} needs {key} ({_needed(owner, key)})"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":  # it may be the key itself, so it is not shown
        return f"{where}: {what}, {key}: {NO_VARIABLE}"
    message = _PLAINER.get(error["type"], message)
    said = error.get("input")
    shown = "" if error["type"] == "value_error" or isinstance(said, dict | list) else f"{said!r:.80}: "
    if error["type"] == "literal_error":
        message += value_suggestion(key, said)
    if len(location) == 1 and location[0] in SEVERAL and isinstance(said, dict):
        message = f"start each {location[0]} with a line [[{location[0]}]], in double brackets"
    return f"{where}: {what}{', ' + key if key else ''}: {shown}{message[:1].lower()}{message[1:]}"


def _needed(owner: tuple[Any, ...], key: str) -> str:
    if owner[:1] == ("route",) and key == "model":
        return "the name that clients ask for"
    if owner[:1] == ("channel",) and key == "name":
        return "the name by which an [[alert]] calls it"
    return _NEEDED.get(key, "it has no default")


def owner_place(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of a place that names its section."""
    return place[:2] if place[:1] and place[0] in SEVERAL and len(place) > 1 else place[:1]


def owner_of(owner: tuple[Any, ...], raw: dict[str, Any]) -> str:
    """The section or target that a place belongs to, in words."""
    if not owner or owner[0] not in SEVERAL:
        return f"[{owner[0]}]" if owner and isinstance(raw.get(owner[0]), dict) else "the file"
    kind = owner[0]
    if len(owner) < 2 or not isinstance(owner[1], int):
        return f"[[{kind}]]"
    section = raw[kind][owner[1]]
    name = section.get(_TOLD_APART_BY.get(kind, "")) if isinstance(section, dict) else None
    return f"{kind} {owner[1] + 1}" + (f" ({name!r})" if isinstance(name, str) and not looks_secret(name) else "")


def _nearest(location: tuple[Any, ...]) -> str:
    section = str(location[0]) if len(location) > 1 else ""
    return suggestion(section, str(location[-1]), _KEYS) if section in _KEYS else ""


def line_of(text: str, location: tuple[Any, ...]) -> int | None:
    """The line of a key, as far as a look at headers and keys can find it; null where it cannot."""
    wanted = [part for part in location if isinstance(part, str)]
    listed = wanted[:1] and wanted[0] in SEVERAL
    index = location[1] if listed and isinstance((*location, None)[1], int) else None
    section, seen, header_line = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([A-Za-z0-9_.\"' -]+?)\s*\]+", line):
            section = header.group(1)
            seen += [section] == wanted[:1] and line.lstrip().startswith("[[")
            if wanted[:1] == [section] and (index is None or seen == index):
                header_line = number
            if len(wanted) == 1 and section == wanted[0] and (index is None or seen == index):
                return number
            continue
        at_home = section == wanted[0] and (index is None or seen == index) if len(wanted) > 1 else section == ""
        if at_home and re.match(rf"\s*[\"']?{re.escape(wanted[min(1, len(wanted) - 1)])}[\"']?\s*[.=]", line):
            return number
    return header_line
