"""When targets are in maintenance: once or weekly, by the clock of a zone, also in the nights in which it changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from settings.maintenance import Maintenance, Window, current_and_next, from_json, to_json, window_at
from settings.targets import Config, ConfigError, parse

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def at(text: str) -> int:
    """Milliseconds of a moment in ISO 8601 with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def weekly(day: int, clock: str, hours: float, zone: str = "Europe/Berlin") -> Maintenance:
    hour, minute = clock.split(":")
    return Maintenance("m", days=(day,), at_minute=int(hour) * 60 + int(minute), for_s=hours * 3_600, time_zone=zone)


def bounds(planned: Maintenance, since: str, until: str) -> list[tuple[int, int]]:
    return [(window.began_at, window.ends_at) for window in planned.windows(at(since), at(until))]


SUNDAY = 6


def test_a_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    once = Maintenance("once", at("2026-12-01T22:00+01:00"), at("2026-12-02T00:00+01:00"))
    for moment, is_inside in (("20:59:59.999", False), ("21:00", True), ("22:59:59.999", True), ("23:00", False)):
        assert (window_at([once], at(f"2026-12-01T{moment}+00:00")) is not None) == is_inside, moment


def test_a_weekly_window_keeps_the_clocks_time_in_summer_and_in_winter() -> None:
    planned = weekly(SUNDAY, "04:00", 2)
    assert bounds(planned, "2026-07-05T00:00Z", "2026-07-06T00:00Z") == [
        (at("2026-07-05T02:00Z"), at("2026-07-05T04:00Z"))
    ]
    assert bounds(planned, "2026-12-06T00:00Z", "2026-12-07T00:00Z") == [
        (at("2026-12-06T03:00Z"), at("2026-12-06T05:00Z"))
    ]


@pytest.mark.parametrize(
    ("clock", "hours", "began", "ended"),
    [
        # in Berlin 2026-03-29 02:00 (01:00Z) becomes 03:00
        ("01:30", 1, "2026-03-29T00:30Z", "2026-03-29T01:30Z"),  # an hour, though the clock goes on to 03:30
        ("02:30", 1, "2026-03-29T01:30Z", "2026-03-29T02:30Z"),  # 02:30 is skipped: at 03:30 by the clock
        ("03:00", 1, "2026-03-29T01:00Z", "2026-03-29T02:00Z"),
    ],
)
def test_in_the_night_that_loses_an_hour_a_window_lasts_as_long_as_it_says(
    clock: str, hours: float, began: str, ended: str
) -> None:
    assert bounds(weekly(SUNDAY, clock, hours), "2026-03-28T12:00Z", "2026-03-29T12:00Z") == [(at(began), at(ended))]


@pytest.mark.parametrize(
    ("clock", "hours", "began", "ended"),
    [
        # in Berlin 2026-10-25 03:00 summer time (01:00Z) becomes 02:00
        ("02:30", 1, "2026-10-25T00:30Z", "2026-10-25T01:30Z"),  # the first 02:30, until the second
        ("01:00", 4, "2026-10-24T23:00Z", "2026-10-25T03:00Z"),  # four hours, until 04:00 by the clock
        ("03:00", 1, "2026-10-25T02:00Z", "2026-10-25T03:00Z"),
    ],
)
def test_in_the_night_that_gains_an_hour_a_window_begins_once(clock: str, hours: float, began: str, ended: str) -> None:
    assert bounds(weekly(SUNDAY, clock, hours), "2026-10-24T12:00Z", "2026-10-25T12:00Z") == [(at(began), at(ended))]


def test_a_window_that_began_days_ago_is_found_and_one_of_a_far_zone_by_its_own_day() -> None:
    long = weekly(SUNDAY, "12:00", 6 * 24, "UTC")  # until Saturday noon
    assert window_at([long], at("2026-12-12T11:59Z")) == Window(at("2026-12-06T12:00Z"), at("2026-12-12T12:00Z"), "m")
    assert window_at([long], at("2026-12-12T12:00Z")) is None
    kiritimati = weekly(SUNDAY, "01:00", 1, "Pacific/Kiritimati")  # 14 hours ahead: Saturday 11:00Z
    assert window_at([kiritimati], at("2026-12-05T11:30Z")) is not None
    assert window_at([kiritimati], at("2026-12-06T11:30Z")) is None


