"""Every string of a package that a reader may see, as one list, to be read aloud.

python benchmarks/studies/ui_strings.py [PACKAGE]        pages, if none is named
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROSE = re.compile(r"[A-Za-z]{2,} [A-Za-z]|^[A-Z][a-z]")
MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}")


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string with words in it, docstrings left out."""
    tree = ast.parse(source)
    skipped = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(map(id, node.values))
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
                if isinstance(part, ast.Constant | ast.FormattedValue)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
        if PROSE.search(MARKUP.sub("", text)):
            yield node.lineno, text  # type: ignore[attr-defined]


def main() -> None:
    for path in sorted(Path(sys.argv[1] if len(sys.argv) > 1 else "pages").rglob("*.py")):
        for line, text in sorted(strings(path.read_text())):
            print(f"{path}:{line}: {text!r}")


if __name__ == "__main__":
    main()
