"""Changing `targets.toml` as a person would: comments, order and spacing stay, and each change can be undone.

What was there before a change is kept in a folder beside the file, named after what the change made of it. So a change
is undone only while the file is still as the change left it, and several are undone one after the other.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from settings.target_blocks import UnusualFileError
from settings.targets import DEFAULT_PATH, Config, ConfigError, parse

_NAME_TARGETS = ("route", "maintenance", "alert")
"""Sections with a list of targets' names."""
KEPT_BACKUPS = 50


@dataclass(frozen=True)
class Edit:
    """A change of the file that is known to be valid, and not written yet."""

    path: Path
    before: str
    after: str
    config: Config

    @property
    def id(self) -> str:
        """What the change is undone by."""
        return _id_of(self.after)


def config_path(path: Path | None = None) -> Path:
    """`path`, else what `UPTOKEN_CONFIG` names, else `targets.toml`."""
    return path or Path(os.environ.get("UPTOKEN_CONFIG") or DEFAULT_PATH)


def read_config(path: Path) -> str:
    """The file's text; empty where there is none. Raises ConfigError."""
    try:
        return path.read_bytes().decode()  # with its own ends of lines
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} could not be read: {problem}") from problem


def plan_edit(path: Path, change: Callable[[str], str]) -> Edit:
    """What a change would make of the file. Raises ConfigError when the file is not valid, or would not be."""
    before = read_config(path)
    if "[[target]]" in before:
        parse(before, path, os.environ)  # what is wrong already is said as that, not as a fault of the change
    try:
        after = change(before)
    except (UnusualFileError, ValueError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem
    return Edit(path, before, after, parse(after, path, os.environ))


def write_edit(edit: Edit) -> str:
    """Put a change in force, and keep what was there; returns the ID that undoes it. Raises ConfigError when the file
    was changed meanwhile, and OSError.
    """
    with _locked(edit.path), _explained(edit.path):
        if read_config(edit.path) != edit.before:
            raise ConfigError(f"{edit.path} was changed by somebody else just now: nothing was written, try again")
        _keep(_backup_path(edit.path, edit.id), edit.before)
        _replace(edit.path, edit.after)
    return edit.id


def undo_edit(path: Path, edit_id: str) -> None:
    """Bring back what was there before a change. Raises ConfigError when the file is not as the change left it."""
    with _locked(path), _explained(path):
        backup = _backup_path(path, edit_id)
        if not edit_id.isalnum() or not backup.is_file():
            raise ConfigError(f"no change of {path} has the ID {edit_id!r}")
        if _id_of(read_config(path)) != edit_id:
            raise ConfigError(
                f"{path} was changed since, so that undoing would take more back: the version before is {backup}"
            )
        if before := backup.read_bytes().decode():
            _replace(path, before)
        else:  # the change had made the file
            path.unlink()
        backup.unlink()


def rename_target(path: Path, old: str, new: str) -> bool:
    """Give a target of the file another name, also where routes and other sections name it; false when it has no such
    target. The file is replaced as a whole, once it is known to be valid. Raises ConfigError and OSError.
    """
    import tomlkit

    text = path.read_bytes().decode()
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
    with _locked(path):
        _replace(path, changed)
    return True


def _id_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def _backup_path(path: Path, edit_id: str) -> Path:
    file = path.resolve()
    return file.with_name(f"{file.name}.backups") / f"{edit_id}.toml"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time: the folder is locked, since the file itself is replaced."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """An error of the system says of what, and what to do."""
    try:
        yield
    except OSError as problem:
        raise OSError(
            f"{path} could not be changed ({problem.strerror}: {problem.filename}): this needs the right to write into "
            "its folder, where the version before is kept, too"
        ) from problem


def _keep(backup: Path, text: str) -> None:
    backup.parent.mkdir(mode=0o700, exist_ok=True)
    backup.unlink(missing_ok=True)
    with os.fdopen(
        os.open(backup, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8", newline=""
    ) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    by_age = sorted(backup.parent.glob("*.toml"), key=lambda each: each.stat().st_mtime_ns)
    for old in by_age[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    """Where the path is a link, the file that it leads to."""
    file = path.resolve()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
