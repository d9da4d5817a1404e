"""What is wrong between the sections of a file, each of which is right by itself."""

from __future__ import annotations

from collections.abc import Iterator

from settings.mistake import Finding
from settings.sections import File
from settings.target_selection import idle_parts


def file_findings(file: File) -> Iterator[Finding]:
    """Everything about targets and maintenance."""
    yield from _target_findings(file)
    yield from _idle_maintenance(file)


def _target_findings(file: File) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for number, section in enumerate(file.target, 1):
        place, which = ("target", number - 1), f"target {number} ({section.name!r})"
        if section.name in seen:
            yield Finding(
                (*place, "name"),
                f"target {number} is named {section.name!r} as target {seen[section.name]} is; "
                "a name is what its history is kept under, so give each its own",
            )
        seen.setdefault(section.name, number)
        if section.api_key_env and section.api_key_file:
            yield Finding(
                (*place, "api_key_file"), f"{which} has its key in api_key_env and in api_key_file: remove one"
            )
        if section.identity and section.base_url == file.openrouter.base_url and section.provider is None:
            yield Finding(  # each check could be of another provider's model
                (*place, "identity"),
                f"{which} has identity and no provider: its router may send each check to another one. Name one with "
                "provider",
            )


def _idle_maintenance(file: File) -> Iterator[Finding]:
    """A name or a tag that no target has: its target would be probed all the same."""
    names, tags = [section.name for section in file.target], {tag for each in file.target for tag in each.tags}
    for number, section in enumerate(file.maintenance, 1):
        if idle := next(idle_parts(section.targets, section.tags, names, tags), None):
            yield Finding(("maintenance", number - 1), f"maintenance {number} {idle}, and no target does")
