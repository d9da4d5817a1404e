"""A changed `targets.toml` keeps what its owner wrote around the change."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from settings.editing import KEPT_BACKUPS, Edit, plan_edit, rename_target, undo_edit, write_edit
from settings.target_blocks import append_target, change_target
from settings.targets import ConfigError

TEXT = """# what we run
[collector]
every = "30s"   # half a minute

[[target]]
name = "a" # the old one
model    = "m"
base_url = "http://127.0.0.1:9/v1"

[[target]]
base_url = "http://127.0.0.1:9/v1"
model = "a"
name = 'b'

[[route]]
model = "a"
targets = [
    "b",  # first
    "a",
]

[[maintenance]]
targets = ["a", "b*"]
day = "sunday"
at = "02:00"
for = "2h"

[[workload]]
name = "a"
targets = ["a"]
"""


def test_a_target_is_renamed_wherever_it_is_named_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    path.chmod(0o640)
    assert rename_target(path, "a", 'new "name"')
    expected = TEXT.replace('name = "a" # the', 'name = "new \\"name\\"" # the').replace(
        '    "a",\n]', '    "new \\"name\\"",\n]'
    )
    expected = expected.replace('["a", "b*"]', '["new \\"name\\"", "b*"]')
    assert path.read_text() == expected.replace('targets = ["a"]', 'targets = ["new \\"name\\""]')
    assert path.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["targets.toml"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(TEXT)
    link = tmp_path / "targets.toml"
    link.symlink_to("real.toml")
    assert rename_target(link, "b", "b2")
    assert link.is_symlink() and "name = 'b'" not in (tmp_path / "real.toml").read_text()


def test_a_name_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    before = path.stat().st_mtime_ns
    assert not rename_target(path, "c", "d")
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a", "b", "has a target 'b' besides 'a'"),
        ("a", " x", "a name is one line of printable text"),
        ("b", "c", "maintenance 1 names 'b\\*', and no target does"),  # it would be probed in its window
    ],
)
def test_a_file_that_would_be_wrong_is_not_written(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    with pytest.raises(ConfigError, match=message):
        rename_target(path, old, new)
    assert path.read_text() == TEXT and len(list(tmp_path.iterdir())) == 1


def _added(path: Path) -> Edit:
    return plan_edit(path, lambda text: append_target(text, {"name": "c", "model": "m", "base_url": "http://h/v1"}))


def test_a_change_keeps_what_was_there_and_is_undone_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    first = write_edit(_added(path))
    second = write_edit(plan_edit(path, lambda text: change_target(text, "c", {"every": "5m"})))
    backups = tmp_path / "targets.toml.backups"
    assert backups.stat().st_mode & 0o777 == 0o700
    assert (backups / f"{first}.toml").read_text() == TEXT
    assert {each.stat().st_mode & 0o777 for each in backups.iterdir()} == {0o600}
    with pytest.raises(
        ConfigError, match="was changed since, so that undoing would take more back: the version before"
    ):
        undo_edit(path, first)
    undo_edit(path, second)
    undo_edit(path, first)
    assert path.read_text() == TEXT and not list(backups.iterdir())


@pytest.mark.parametrize("edit_id", ["0123456789ab", "../targets", ""])
def test_an_id_of_no_change_undoes_nothing(tmp_path: Path, edit_id: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    with pytest.raises(ConfigError, match="no change of"):
        undo_edit(path, edit_id)
    assert path.read_text() == TEXT


def test_a_file_that_somebody_changed_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    edit = _added(path)
    path.write_text(TEXT + "# mine\n")
    with pytest.raises(ConfigError, match="changed by somebody else just now: nothing was written"):
        write_edit(edit)
    assert path.read_text() == TEXT + "# mine\n"


def test_the_first_target_makes_the_file_and_undoing_takes_it_away(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    edit_id = write_edit(_added(path))
    assert path.read_text().startswith('[[target]]\nname = "c"\n')
    undo_edit(path, edit_id)
    assert not path.exists()


@pytest.mark.parametrize(
    "before", ["# an example:\n# [[target]]\n", '[collector]\nevery = "30s"\n# [[target]] goes here\n']
)
def test_the_first_target_is_added_to_a_file_of_comments(tmp_path: Path, before: str) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(before)
    write_edit(_added(path))
    assert path.read_text().startswith(f'{before}\n[[target]]\nname = "c"\n')


def test_a_file_that_is_no_toml_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text("[collector\n")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        _added(path)


def test_a_folder_that_cannot_be_written_is_said_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    (tmp_path / "targets.toml.backups").write_text("in the way")
    before = path.read_bytes()
    with pytest.raises(OSError, match="targets.toml could not be changed .File exists: .*: this needs write access"):
        write_edit(_added(path))
    assert path.read_bytes() == before
    (tmp_path / "targets.toml.backups").unlink()
    write_edit(_added(path))
    assert path.read_bytes().startswith(before)


def test_only_the_newest_backups_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    for number in range(KEPT_BACKUPS + 5):
        write_edit(plan_edit(path, partial(change_target, name="a", change={"every": f"{number + 1}s"})))
    assert len(list((tmp_path / "targets.toml.backups").iterdir())) == KEPT_BACKUPS


@pytest.mark.parametrize("change", [lambda path: write_edit(_added(path)), partial(rename_target, old="a", new="a2")])
def test_a_changed_file_keeps_its_rights_whatever_the_umask(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        change(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
def test_a_file_that_root_changes_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    os.chown(path, 12_345, 12_346)
    write_edit(_added(path))
    assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 12_346)


def test_a_folder_that_is_not_there_is_named_as_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "targets.toml"
    with pytest.raises(OSError, match="targets.toml could not be changed .No such file or directory: "):
        write_edit(_added(path))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "could not be changed .No space left on device.: free some space"),
        (errno.EBUSY, "could not be changed .Device or resource busy.: a file that is mounted by itself"),
    ],
)
def test_an_error_that_is_not_about_rights_does_not_speak_of_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    edit = _added(path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=said):
        write_edit(edit)
    assert path.read_text() == TEXT


def test_undoing_the_first_target_removes_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "targets.toml"
    link.symlink_to("real.toml")
    undo_edit(link, write_edit(_added(link)))
    assert link.is_symlink() and not (tmp_path / "real.toml").exists()