def test_current_and_next_windows_come_in_the_order_in_which_they_begin() -> None:
    once = Maintenance("move", at("2026-12-02T00:00Z"), at("2026-12-20T00:00Z"))
    far = Maintenance("far", at("2027-02-02T00:00Z"), at("2027-02-20T00:00Z"))
    found = current_and_next([weekly(SUNDAY, "02:00", 1, "UTC"), far, once], at("2026-12-05T00:00Z"))
    assert [(window.name, window.began_at) for window in found] == [
        ("move", at("2026-12-02T00:00Z")),
        ("m", at("2026-12-06T02:00Z")),
    ]


TARGETS = """
[[target]]
name = "a"
model = "m"
base_url = "http://127.0.0.1:9/v1"
tags = ["big"]
[[target]]
name = "b"
model = "m"
base_url = "http://127.0.0.1:9/v1"
"""


def config(section: str) -> Config:
    return parse(f"{TARGETS}[[maintenance]]\n{section}\n", Path("targets.toml"), {})


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "ab"),
        ('targets = ["*"]', "ab"),
        ('targets = ["b"]', "b"),
        ('tags = ["big"]', "a"),
        ('targets = ["b*"]\ntags = ["big"]', "ab"),
    ],
)
def test_a_window_is_for_the_targets_that_it_names_or_whose_tag(words: str, named: str) -> None:
    found = config(f'day = "sun"\nat = "02:00"\nfor = "2h"\n{words}').targets
    assert "".join(target.name for target in found if target.maintenance) == named


def test_the_section_is_read_in_each_of_its_forms() -> None:
    a, _ = config('from = 2026-12-01T22:00:00\nto = "2026-12-02 00:00"\ntime_zone = "Europe/Berlin"').targets
    assert a.maintenance == (Maintenance(None, at("2026-12-01T21:00Z"), at("2026-12-01T23:00Z")),)
    a, _ = config('from = 2026-12-01T22:00:00-05:00\nto = 2026-12-03\ntime_zone = "Europe/Berlin"').targets
    assert a.maintenance == (Maintenance(None, at("2026-12-02T03:00Z"), at("2026-12-02T23:00Z")),)
    a, _ = config('name = "n"\nday = ["Monday", "sun"]\nat = 02:30:00\nfor = "90m"').targets
    [planned] = a.maintenance
    assert (planned.days, planned.at_minute, planned.for_s, planned.time_zone) == ((0, 6), 150, 5_400, "UTC")
    assert from_json(to_json(a.maintenance)) == a.maintenance
    assert (to_json(()), from_json(None)) == (None, ())
    a, _ = config('day = "daily"\nat = "00:00"\nfor = 60').targets
    assert from_json(to_json(a.maintenance)) == a.maintenance == (Maintenance(days=tuple(range(7)), for_s=60),)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('day = "sunday"', "write either from and to, or day, at and for"),
        ('day = "sunday"\nat = "02:00"\nfor = "2h"\nfrom = 2026-12-01', "write either from and to, or day, at and for"),
        ("from = 2026-12-02\nto = 2026-12-01", "to is not later than from"),
        ('from = "soon"\nto = 2026-12-01', "write a date and a time, such as 2026-12-01T22:00:00"),
        ('day = "someday"\nat = "02:00"\nfor = "2h"', "'someday' is no day"),
        ('day = "sunday"\nat = "25:00"\nfor = "2h"', "'25:00' is no time of day"),
        ('day = "sunday"\nat = "02:00"\nfor = "8d"', "less than or equal to 604800"),
        (
            'day = "sunday"\nat = "02:00"\nfor = "2h"\ntime_zone = "Berlin"',
            "'Berlin' is no time zone: write it as Europe/Berlin",
        ),
        ('targets = ["aa"]\nday = "sunday"\nat = "02:00"\nfor = "2h"', "maintenance 1 names 'aa', and no target"),
        ('tags = ["bg"]\nday = "sunday"\nat = "02:00"\nfor = "2h"', "maintenance 1 has the tag 'bg', and no target"),
        ('start = 2026-12-01\nday = "sunday"', "did you mean 'from'"),
        ('weekday = "sunday"', "did you mean 'day'"),
        ('timezone = "UTC"', "did you mean 'time_zone'"),
        ('duration = "2h"', "did you mean 'for'"),
    ],
)
def test_a_wrong_section_is_refused_with_its_line_and_what_would_be_right(section: str, message: str) -> None:
    with pytest.raises(ConfigError) as problem:
        config(section)
    assert message in str(problem.value)
    assert "targets.toml, line 1" in str(problem.value)
