"""A changed `targets.toml` keeps what its owner wrote around the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.editing import rename_target
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
"""


def test_a_target_is_renamed_wherever_it_is_named_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(TEXT)
    path.chmod(0o640)
    assert rename_target(path, "a", 'new "name"')
    expected = TEXT.replace('name = "a" # the', 'name = "new \\"name\\"" # the').replace(
        '    "a",\n]', '    "new \\"name\\"",\n]'
    )
    assert path.read_text() == expected.replace('["a", "b*"]', '["new \\"name\\"", "b*"]')
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
