"""Which targets a command is for: names, or patterns with `*`, of what the store and the configuration know."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from store import Store

TargetNames = Annotated[
    list[str],
    typer.Argument(metavar="TARGET...", help='Names of targets, or patterns such as "acme/*" (quoted; "*" is all).'),
]


def known_names(store: Store, config: Path | None, *, removed: bool = False) -> list[str]:
    """The targets of the store and of the configuration, if there is a valid one. `removed`: also those that left it,
    and those of which only probes are left. Raises StoreError.
    """
    from store.schema import TARGETS, Target

    rows = [Target(*row) for row in store.read(TARGETS)]
    names = {row.name for row in rows if removed or row.state != "removed"} | set(configured_names(config))
    if removed:
        names |= {series.newest.target for series in store.series()}
    return sorted(names)


def configured_names(config: Path | None) -> list[str]:
    """The names of the targets in the configuration; none where it is missing or wrong."""
    from settings.targets import ConfigError, load

    try:
        return [target.name for target in load(config).all_targets]
    except ConfigError:
        return []


def choose_targets(patterns: Sequence[str], known: Sequence[str]) -> list[str]:
    """The names that are meant. Raises typer.BadParameter for a pattern that fits none."""
    from settings.target_selection import matches

    chosen: list[str] = []
    for pattern in patterns:
        # a name that has a * in it means itself
        found = [pattern] if pattern in known else [name for name in known if matches(name, [pattern])]
        if not found:
            raise typer.BadParameter(no_target(pattern, known), param_hint="TARGET")
        chosen += found
    return list(dict.fromkeys(chosen))


def no_target(name: str, known: Sequence[str]) -> str:
    """There is none: which one may have been meant."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    listed = ", ".join(map(repr, known[:10])) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    hint = f"did you mean {near[0]!r}?" if near else f"there is {listed}" if known else "no target was recorded yet"
    return f"no target is named {name!r}; {hint}"


def in_words(names: Sequence[str]) -> str:
    """`a, b and 3 more`."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
