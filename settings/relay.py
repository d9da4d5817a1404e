"""`[relay]` and `[[route]]`: what clients of the relay may ask for, with which keys, and which targets serve it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from settings.base import Section
from settings.durations import seconds
from settings.mistake import Finding

if TYPE_CHECKING:
    from settings.targets import ProbeTarget

RouteStrategy = Literal["price", "balanced", "latency", "throughput", "order"]
Wait = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=86_400)]
FEWEST_KEY_CHARACTERS = 16
SUFFIXES = (":nitro", ":floor")
"""What a client may append to a model's name (`routing.provider_preferences`), so that no name ends with it."""
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


class RelaySection(Section):
    """`[relay]`: who may use it, and what a key may spend in a day."""

    keys_file: str | None = Field(None, min_length=1)
    keys_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    usd_per_day: Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None


class RouteSection(Section):
    """`[[route]]`: a name that clients ask for, and the targets that serve it."""

    model: str = Field(min_length=1, max_length=200)
    targets: tuple[str, ...] = Field(min_length=1)
    strategy: RouteStrategy = "price"
    capabilities: Literal["claimed", "measured"] = "claimed"
    connect_timeout: Wait = 2.0
    first_token_timeout: Wait = 5.0
    idle_timeout: Wait = 30.0
    total_timeout: Wait = 600.0

    @field_validator("model")
    @classmethod
    def _is_askable(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError("a model's name is one line of printable text without spaces around it")
        if value.endswith(SUFFIXES):
            raise ValueError(f"leave {value[-6:]} out: a client appends it to any name, to choose how it is routed")
        return value


@dataclass(frozen=True)
class RelayKey:
    """A key that clients of the relay send, and the name under which its requests are recorded."""

    name: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class RelaySettings:
    """`[relay]` with its keys. Without any, the relay listens on loopback only, and nobody needs one."""

    keys: tuple[RelayKey, ...] = ()
    usd_per_day: float | None = None
    """Per key."""
    keys_problem: str | None = None
    """Why the keys are not there, where the file or the variable that should have them is not: the collector needs none
    of them, and the relay does not start without.
    """
    keys_file: Path | None = None


@dataclass(frozen=True)
class Route:
    """A name that clients ask for, and the enabled targets that may serve it, in the file's order."""

    model: str
    targets: tuple[ProbeTarget, ...]
    strategy: RouteStrategy = "price"
    connect_timeout_s: float = 2.0
    first_token_timeout_s: float = 5.0
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 600.0
    trusts_tests: bool = False
    """A target whose tests show that it lacks what a request needs does not serve it, whatever its catalog claims."""


def relay_settings(section: RelaySection, folder: Path, environment: Mapping[str, str]) -> RelaySettings:
    """The section with its keys, from an owner-only file of lines `name=key`, or a variable that has the same, divided
    by line breaks or commas. Raises ValueError.
    """
    usd_per_day = None if section.usd_per_day is None else float(section.usd_per_day)
    if section.keys_file and section.keys_env:
        raise ValueError("keys_file and keys_env both name the keys: leave one")
    if section.keys_env is not None:
        text, source = environment.get(section.keys_env, "").replace(",", "\n"), section.keys_env
        missing = None if text.strip() else f"{source} is not set: it holds the relay's keys, as name=key"
    elif section.keys_file is not None:
        file = folder / section.keys_file
        known = _text_of(file)
        text, source = known or "", str(file)
        missing = None if known is not None else f"there is no {file}: write a line name=key into it for each client"
    else:
        return RelaySettings((), usd_per_day)
    file_of_keys = None if section.keys_file is None else folder / section.keys_file
    keys = _keys_in(text, source) if missing is None else ()
    return RelaySettings(keys, usd_per_day, missing, file_of_keys)


def _text_of(file: Path) -> str | None:
    try:
        if file.stat().st_mode & 0o077:
            raise ValueError(f"{file} contains keys and can be read by others than its owner: chmod 600 {file}")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"{file} could not be read: {problem}") from None


def _keys_in(text: str, source: str) -> tuple[RelayKey, ...]:
    """Raises ValueError, which names lines and never shows a key."""
    keys: dict[str, RelayKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, is_pair, key = (part.strip() for part in line.partition("="))
        where = f"{source}, line {number}"
        if not is_pair or not _KEY_NAME.fullmatch(name):
            raise ValueError(f"{where}: write it as name=key; a name has letters, digits, spaces and . _ @ -")
        if len(key) < FEWEST_KEY_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(
                f"{where}: the key of {name!r} needs at least {FEWEST_KEY_CHARACTERS} characters of ASCII without "
                "spaces, such as `openssl rand -hex 24` makes"
            )
        if name in keys or any(known.key == key for known in keys.values()):
            raise ValueError(
                f"{where}: {name!r} has a name or a key that an earlier line has: give each client its own"
            )
        keys[name] = RelayKey(name, key)
    if not keys:
        raise ValueError(f"{source} has no key: write one line name=key for each client, or leave it out of [relay]")
    return tuple(keys.values())


def route_findings(
    routes: Sequence[RouteSection], names: Collection[str], enabled: Collection[str]
) -> Iterator[Finding]:
    """What is wrong with routes, given the names of all targets and of those that are enabled."""
    seen: dict[str, int] = {}
    for number, route in enumerate(routes):
        what = f"route {number + 1} ({route.model!r})"
        if route.model in seen:
            yield Finding(
                ("route", number, "model"),
                f"{what} has the model of route {seen[route.model]}: give all of its targets to one of them",
            )
        seen.setdefault(route.model, number + 1)
        if route.model in names and route.model not in route.targets:
            yield Finding(
                ("route", number, "model"),
                f"{what} has the name of a target that is not among its targets, and clients can ask for a target by "
                "its name: name it otherwise, or add that target",
            )
        yield from _target_findings(route, number, what, names, enabled)


def _target_findings(
    route: RouteSection, number: int, what: str, names: Collection[str], enabled: Collection[str]
) -> Iterator[Finding]:
    place = ("route", number, "targets")
    for name in dict.fromkeys(route.targets):
        if name not in names:
            known = ", ".join(repr(one) for one in names)
            yield Finding(place, f"{what}: there is no target named {name!r}; there are {known}")
        elif route.targets.count(name) > 1:
            yield Finding(place, f"{what} has the target {name!r} twice: each is tried at most once per request")
    if names and not any(name in enabled for name in route.targets) and all(name in names for name in route.targets):
        yield Finding(place, f"{what}: all of its targets have enabled = false, so that nobody could serve it")


def route_of(section: RouteSection, targets: Mapping[str, ProbeTarget]) -> Route:
    """The route, with those of its targets that are enabled."""
    return Route(
        section.model,
        tuple(targets[name] for name in section.targets if name in targets),
        section.strategy,
        section.connect_timeout,
        section.first_token_timeout,
        section.idle_timeout,
        section.total_timeout,
        section.capabilities == "measured",
    )
