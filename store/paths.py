"""Whether a SQLite file may be used where it lies.

`store.url` resolves a symbolic link once: SQLite keeps a WAL beside the name that it is given, and locks, copies and
`restore` go by the name, too. Two names that cannot be resolved to one (a hard link, a file that is mounted by itself)
would have a WAL each, which loses rows and damages the file, so such a store is refused; a folder that is mounted
twice has its WAL and its lock with it and is fine.
"""

from __future__ import annotations

import re
from pathlib import Path

from store.protocol import StoreError

_KINDS = (
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph coda ncpfs lustre gpfs beegfs glusterfs pvfs2 orangefs ocfs2 gfs2 davfs"
    " davfs2 sshfs rclone s3fs gcsfuse goofys blobfuse blobfuse2 curlftpfs juicefs seaweedfs mfs moosefs smbnetfs"
)
NETWORK_FILE_SYSTEMS = frozenset(_KINDS.split())
"""Kinds in /proc/self/mountinfo, with `fuse.` taken off, whose files another machine may write meanwhile: SQLite's
locks and its shared memory do not reach there.
"""
MOUNTS = Path("/proc/self/mountinfo")


def refuse_unusable(path: Path) -> None:
    """Raises StoreError where a store at this path would lose rows, or where one was lost."""
    mounts = _mounts()
    if kind := network_file_system(mounts, path):
        raise StoreError(
            f"the store {path} is on a network file system ({kind}), where SQLite's locks do not hold: put it on a "
            "disk of this machine (--store sqlite:////var/lib/uptoken/uptoken.db), or use ClickHouse for several "
            "machines (docs/fleet.md)"
        )
    if is_mounted_alone(mounts, path):
        raise StoreError(
            f"the store {path} is a file that is mounted by itself, and SQLite's WAL beside it is not: mount its folder"
        )
    try:
        if not path.exists():
            _refuse_lost(path)
        elif path.stat().st_nlink > 1:
            _refuse_names(path)
    except OSError as problem:
        raise StoreError(f"could not open the store {path}: {problem.strerror}") from problem


def _refuse_names(path: Path) -> None:
    links = links_of(path)
    if lost := next((link for link in links if has_wal(link)), None):
        raise StoreError(
            f"a `restore` to {path} was interrupted: run it again, or `python -m collectors restore {lost}` to get the "
            "previous store back"
        )
    if len(links) < path.stat().st_nlink - 1:
        raise StoreError(
            f"the store {path} has {path.stat().st_nlink} names (hard links), and SQLite would keep a WAL beside each: "
            f"remove the others (find them with `find -samefile {path}`), or make them symbolic links"
        )


def _refuse_lost(path: Path) -> None:
    if replaced := replaced_stores(path):
        raise StoreError(
            f"there is no store at {path}, but {len(replaced)} that `restore` replaced: `python -m collectors restore "
            f"{replaced[-1]}` puts the newest one back; to start a new store, move them away"
        )


def replaced_stores(path: Path) -> list[Path]:
    """The stores that `restore` replaced here, the newest last."""
    names = path.parent.glob(f"{_literal(path.name)}.before-*")
    return sorted(name for name in names if not name.name.endswith(("-wal", "-shm", "-journal", "-lock", "-state")))


def has_wal(path: Path) -> bool:
    """Whether a store has a WAL with rows in it."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def links_of(path: Path) -> list[Path]:
    """Other names of the same file, left by a `restore` that was killed."""
    return [aside for aside in replaced_stores(path) if path.exists() and aside.samefile(path)]


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


# -- mounts


def network_file_system(mountinfo: str, path: Path) -> str | None:
    """The kind of the network file system that a resolved path lies on, by the text of /proc/self/mountinfo; null for
    a disk of this machine. A root on 9p is a virtual machine's own disk.
    """
    point, kind = _mount_of(mountinfo, path)
    kind = kind.removeprefix("fuse.")
    return kind if kind in NETWORK_FILE_SYSTEMS and not (kind == "9p" and point == Path("/")) else None


def is_mounted_alone(mountinfo: str, path: Path) -> bool:
    """Whether a resolved path is a mount point: a file that was mounted without what lies beside it."""
    return _mount_of(mountinfo, path)[0] == path


def _mounts() -> str:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return ""


def _mount_of(mountinfo: str, path: Path) -> tuple[Path, str]:
    """Mount point and kind; of several mounts over one another the last one counts."""
    innermost = Path("/"), ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split(" ", 1)[0]
        if len(fields) < 5 or not kind:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= len(innermost[0].parts):
            innermost = point, kind
    return innermost
