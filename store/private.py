"""Folders that only their owner may look into."""

from __future__ import annotations

import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone. `data/` of a checkout is there already, with the rights that git left it. Any
    other folder that exists keeps those that somebody gave it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.name == "data" and (folder / "README.md").is_file():
        found = folder.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            folder.chmod(0o700)
