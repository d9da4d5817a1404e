"""`[[maintenance]]`: windows in which targets are not probed, once or every week, by the clock of a time zone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from settings.base import Section
from settings.durations import seconds, shorten
from settings.target_selection import selects

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Window:
    """One maintenance window: `began_at` <= t < `ends_at`, in milliseconds UTC."""

    began_at: int
    ends_at: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """When targets are not probed: once, from `began_at` to `ends_at` (milliseconds UTC), or for `for_s` seconds from
    `at_minute` (since midnight, by the clock of `time_zone`) on each of `days` (Monday is 0).
    """

    name: str | None = None
    began_at: int | None = None
    ends_at: int | None = None
    days: tuple[int, ...] = ()
    at_minute: int = 0
    for_s: float = 0.0
    time_zone: str = "UTC"

    def windows(self, since: int, until: int) -> Iterator[Window]:
        """The windows that a range (milliseconds UTC) has a part of, oldest first.

        A weekly one begins by the clock and lasts as long as it says, also in the night in which the clock changes.
        Where its moment is skipped then it begins as much later; where it comes twice, the first time.
        """
        if self.began_at is not None and self.ends_at is not None:
            if self.began_at < until and since < self.ends_at:
                yield Window(self.began_at, self.ends_at, self.name)
            return
        zone, length_ms = ZoneInfo(self.time_zone), round(self.for_s * 1_000)
        day = _day(since - length_ms, zone) - timedelta(days=1)
        last = _day(until, zone) + timedelta(days=1)
        while day <= last:
            if day.weekday() in self.days:
                clock = datetime.combine(day, time(self.at_minute // 60, self.at_minute % 60), zone)
                began_at = round(clock.timestamp() * 1_000)
                if began_at < until and since < began_at + length_ms:
                    yield Window(began_at, began_at + length_ms, self.name)
            day += timedelta(days=1)


def _day(moment: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(moment / 1_000, zone).date()


def window_at(planned: Iterable[Maintenance], moment: int) -> Window | None:
    """The window that a moment (milliseconds UTC) lies in, the one that ends last; null when it lies in none."""
    found = [window for each in planned for window in each.windows(moment, moment + 1)]
    return max(found, key=lambda window: window.ends_at, default=None)


def current_and_next(planned: Iterable[Maintenance], now: int, within_ms: int = WEEK_MS) -> list[Window]:
    """The windows that are open, and those that begin within a time, in the order in which they begin."""
    found = {window for each in planned for window in each.windows(now, now + within_ms)}
    return sorted(found, key=lambda window: (window.began_at, window.ends_at, window.name or ""))


def to_json(planned: Sequence[Maintenance]) -> str | None:
    """For the store, whose readers know no configuration; null for none."""
    if not planned:
        return None
    return json.dumps([{name: value for name, value in asdict(each).items() if value} for each in planned])


def from_json(text: str | None) -> tuple[Maintenance, ...]:
    """What `to_json` made."""
    return tuple(Maintenance(**{**each, "days": tuple(each.get("days", ()))}) for each in json.loads(text or "[]"))


# -- the section


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError("write a date and a time, such as 2026-12-01T22:00:00 or 2026-12-01T22:00:00+01:00")
    return value


def _days(value: Any) -> tuple[int, ...]:
    names = [value] if isinstance(value, str) else value
    if names == ["daily"]:
        return tuple(range(7))
    if not isinstance(names, list | tuple) or not names:
        raise ValueError('write a day, such as "sunday", a list of days, or "daily"')
    numbers = []
    for name in names:
        plain = str(name).strip().lower()
        found = [number for number, day in enumerate(DAYS) if len(plain) >= 2 and day.startswith(plain)]
        if not found:
            raise ValueError(f'{shorten(name)} is no day: write "sunday", a list of days, or "daily"')
        numbers += found
    return tuple(sorted(set(numbers)))


def _minute(value: Any) -> int:
    if isinstance(value, time):
        value = value.strftime("%H:%M")
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{shorten(value)} is no time of day: write it as "02:00"')
    return int(found[1]) * 60 + int(found[2])


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{shorten(name)} is no time zone: write it as Europe/Berlin, or leave it out for UTC"
        ) from None
    return name


class _Section(Section):
    name: str | None = Field(None, min_length=1, max_length=200)
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    day: Annotated[tuple[int, ...], BeforeValidator(_days)] | None = None
    at: Annotated[int, BeforeValidator(_minute)] | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _is_once_or_weekly(self) -> _Section:
        once = [getattr(self, key) is not None for key in ("from", "to")]
        weekly = [getattr(self, key) is not None for key in ("day", "at", "for")]
        if (all(once), any(weekly)) != (True, False) and (any(once), all(weekly)) != (False, True):
            raise ValueError('write either from and to, or day, at and for: day = "sunday", at = "02:00", for = "2h"')
        if all(once) and self._at("from") >= self._at("to"):
            raise ValueError("to is not later than from")
        return self

    def _at(self, key: str) -> int:
        """Milliseconds UTC; a time without an offset is by the clock of the time zone."""
        given: datetime = getattr(self, key)
        return round((given if given.tzinfo else given.replace(tzinfo=ZoneInfo(self.time_zone))).timestamp() * 1_000)

    def applies_to(self, name: str, tags: Iterable[str]) -> bool:
        """Whether a target is named, or has one of the tags; without either all are."""
        return not (self.targets or self.tags) or selects(self.targets, self.tags, name, tags)

    def maintenance(self) -> Maintenance:
        """What is planned."""
        if getattr(self, "from") is not None:
            return Maintenance(self.name, self._at("from"), self._at("to"))
        length_s: float = getattr(self, "for")
        return Maintenance(
            self.name,
            days=self.day or (),
            at_minute=self.at or 0,
            for_s=length_s,
            time_zone=self.time_zone,
        )


Length = Annotated[float, BeforeValidator(seconds), Field(ge=1, le=7 * 86_400)]
_Moment = Annotated[datetime, BeforeValidator(_moment)]
_FIELDS: dict[str, Any] = {"from": (_Moment | None, None), "to": (_Moment | None, None), "for": (Length | None, None)}
if TYPE_CHECKING:

    class MaintenanceSection(_Section):
        """`[[maintenance]]`: which targets, and when."""

else:  # `from` and `for` are words of Python's own, which no class statement can have
    MaintenanceSection = create_model("MaintenanceSection", __base__=_Section, **_FIELDS)


def describe(window: Window) -> str:
    """`maintenance "Restart" until 2026-12-06T03:00Z`."""
    until = datetime.fromtimestamp(window.ends_at / 1_000, UTC).strftime("%Y-%m-%dT%H:%MZ")
    return f"maintenance{f' ({window.name})' if window.name else ''} until {until}"
