"""The file that `UPTOKEN_PASSWORD_FILE` names: one line with a scrypt hash, never the password."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
import unicodedata
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "UPTOKEN_PASSWORD_FILE"
FEWEST_CHARACTERS = 12
MOST_BYTES = 1_024
_COST, _BLOCK, _PARALLEL, _BYTES = 2**15, 8, 3, 32
"""OWASP's parameters for 32 MiB of memory: about 0.2 s per attempt."""
_LINE = re.compile(r"scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{16,100})\$([A-Za-z0-9+/=]{16,100})")


class PasswordError(Exception):
    """A password or its file cannot be used. The message says why and what to do."""


@dataclass(frozen=True)
class PasswordHash:
    """A line of the file: scrypt's parameters, the salt, and the hash itself."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    def matches(self, password: str) -> bool:
        """Whether this is the hash of the password; takes the same time whether it is or not."""
        made = _scrypt(password, self.salt, self.cost, self.block, self.parallel, len(self.digest))
        return hmac.compare_digest(made, self.digest)

    def line(self) -> str:
        """The line as the file holds it."""
        salt, digest = (b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${self.block}${self.parallel}${salt}${digest}"


def hash_password(password: str) -> PasswordHash:
    """Hash a password with a new salt. Raises PasswordError when it is too short or too long."""
    if len(password) < FEWEST_CHARACTERS:
        raise PasswordError(f"the password has fewer than {FEWEST_CHARACTERS} characters: choose a longer one")
    if len(password.encode()) > MOST_BYTES:
        raise PasswordError(f"the password is longer than {MOST_BYTES} bytes: choose a shorter one")
    salt = secrets.token_bytes(16)
    return PasswordHash(_COST, _BLOCK, _PARALLEL, salt, _scrypt(password, salt, _COST, _BLOCK, _PARALLEL, _BYTES))


def read_password_file(path: Path) -> PasswordHash:
    """Read the hash. Raises PasswordError, whose message never repeats the contents."""
    how = f"make it with `python -m collectors password {path}`"
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()[: 4 * MOST_BYTES].decode(errors="replace").strip()
    except OSError as problem:
        raise PasswordError(f"{VARIABLE}: {path} cannot be read ({problem.strerror}): {how}") from None
    if stat.S_ISREG(mode) and mode & 0o077:
        raise PasswordError(f"{VARIABLE}: other users can read {path}: chmod 600 {path}")
    found = _LINE.fullmatch(text)
    if found is None:
        raise PasswordError(f"{VARIABLE}: {path} holds no hash (a plain password is refused): {how}")
    cost, block, parallel = (int(number) for number in found.groups()[:3])
    try:
        salt, digest = b64decode(found[4], validate=True), b64decode(found[5], validate=True)
        _scrypt("", salt, cost, block, parallel, len(digest))
    except (ValueError, MemoryError):
        raise PasswordError(f"{VARIABLE}: the hash in {path} is damaged: {how}") from None
    return PasswordHash(cost, block, parallel, salt, digest)


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int, length: int) -> bytes:
    text = unicodedata.normalize("NFKC", password).encode()
    memory = 2 * 128 * block * (cost + parallel)
    return hashlib.scrypt(text, salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=length)
