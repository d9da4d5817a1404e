"""The file of the dashboard's password holds a hash that nobody else may read, and nothing that is wrong with it opens
anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tools import ROOT
from settings import password
from settings.password import PasswordError, hash_password, read_password_file

GOOD = "correct horse battery"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password, "_COST", 16)


def kept(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.usefixtures("cheap")
def test_the_same_password_matches_its_hash_and_no_other_does(tmp_path: Path) -> None:
    made = hash_password(GOOD)
    read = read_password_file(kept(tmp_path, f"{made.line()}\n"))
    assert read == made and read.matches(GOOD)
    assert not any(read.matches(wrong) for wrong in ("", GOOD + " ", GOOD.title(), made.line()))
    assert GOOD not in made.line() and hash_password(GOOD).line() != made.line(), "each has a salt of its own"
    assert hash_password("Ångström Ångström").matches("A\u030angstro\u0308m A\u030angstro\u0308m"), "typed otherwise"


def test_it_takes_what_owasp_recommends() -> None:
    made = hash_password(GOOD)
    assert (made.cost, made.block, made.parallel, len(made.salt), len(made.digest)) == (32_768, 8, 3, 16, 32)


@pytest.mark.parametrize("chosen", ["", "eleven char", "x" * 1_025])
def test_a_password_that_is_too_short_or_too_long_is_refused(chosen: str) -> None:
    with pytest.raises(PasswordError, match="the password"):
        hash_password(chosen)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (GOOD, 0o600, r"holds no hash \(a plain password is refused\): make it with `python -m collectors password "),
        ("", 0o600, "holds no hash"),
        ("scrypt$16$8$3$c2FsdHNhbHRzYWx0c2FsdA==$", 0o600, "holds no hash"),
        ("scrypt$17$8$3$c2FsdHNhbHRzYWx0c2FsdA==$c2FsdHNhbHRzYWx0c2FsdA==", 0o600, "is damaged"),
        (None, 0o600, "cannot be read"),
        (GOOD, 0o640, "other users can read"),
        (GOOD, 0o604, "other users can read"),
    ],
)
def test_a_file_that_is_no_hash_of_its_owners_alone_is_refused_with_what_to_do(
    text: str | None, mode: int, said: str, tmp_path: Path
) -> None:
    path = kept(tmp_path, text, mode) if text is not None else tmp_path / "none"
    with pytest.raises(PasswordError, match=said) as refused:
        read_password_file(path)
    assert str(path) in str(refused.value) and GOOD not in str(refused.value)


@pytest.mark.process
def test_the_command_makes_the_file_and_changes_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "password"
    for chosen in (GOOD, "another good password"):
        done = subprocess.run(
            [sys.executable, "-m", "collectors", "password", str(path)],
            input=f"{chosen}\n", cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "") and f"UPTOKEN_PASSWORD_FILE={path}" in done.stdout
        assert chosen not in done.stdout and chosen not in path.read_text()
        assert read_password_file(path).matches(chosen) and path.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(
        [sys.executable, "-m", "collectors", "password", str(path)],
        input="short\n", cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "fewer than 12 characters" in done.stderr
    assert read_password_file(path).matches("another good password")
