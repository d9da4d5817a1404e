"""Who may use the relay: its keys, what each may spend in a day, and which names it answers to."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Protocol

from collectors.relay.problems import ProblemError
from settings.addresses import is_loopback

DAY_MS = 86_400_000
MOST_REMEMBERED = 100
"""Hosts that were found to be known, as they were written: looking takes a while."""
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{0,5})?", re.ASCII | re.IGNORECASE)


class NamedKey(Protocol):
    """A key of the relay's own."""

    @property
    def name(self) -> str:
        """Who has it."""

    @property
    def key(self) -> str:
        """The secret."""


class Keys:
    """The relay's own keys. Without any it listens on loopback only, and nobody needs one."""

    def __init__(self, keys: Sequence[NamedKey]) -> None:
        self._keys = tuple((key.name, key.key.encode()) for key in keys)

    @property
    def are_needed(self) -> bool:
        """Whether a request must have one."""
        return bool(self._keys)

    def name_of(self, headers: Mapping[str, str]) -> str | None:
        """Whose key a request has; null where none is needed. Raises ProblemError."""
        if not self._keys:
            return None
        sent = _sent_key(headers).encode("utf-8", "surrogateescape")
        owners = [name for name, key in self._keys if hmac.compare_digest(key, sent)]  # all of them, in any case
        if not owners:
            raise ProblemError(
                401, "The relay does not know this key: send one of its own as Authorization: Bearer KEY."
            )
        return owners[0]


def _sent_key(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


class Spending:
    """What each key has spent since midnight UTC."""

    def __init__(self, usd_per_day: float | None = None) -> None:
        self.usd_per_day = usd_per_day
        self._day = 0
        self._usd: dict[str | None, float] = {}

    def note(self, key_name: str | None, usd: float | None, at: int) -> None:
        """A request of this key that began at a moment (milliseconds UTC) cost so much."""
        self._turn(at)
        if usd is not None and at // DAY_MS == self._day:
            self._usd[key_name] = self._usd.get(key_name, 0.0) + usd

    def check(self, key_name: str | None, now: int) -> None:
        """Raises ProblemError when the key has nothing left to spend today."""
        self._turn(now)
        if self.usd_per_day is None or self._usd.get(key_name, 0.0) < self.usd_per_day:
            return
        raise ProblemError(
            402,
            f"This key has spent its ${self.usd_per_day:g} of today (UTC): raise usd_per_day in [relay], or wait for "
            "midnight.",
        )

    def _turn(self, now: int) -> None:
        if now // DAY_MS > self._day:
            self._day, self._usd = now // DAY_MS, {}


class Hosts:
    """The names that the relay answers to. A page of a stranger can point its own name at 127.0.0.1 ("DNS rebinding");
    its requests still carry that name. An address is no name that could be pointed anywhere.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = {name.lower().rstrip(".") for name in (*allowed, socket.gethostname(), socket.getfqdn())}
        self._known: set[str] = set()

    def check(self, hosts: Sequence[str], origins: Sequence[str], *, is_open: bool) -> None:
        """Raises ProblemError for a foreign host; where nobody needs a key (`is_open`), for a foreign page, too."""
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            raise ProblemError(
                421, "The relay does not serve this host: name it with --allowed-host.", error_type="invalid_request"
            )
        foreign = [origin for origin in origins if not self._is_known(origin.partition("://")[2])]
        if is_open and foreign:
            raise ProblemError(403, "Pages of other sites may use the relay only with a key.")

    def _is_known(self, authority: str) -> bool:
        if authority in self._known:
            return True
        is_known = self._looks_known(authority)
        if is_known and len(self._known) < MOST_REMEMBERED:
            self._known.add(authority)
        return is_known

    def _looks_known(self, authority: str) -> bool:
        found = _AUTHORITY.fullmatch(authority)
        if found is None:
            return False
        name = found[1].lower().strip("[]").rstrip(".")
        return is_loopback(name) or name in self._allowed or _is_address(name)


def is_for_this_machine(listen_address: str) -> bool:
    """Whether only this machine reaches what listens there: `0.0.0.0` and `::` are every address that it has."""
    try:
        return ipaddress.ip_address(listen_address).is_loopback
    except ValueError:
        return listen_address.lower() == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
