"""Questions on a terminal. Without one nothing is asked: an error names the option that is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

MOST_SHOWN = 20


def can_ask() -> bool:
    """Whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str | None = None) -> str:
    """Ask for a line of text."""
    return str(typer.prompt(question, default=default, err=True, show_default=bool(default))).strip()


def confirm(question: str, *, default: bool) -> bool:
    """Ask a yes-or-no question."""
    return typer.confirm(question, default=default, err=True)


def find_matches(models: Sequence[str], text: str) -> list[str]:
    """The models that a part of a name fits; only the model of exactly that name where there is one.

    >>> find_matches(["gemma-3-1b", "gemma-3-27b"], "27B")
    ['gemma-3-27b']
    """
    if text in models:
        return [text]
    words = text.lower().split()
    return [model for model in models if all(word in model.lower() for word in words)]


def choose_model(models: Sequence[str]) -> str:
    """Ask for one of a server's models, by number or part of the name."""
    shown = list(models)
    while True:
        _print_numbered(shown)
        typed = ask("Model: its number, or a part of its name to search", shown[0] if len(shown) == 1 else None)
        if typed.isdecimal() and 1 <= int(typed) <= min(len(shown), MOST_SHOWN):
            return shown[int(typed) - 1]
        found = find_matches(models, typed)
        if len(found) == 1:
            return found[0]
        if not found:
            print(f"no model here has {typed!r} in its name", file=sys.stderr)
        shown = found or list(models)


def choose_several(names: Sequence[str]) -> list[str]:
    """Ask for some of the names, by number or part of the name, or for all."""
    _print_numbered(names)
    while True:
        typed = ask("Which? Numbers or parts of names, separated by commas, or all", "all")
        if typed == "all":
            return list(names)
        chosen: list[str] = []
        for part in filter(None, (part.strip() for part in typed.split(","))):
            is_number = part.isdecimal() and 1 <= int(part) <= len(names)
            found = [names[int(part) - 1]] if is_number else find_matches(names, part)
            if not found:
                print(f"nothing here has {part!r} in its name", file=sys.stderr)
            chosen += found
        if chosen:
            return list(dict.fromkeys(chosen))


def _print_numbered(names: Sequence[str]) -> None:
    for number, name in enumerate(names[:MOST_SHOWN], 1):
        print(f"{number:>4}  {name}", file=sys.stderr)
    if len(names) > MOST_SHOWN:
        print(f"      and {len(names) - MOST_SHOWN} more: type a part of a name to search", file=sys.stderr)
