"""Changing `targets.toml` as a person would: comments, order and spacing stay, and changes can be undone.

The version before a change is backed up in a folder beside the file, under the hash of the version after it. So a
change can be undone only while the file is as the change left it; several are undone newest first. A rename is not
backed up: it moves rows of the store, too, and is undone by renaming back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from settings.target_blocks import UnusualFileError
from settings.targets import DEFAULT_PATH, Config, ConfigError, parse

_NAME_TARGETS = ("route", "maintenance", "workload", "alert")
"""Sections with a list of targets' names."""
_HINTS = {
    errno.EBUSY: "a file that is mounted by itself cannot be replaced; mount its folder, or edit it outside",
    errno.ENOSPC: "free some space and try again",
    errno.EROFS: "its file system is read-only; edit it where it can be written",
}
"""What to do about an error of the system, where it is not about rights."""
KEPT_BACKUPS = 50


@dataclass(frozen=True)
class Edit:
    """A valid change of the file that has not been written yet."""

    path: Path
    before: str
    after: str
    config: Config

    @property
    def id(self) -> str:
        """What `undo_edit` takes."""
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
    """Plan a change without writing it. Raises ConfigError when the file is invalid, or the change would make it so."""
    before = read_config(path)
    if _has_targets(before):
        parse(before, path, os.environ)  # an error that was there before is not blamed on the change
    try:
        after = change(before)
    except (UnusualFileError, ValueError) as problem:
        raise ConfigError(f"{path}: {problem}") from problem
    return Edit(path, before, after, parse(after, path, os.environ))


def _has_targets(text: str) -> bool:
    """Whether there is anything to parse before the first target is added; comments are not."""
    try:
        return "target" in tomllib.loads(text)
    except (ValueError, RecursionError):  # `parse` says what is wrong
        return True


def write_edit(edit: Edit) -> str:
    """Write a change and back up the version before it; returns the ID that undoes it. Raises OSError, and ConfigError
    when the file was changed in the meantime.
    """
    with _explain_errors(edit.path), _lock_folder(edit.path):
        if read_config(edit.path) != edit.before:
            raise ConfigError(f"{edit.path} was changed by somebody else just now: nothing was written, try again")
        _keep(_backup_path(edit.path, edit.id), edit.before)
        _replace(edit.path, edit.after)
    return edit.id


def undo_edit(path: Path, edit_id: str) -> None:
    """Restore the version before a change. Raises ConfigError when the file is no longer as the change left it."""
    with _explain_errors(path), _lock_folder(path):
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
            path.resolve().unlink()
        backup.unlink()


def rename_target(path: Path, old: str, new: str) -> bool:
    """Rename a target, also where routes and other sections name it; false when the file does not have it. Nothing is
    written that would not be valid. Raises ConfigError and OSError.
    """
    with _explain_errors(path), _lock_folder(path):
        changed = _rename_in_text(read_config(path), path, old, new)
        if changed is not None:
            _replace(path, changed)
    return changed is not None


def _rename_in_text(text: str, path: Path, old: str, new: str) -> str | None:
    """The text with the other name; null when no target has the old one. Raises ConfigError."""
    import tomlkit

    parse(text, path, os.environ)
    document: Any = tomlkit.parse(text)
    sections = [section for section in document.get("target", ()) if section["name"] == old]
    if not sections:
        return None
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
    return changed


def _id_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def _backup_path(path: Path, edit_id: str) -> Path:
    file = path.resolve()
    return file.with_name(f"{file.name}.backups") / f"{edit_id}.toml"


@contextmanager
def _lock_folder(path: Path) -> Iterator[None]:
    """One change at a time: the folder is locked, since the file itself is replaced."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    """Make an OSError say which file could not be changed, and what to do."""
    try:
        yield
    except OSError as problem:
        hint = _HINTS.get(problem.errno or 0, "this needs write access to its folder, which also holds the backups")
        at = f": {problem.filename}" if problem.filename else ""
        raise OSError(f"{path} could not be changed ({problem.strerror}{at}): {hint}") from problem


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
    """Replace the file, or the one that a link leads to. It keeps its owner and rights, so that the collector can still
    read what an administrator changed.
    """
    file = path.resolve()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)  # the folder is locked: a process with this ID that died left it
    try:
        before = file.stat() if file.exists() else None
        with os.fdopen(
            os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8", newline=""
        ) as stream:
            stream.write(text)
            stream.flush()
            if before is not None:
                with suppress(PermissionError):  # only root may give a file to somebody else
                    os.fchown(stream.fileno(), before.st_uid, before.st_gid)
                os.fchmod(stream.fileno(), before.st_mode & 0o777)
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
