"""Sessions of viewers who signed in with the password of `UPTOKEN_PASSWORD_FILE`: signed cookies.

Their key is derived from the file's line, so they stay valid after a restart, and end when the password changes.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from hashlib import sha256
from pathlib import Path

import itsdangerous

from settings.password import VARIABLE, PasswordError, PasswordHash, read_password_file

COOKIE = "uptoken_session"
SESSION_S = 7 * 86_400
_VALUE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})")
_read: tuple[object, PasswordHash] | None = None
_ended: dict[str, int] = {}
"""Sessions that ended by a sign-out in this process, and until when (seconds since 1970) they would have lasted."""


def password() -> PasswordHash | None:
    """The hash of the password; null where no password is set. Raises PasswordError."""
    global _read
    if not (named := os.environ.get(VARIABLE)):
        return None
    path = Path(named)
    try:
        found = path.stat()
    except OSError:
        found = None
    version = (named, found and (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode))
    last = _read  # another thread may replace it meanwhile
    if last is None or last[0] != version:
        _read = None
        _read = last = version, read_password_file(path)
    return last[1]


def signing_key() -> bytes | None:
    """The key that sessions are signed with; null where no password is set. Raises PasswordError."""
    found = password()
    return sha256(f"uptoken session?{found.line()}".encode()).digest() if found is not None else None


def new_session(now_s: float | None = None) -> str:
    """The value of a new session's cookie."""
    until = int(now_s if now_s is not None else time.time()) + SESSION_S
    return _signer().sign(f"{until}.{secrets.token_hex(16)}").decode()


def is_signed_in(cookie: str | None, now_s: float | None = None) -> bool:
    """Whether a cookie is of a session that this dashboard began, that has not expired, and that was not signed out."""
    return _session(cookie, now_s if now_s is not None else time.time()) is not None


def end_session(cookie: str | None, now_s: float | None = None) -> None:
    """Sign out. Until the dashboard restarts, no copy of the cookie is valid."""
    now_s = now_s if now_s is not None else time.time()
    if (session := _session(cookie, now_s)) is not None:
        for name in [name for name, until in _ended.items() if until <= now_s]:
            del _ended[name]
        _ended[session[0]] = session[1]


def _session(cookie: str | None, now_s: float) -> tuple[str, int] | None:
    """The session's name and its end."""
    try:
        written = _VALUE.fullmatch(_signer().unsign(cookie or "").decode())
    except (itsdangerous.BadSignature, PasswordError, UnicodeError):
        return None
    if written is None or int(written[1]) <= now_s or written[2] in _ended:
        return None
    return written[2], int(written[1])


def _signer() -> itsdangerous.Signer:
    key = signing_key()
    if key is None:
        raise PasswordError(f"{VARIABLE} is not set")
    return itsdangerous.Signer(key, salt="session", key_derivation="hmac", digest_method=sha256)
