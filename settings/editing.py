"""Changing `targets.toml` as a person would: comments, order and spacing stay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from settings.targets import DEFAULT_PATH, ConfigError, parse

_NAME_TARGETS = ("route", "maintenance", "alert")
"""Sections with a list of targets' names."""


def config_path(path: Path | None = None) -> Path:
    """`path`, else what `UPTOKEN_CONFIG` names, else `targets.toml`."""
    return path or Path(os.environ.get("UPTOKEN_CONFIG") or DEFAULT_PATH)


def rename_target(path: Path, old: str, new: str) -> bool:
    """Give a target of the file another name, also where routes and other sections name it; false when it has no such
    target. The file is replaced as a whole, once it is known to be valid. Raises ConfigError and OSError.
    """
    import tomlkit

    text = path.read_text(encoding="utf-8")
    parse(text, path, os.environ)
    document: Any = tomlkit.parse(text)
    sections = [section for section in document.get("target", ()) if section["name"] == old]
    if not sections:
        return False
    if any(section["name"] == new for section in document["target"]):
        raise ConfigError(f"{path} has a target {new!r} besides {old!r}: give each its own name")
    for section in sections:
        section["name"] = new
    for kind in _NAME_TARGETS:
        for section in document.get(kind, ()):
            names = section.get("targets", ())
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    changed = tomlkit.dumps(document)
    parse(changed, path, os.environ)
    _replace(path, changed)
    return True


def _replace(path: Path, text: str) -> None:
    """Where the path is a link, the file that it leads to."""
    file = path.resolve()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, file.stat().st_mode & 0o777)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
