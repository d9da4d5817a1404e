"""`[[channel]]` and `[[alert]]`: who is notified of what, and when."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from settings.base import Section
from settings.durations import seconds
from settings.mistake import Finding
from settings.secrecy import keep_secret
from settings.target_selection import matches, selects

Kind = Literal[
    "down",
    "recovered",
    "degraded",
    "collector_stopped",
    "budget",
    "price_changed",
    "context_changed",
    "retiring",
    "gone",
    "identity_changed",
    "capability_lost",
    "wrong_answers",
    "certificate",
    "slo_burn",
    "relay_errors",
    "internal_error",
]
KINDS: tuple[str, ...] = get_args(Kind)
ChannelType = Literal["webhook", "smtp", "apprise"]
DEFAULT_KINDS: tuple[str, ...] = ("down", "recovered", "collector_stopped", "retiring")
"""What every channel gets in a file without any `[[alert]]`."""
FEWEST_REMINDER_S = 300.0
_SCHEMES = {"webhook": ("http", "https"), "smtp": ("smtp", "smtps")}
_FORMS = {"webhook": "https://host/path", "smtp": "smtp://user:password@host:587 or smtps://user:password@host"}
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_PART = re.compile(r"[/?&=#:@;,+]+")
_HARMLESS = re.compile(r"[a-z.-]*|[a-z0-9.-]+\.[a-z]{2,}")
"""What a part of a URL may be without being a secret: a word, or the name of a host."""


def _off_or_seconds(value: Any) -> Any:
    if value == "off":
        return None
    length_s = seconds(value)
    if length_s < FEWEST_REMINDER_S:
        raise ValueError('a reminder comes at most every 5 minutes; write "off" for none')
    return length_s


Reminder = Annotated[Annotated[float, Field(le=30 * 86_400)] | None, BeforeValidator(_off_or_seconds)]


class ChannelSection(Section):
    """`[[channel]]`: one way to a person or a program."""

    name: str
    type: ChannelType
    url: str | None = Field(None, min_length=1)
    url_env: str | None = Field(None, pattern=_VARIABLE)
    url_file: str | None = Field(None, min_length=1)
    secret_env: str | None = Field(None, pattern=_VARIABLE)
    secret_file: str | None = Field(None, min_length=1)
    sender: str | None = None
    recipients: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _is_short(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("a channel's name has letters, digits, spaces and . _ @ -, at most 64 of them")
        return value

    @field_validator("sender", "recipients")
    @classmethod
    def _are_addresses(cls, value: Any) -> Any:
        for address in (value,) if isinstance(value, str) else value or ():
            if not address.isprintable() or not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r:.80} is not a mail address; write it as ops@example.com")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> ChannelSection:
        named = [name for name in ("url", "url_env", "url_file") if getattr(self, name) is not None]
        if len(named) != 1:
            problem = f"{' and '.join(named)} both name its URL: leave one" if named else _no_url(self.type)
            raise ValueError(problem)
        if self.secret_env and self.secret_file:
            raise ValueError("secret_env and secret_file both name its secret: leave one")
        if self.type != "webhook" and (self.secret_env or self.secret_file):
            raise ValueError("a secret signs the body of a webhook; other channels have none")
        if self.type == "smtp" and not (self.sender and self.recipients):
            raise ValueError('mail needs sender = "uptoken@example.com" and recipients = ["ops@example.com"]')
        if self.type != "smtp" and (self.sender or self.recipients):
            raise ValueError("sender and recipients belong to a channel of the type smtp")
        return self


def _no_url(kind: str) -> str:
    return f"it needs url_env, the variable that holds its URL (or url_file, or url), such as {_example(kind)}"


def _example(kind: str) -> str:
    return _FORMS.get(kind, "ntfys://ntfy.example.com/topic")


class AlertSection(Section):
    """`[[alert]]`: what is sent to which channels."""

    on: tuple[Kind, ...]
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    to: tuple[str, ...] = Field(min_length=1)
    after: int = Field(2, ge=1, le=20)
    clear_after: int = Field(2, ge=1, le=20)
    remind_every: Reminder = None

    @field_validator("on")
    @classmethod
    def _is_about_something(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if not value:
            raise ValueError('name at least one kind, such as "down"')
        return value


@dataclass(frozen=True)
class Channel:
    """A channel with its secrets. `url` is null where the variable or file that should hold it does not."""

    name: str
    type: ChannelType
    url: str | None = field(repr=False)
    where_url_belongs: str | None = None
    secret: str | None = field(default=None, repr=False)
    problem: str | None = None
    """Why nothing can be sent, when something else than the URL is missing or wrong."""
    sender: str | None = None
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlertRule:
    """An `[[alert]]` with every default filled in."""

    on: tuple[str, ...]
    targets: tuple[str, ...]
    tags: tuple[str, ...]
    to: tuple[str, ...]
    after: int = 2
    clear_after: int = 2
    remind_every_s: float | None = None

    def matches(self, name: str, tags: Collection[str]) -> bool:
        """Whether it is about a target: by name or pattern, or by tag; without either, about all."""
        return not (self.targets or self.tags) or selects(self.targets, self.tags, name, tags)


@dataclass(frozen=True)
class AlertSettings:
    """All channels, and the rules in the file's order."""

    channels: tuple[Channel, ...] = ()
    rules: tuple[AlertRule, ...] = ()


