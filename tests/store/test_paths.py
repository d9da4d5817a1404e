"""Where a store's file is, and where it may not be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors.scheduler.lock import lock_path
from store import StoreError, open_store
from store.paths import is_mounted_alone, network_file_system
from store.url import parse_store_url
from tests.factories import probe

# as Linux writes it: an overlay root, a disk, a share in a folder with a blank, one mount over another, a file
MOUNTS = r"""
21 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
22 21 8:1 / /data rw,relatime - ext4 /dev/sda1 rw
23 22 0:40 / /data/share rw - nfs4 nas:/export rw,vers=4.2
24 21 0:41 / /mnt/My\040files rw - cifs //nas/files rw
25 21 0:42 / /mnt/over rw - ext4 /dev/sdb1 rw
26 25 0:43 / /mnt/over rw - fuse.sshfs me@host:/ rw
27 21 0:44 / /mnt/fuse rw - fuseblk /dev/sdc1 rw
28 21 0:45 / /mnt/c rw - 9p C:\134 rw,aname=drvfs
29 22 8:1 /u.db /data/single/u.db rw - ext4 /dev/sda1 rw
30 21 0:46 / /mnt/plain rw - fuse.mergerfs a:b rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/u.db", None),
        ("/data/u.db", None),
        ("/data/share/u.db", "nfs4"),
        ("/data/shared/u.db", None),
        ("/mnt/My files/deep/u.db", "cifs"),
        ("/mnt/over/u.db", "sshfs"),
        ("/mnt/fuse/u.db", None),
        ("/mnt/c/u.db", "9p"),
        ("/mnt/plain/u.db", None),
    ],
)
def test_a_network_file_system_is_known_by_the_mount_that_a_path_lies_on(path: str, kind: str | None) -> None:
    assert network_file_system(MOUNTS, Path(path)) == kind


def test_a_virtual_machines_root_is_its_own_disk() -> None:
    assert network_file_system("21 1 0:20 / / rw - 9p root rw,trans=virtio", Path("/u.db")) is None
    assert network_file_system("", Path("/u.db")) is None  # not Linux


def test_a_file_that_is_mounted_without_its_folder_is_known() -> None:
    assert is_mounted_alone(MOUNTS, Path("/data/single/u.db"))
    assert not is_mounted_alone(MOUNTS, Path("/data/u.db"))


def test_a_store_on_a_network_file_system_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"23 22 0:40 / {tmp_path} rw - nfs4 nas:/export rw,vers=4.2\n")
    monkeypatch.setattr("store.paths.MOUNTS", mounts)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"network file system \(nfs4\).*a disk of this machine.*ClickHouse"):
            open_store(f"sqlite:///{tmp_path}/u.db", read_only=read_only)
    assert not (tmp_path / "u.db").exists()


def test_a_symbolic_link_and_what_it_points_to_are_one_store_with_one_lock(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, folder = tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(tmp_path / "real" / "u.db")
    folder.symlink_to(tmp_path / "real")
    names = [f"sqlite:///{name}" for name in (link, folder / "u.db", tmp_path / "real" / ".." / "real" / "u.db")]
    assert {parse_store_url(name).file for name in names} == {tmp_path / "real" / "u.db"}
    assert {lock_path(name) for name in names} == {tmp_path / "real" / "u.db.collector-lock"}
    store = open_store(names[0])
    store.write([probe()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link.db", "real"]
    store.close()


def test_a_store_with_two_names_is_refused_with_the_way_out(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/u.db").close()
    os.link(tmp_path / "u.db", tmp_path / "other.db")
    for name in ("u.db", "other.db"):
        with pytest.raises(StoreError, match=r"has 2 names \(hard links\).*find -samefile"):
            open_store(f"sqlite:///{tmp_path}/{name}", read_only=True)
    (tmp_path / "other.db").unlink()
    open_store(f"sqlite:///{tmp_path}/u.db").close()


def test_a_path_that_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    loop, file = tmp_path / "loop.db", tmp_path / "file"
    loop.symlink_to(loop)
    file.touch()
    for wrong in (loop, file / "u.db", tmp_path / ("x" * 300)):
        for read_only in (False, True):
            with pytest.raises(StoreError):
                open_store(f"sqlite:///{wrong}", read_only=read_only)
