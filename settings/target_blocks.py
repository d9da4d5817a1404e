"""The `[[target]]` blocks of a configuration's text: adding, changing and removing one, with everything else as it is.

tomlkit alone would put a new key after the comment of the next section, and remove that comment with a target. So one
block is cut out of the text, changed and put back, and the result is compared with what the change should produce.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Change = Mapping[str, Any]
"""Keys of a target and their new values; null takes a key out."""

_HEADER = re.compile(r"^[ \t]*\[.*$", re.MULTILINE)
_OWN = re.compile(r"\s*\[\[\s*[\"']?target[\"']?\s*\]\]")
_BELOW = re.compile(r"\s*\[+\s*[\"']?target[\"']?\s*\.")


class UnusualFileError(ValueError):
    """The file is written in a way that cannot be changed safely. The message says what to do."""


@dataclass(frozen=True)
class _Block:
    """Where one `[[target]]` is in the text, without the blank lines and comments that follow it."""

    start: int
    end: int


def toml_of(fields: Mapping[str, Any]) -> str:
    """A target as the file has it: a `[[target]]` with these keys."""
    import tomlkit

    document, targets, table = tomlkit.document(), tomlkit.aot(), tomlkit.table()
    for key, value in fields.items():
        if isinstance(value, Mapping):
            inline = tomlkit.inline_table()
            inline.update(value)
            table[key] = inline
        else:
            table[key] = list(value) if isinstance(value, tuple) else value
    targets.append(table)
    document["target"] = targets
    return tomlkit.dumps(document)


def append_target(text: str, fields: Mapping[str, Any]) -> str:
    """The text with one more target at its end. Raises UnusualFileError."""
    before = tomllib.loads(text)
    added = tomllib.loads(toml_of(fields))["target"]
    end = "\r\n" if "\r\n" in text else "\n"
    block = toml_of(fields).replace("\n", end)
    changed = f"{text.rstrip()}{end}{end}{block}" if text.strip() else block
    return _verify(changed, before | {"target": [*before.get("target", []), *added]})


def change_target(text: str, name: str, change: Change) -> str:
    """The text with other values in one target. Raises UnusualFileError, and KeyError for an unknown name."""
    import tomlkit

    before = tomllib.loads(text)
    number = _number_of(before, name)
    block = _blocks(text, before)[number]
    document: Any = tomlkit.parse(text[block.start : block.end])
    table, plain = document["target"][0], before["target"][number]
    for key, value in change.items():
        if value is None:
            table.pop(key, None)
            plain.pop(key, None)
        else:
            table[key] = plain[key] = list(value) if isinstance(value, tuple) else value
    return _verify(text[: block.start] + tomlkit.dumps(document) + text[block.end :], before)


def remove_target(text: str, name: str) -> str:
    """The text without one target; comments around it stay. Raises UnusualFileError, KeyError."""
    before = tomllib.loads(text)
    number = _number_of(before, name)
    block = _blocks(text, before)[number]
    del before["target"][number]
    head, rest = text[: block.start], text[block.end :]
    if not rest.strip():
        head, rest = f"{head.rstrip()}\n", ""
    elif not head or head.endswith("\n\n"):
        rest = rest.removeprefix("\n")  # one blank line is enough
    if not before["target"]:
        del before["target"]
    return _verify(head + rest, before)


def _number_of(file: Mapping[str, Any], name: str) -> int:
    """Which target of the file has the name. Raises KeyError."""
    names = [target.get("name") for target in file.get("target", ())]
    if name not in names:
        raise KeyError(name)
    return names.index(name)


def _blocks(text: str, file: Mapping[str, Any]) -> list[_Block]:
    """Where each target is. Raises UnusualFileError where the targets are not written as `[[target]]`."""
    headers = _headers(text)
    blocks: list[_Block] = []
    for place, header in enumerate(headers):
        if not _OWN.match(header.group()):
            continue
        later = (each.start() for each in headers[place + 1 :] if not _BELOW.match(each.group()))
        end = next(later, len(text))
        blocks.append(_Block(header.start(), header.start() + len(_without_tail(text[header.start() : end]))))
    if len(blocks) != len(file["target"]):
        raise UnusualFileError("its targets are not all written as [[target]], so this has to be changed by hand")
    return blocks


def _headers(text: str) -> list[re.Match[str]]:
    """The lines that begin a table: one that begins with `[` may also be part of a multi-line string or list, and then
    what lies between it and the header before is not complete.
    """
    headers: list[re.Match[str]] = []
    since = 0
    for found in _HEADER.finditer(text):
        if _is_complete(text[since : found.start()]):
            headers.append(found)
            since = found.start()
    return headers


def _is_complete(part: str) -> bool:
    try:
        tomllib.loads(part)
    except ValueError:
        return False
    return True


def _without_tail(block: str) -> str:
    """Drop the blank lines and comments at the end, which belong to what comes next."""
    lines = block.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "".join(lines)


def _verify(changed: str, expected: Mapping[str, Any]) -> str:
    """The changed text, once it is known to mean what it should. Raises UnusualFileError."""
    try:
        is_right = tomllib.loads(changed) == expected
    except ValueError:
        is_right = False
    if not is_right:
        raise UnusualFileError("it is written in a way that cannot be changed safely: change it by hand")
    return changed