NO_ALERTS = AlertSettings()


def alert_settings(
    channels: Sequence[ChannelSection],
    alerts: Sequence[AlertSection],
    folder: Path,
    environment: Mapping[str, str],
) -> AlertSettings:
    """The channels with their secrets, which no text may have from then on, and the rules."""
    made = tuple(_channel(section, folder, environment) for section in channels)
    for channel in made:
        keep_secret([channel.secret])
        keep_secret(_secret_parts(channel.url) if channel.url else (), pieces=False)
    rules = tuple(
        AlertRule(
            section.on,
            section.targets,
            section.tags,
            section.to,
            section.after,
            section.clear_after,
            section.remind_every,
        )
        for section in alerts
    )
    if made and not rules:
        rules = (AlertRule(DEFAULT_KINDS, ("*",), (), tuple(channel.name for channel in made)),)
    return AlertSettings(made, rules)


def _channel(section: ChannelSection, folder: Path, environment: Mapping[str, str]) -> Channel:
    url, where, problem = _value(section.url_env, section.url_file, folder, environment)
    url = section.url or url
    problem = problem or (url and _url_problem(section.type, url)) or None
    secret, belongs, wrong = _value(section.secret_env, section.secret_file, folder, environment)
    if (section.secret_env or section.secret_file) and secret is None:
        problem = problem or wrong or f"{belongs}: it signs the messages"
    return Channel(
        section.name,
        section.type,
        url,
        None if url else where,
        secret,
        problem,
        section.sender,
        section.recipients,
    )


def _value(
    variable: str | None, file: str | None, folder: Path, environment: Mapping[str, str]
) -> tuple[str | None, str | None, str | None]:
    """What a variable or an owner-only file holds, else what to do for it; and why the file cannot be used."""
    if variable is not None:
        return environment.get(variable, "").strip() or None, f"set {variable}", None
    if file is None:
        return None, None, None
    path = folder / file
    where = f"write it into {path}"
    try:
        if path.stat().st_mode & 0o077:
            return None, where, f"{path} holds a secret and can be read by others than its owner: chmod 600 {path}"
        return path.read_text(encoding="utf-8").strip() or None, where, None
    except FileNotFoundError:
        return None, where, None
    except (OSError, UnicodeDecodeError) as problem:
        return None, where, f"{path} could not be read: {problem}"


def _url_problem(kind: str, url: str) -> str | None:
    """What is wrong with a channel's URL, without showing it; null when nothing is."""
    wrong = f"its URL is not one that {kind} can use; write it as {_example(kind)}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return wrong
    schemes = _SCHEMES.get(kind)
    if not parts.scheme or any(not letter.isprintable() or letter == " " for letter in url):
        return wrong
    return wrong if schemes is not None and (parts.scheme not in schemes or not parts.hostname) else None


def _secret_parts(url: str) -> Iterator[str]:
    """What no text may have of a channel's URL: the URL itself, its login, and what in it is no word or host."""
    yield url
    with_login = urlsplit(url)
    for part in (with_login.username, with_login.password):
        if part:
            yield from (part, unquote(part))
    yield from (part for part in _PART.split(url) if not _HARMLESS.fullmatch(part))


def alert_findings(
    channels: Sequence[ChannelSection], alerts: Sequence[AlertSection], names: Collection[str]
) -> Iterator[Finding]:
    """What is wrong with channels and alerts that pydantic, which looks at each by itself, cannot see. `names`: of all
    targets.
    """
    seen: dict[str, int] = {}
    for number, channel in enumerate(channels):
        if channel.name in seen:
            place = ("channel", number, "name")
            yield Finding(
                place,
                f"channel {number + 1} is named {channel.name!r} as channel {seen[channel.name]} is; give "
                "each its own name",
            )
        seen.setdefault(channel.name, number + 1)
        if channel.url is not None and (problem := _url_problem(channel.type, channel.url)):
            yield Finding(("channel", number, "url"), f"channel {number + 1} ({channel.name!r}), url: {problem}")
    for number, alert in enumerate(alerts):
        what = f"alert {number + 1} ({', '.join(alert.on)})"
        for name in dict.fromkeys(alert.to):
            if name not in seen:
                known = f"there are {', '.join(map(repr, seen))}" if seen else "there is none: add a [[channel]]"
                yield Finding(("alert", number, "to"), f"{what}: there is no channel named {name!r}; {known}")
        for pattern in dict.fromkeys(alert.targets):
            if not any(matches(name, [pattern]) for name in names):
                yield Finding(("alert", number, "targets"), f"{what}: no target is named {pattern!r}; check the name")
