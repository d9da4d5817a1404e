"""Which targets the `targets` and `tags` of a section mean: names, patterns with `*`, and tags."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of these, or fits one that has a `*`."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def selects(patterns: Iterable[str], wanted_tags: Iterable[str], name: str, tags: Iterable[str]) -> bool:
    """Whether a target is named, or has one of the tags."""
    return matches(name, patterns) or not set(wanted_tags).isdisjoint(tags)


def idle_parts(
    patterns: Iterable[str], wanted_tags: Iterable[str], names: Collection[str], tags: Collection[str]
) -> Iterator[str]:
    """What no target has, in words; nothing while there are no targets. `names` and `tags`: of all targets."""
    if names:
        yield from (f"names {one!r}" for one in patterns if not any(matches(name, [one]) for name in names))
        yield from (f"has the tag {tag!r}" for tag in wanted_tags if tag not in tags)
