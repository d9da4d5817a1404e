"""How a CSV file separates fields and writes numbers: as `export` does, or as a spreadsheet saved it again."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

from store.formats import FileError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MARKED = re.compile(r"[+-]?\d*([.,])\d*(?:[eE][+-]?\d+)?")
_LONGEST_HEADER = 65_536


@dataclass
class CsvDialect:
    """The separator of a CSV file; `has_mark`: it begins with a byte order mark. The decimal mark follows from the
    first number that has one.
    """

    name: str
    separator: str = ","
    has_mark: bool = False
    _decimal: str | None = field(default=None, init=False)
    _decimal_line: int = field(default=0, init=False)

    def plain_number(self, column: str, text: str, line: int) -> str:
        """A number with a decimal point, in a file whose separator is not the comma. Raises FileError when the file has
        both decimal points and decimal commas: then neither can be trusted.
        """
        found = _MARKED.fullmatch(text)
        if found is None:
            return text
        if self._decimal not in (None, found[1]):
            here, there = ("point", "comma") if found[1] == "." else ("comma", "point")
            raise FileError(
                f"{self.name}, line {line}: {column} is {text[:40]!r}, with a decimal {here}, and line "
                f"{self._decimal_line} has a decimal {there}: save the file with one of them; nothing was imported"
            )
        if self._decimal is None:
            self._decimal, self._decimal_line = found[1], line
        return text.replace(",", ".")

    def description(self) -> str | None:
        """How the file differs from what `export` writes, in one sentence; null when it does not."""
        parts = ["a byte order mark"] if self.has_mark else []
        parts += [f"{_SEPARATORS[self.separator]} between fields"] if self.separator != "," else []
        parts += ["decimal commas"] if self._decimal == "," else []
        if not parts:
            return None
        *most, last = parts
        return f"{self.name} was read as saved by a spreadsheet, with {', '.join(most)}{' and ' if most else ''}{last}"


def detect_dialect(path: Path) -> CsvDialect:
    """Detect the dialect by the first line, whose names contain no separator. Raises FileError and OSError."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_HEADER)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError(f"{path.name} is UTF-16 text: save it as CSV in UTF-8")
    found = [separator for separator in _SEPARATORS if separator.encode() in first]
    if len(found) > 1:
        names = " and ".join(_SEPARATORS[separator] for separator in found)
        raise FileError(f"{path.name}, line 1: the header has {names}: save the file with one of them between fields")
    return CsvDialect(path.name, found[0] if found else ",", first.startswith(codecs.BOM_UTF8))
