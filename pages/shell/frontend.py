"""Streamlit's frontend: its files, those that the first page of a visit needs, and a document that preloads them.

Streamlit's own document names only what every app needs. The browser loads the code of a page's elements later, when
the script has sent them: over a network each step costs another round trip, and the charts' code alone takes a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import streamlit as st

import pages

ROOT = Path(st.__file__).parent / "static"
SCRIPTS = "static/js"
_CHARTS = "PlotlyChart"
_TABLES = ("DataFrame", "arrowFormatUtils")
_ALWAYS = ("BidiComponent", "Html", "ButtonGroup", "Selectbox", "Multiselect", "Button", "PageLink")
_MORE = {
    "": (_CHARTS,),
    "model": (_CHARTS,),
    "compare": (_CHARTS, "NumberInput"),
    "routing": (_CHARTS, "NumberInput", "Slider", "Checkbox"),
    "catalog": (_CHARTS, *_TABLES, "TextInput", "Checkbox"),
    "alerts": ("Slider",),
    "export": (*_TABLES, "Checkbox"),
}
"""What a page needs besides `_ALWAYS`. Charts only where a page has some: their code is half of everything."""
_ASKED_FIRST = ("_stcore/health", "_stcore/host-config")
"""What the frontend requests before it opens its WebSocket."""
_IMPORTED = re.compile(r"""(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""")
_TEXT = (".js", ".css", ".json", ".svg")


@cache
def page_paths() -> frozenset[str]:
    """The paths of the pages; that of the overview is empty."""
    return frozenset({"", *(path.stem.replace("_", "-") for path in Path(pages.__file__).parent.glob("[!_]*.py"))})


def text_files() -> list[str]:
    """The files that compression makes smaller, relative to `ROOT`."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "static").rglob("*") if path.suffix in _TEXT)


def first_files() -> list[str]:
    """The files that the pages need at first, smallest first: the charts' code takes the longest to compress."""
    named = re.findall(r"\./(static/(?:js|css)/[\w.-]+)", _index())
    names = dict.fromkeys(named + [name for page in _MORE for name in _scripts(page)])
    return sorted(names, key=lambda name: (ROOT / name).stat().st_size)


@cache
def document(page: str) -> bytes:
    """Streamlit's document, with links that preload what this page needs. The charts' code has a low priority."""
    links = [
        *(f'<link rel="preload" as="fetch" crossorigin href="./{path}">' for path in _ASKED_FIRST),
        *(f'<link rel="modulepreload" crossorigin{_priority(name)} href="./{name}">' for name in _scripts(page)),
    ]
    return _index().replace("</head>", "\n".join([*links, "</head>"]), 1).encode()


def _priority(name: str) -> str:
    return ' fetchpriority="low"' if Path(name).name.startswith(f"{_CHARTS}.") else ""


def _index() -> str:
    return (ROOT / "index.html").read_text()


def _scripts(page: str) -> list[str]:
    """The scripts of a page's elements and their imports, except those that the document names already."""
    return _with_imports(_files((*_ALWAYS, *_MORE.get(page, ()))))


def _files(elements: Iterable[str]) -> list[str]:
    """The file of each element, whose name contains a hash."""
    return [str(path.relative_to(ROOT)) for name in elements for path in (ROOT / SCRIPTS).glob(f"{name}.*.js")]


def _with_imports(names: Iterable[str]) -> list[str]:
    index, found, left = _index(), {}, list(names)
    while left:
        name = left.pop(0)
        if name not in found and f'"./{name}"' not in index:
            found[name] = True
            left += [f"{SCRIPTS}/{each}" for each in _imports(name)]
    return list(found)


@cache
def _imports(name: str) -> list[str]:
    return _IMPORTED.findall((ROOT / name).read_text())
