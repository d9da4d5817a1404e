from __future__ import annotations

from datetime import date

import pandas as pd

from stats.tokens import DayTokens, tokens_per_day
from tests.factories import HOUR, NOON, probe
from tests.stats.samples import told, whole


def test_tokens_are_summed_by_the_viewers_day() -> None:
    probes = told(
        [
            probe(NOON, cost_usd=0.25),
            probe(NOON + 11 * HOUR + HOUR // 2, prompt_tokens=1, completion_tokens=None, cost_usd=None),
            probe(NOON + 24 * HOUR, "timeout", prompt_tokens=None, completion_tokens=None),
        ]
    )
    utc = tokens_per_day(probes)
    assert utc == [DayTokens(date(2026, 11, 24), 31, 16, 2, 0.25), DayTokens(date(2026, 11, 25), 0, 0, 1, None)]
    assert [day.requests for day in tokens_per_day(probes, "Europe/Berlin")] == [1, 2]


def test_no_probe_is_no_day() -> None:
    assert tokens_per_day([]) == []


def test_answers_count_only_what_could_be_checked() -> None:
    seen = whole([probe(NOON), probe(NOON + 1, answer_ok=False), probe(NOON + 2, answer_ok=None)]).answers()
    assert (seen.right, seen.checked, seen.share) == (1, 2, 0.5)
    assert whole([]).answers().share is None


def test_a_day_of_25_hours_one_of_23_and_a_leap_day_are_days() -> None:
    def hourly(first: str, last: str, zone: str) -> list[tuple[str, int]]:
        moments = pd.date_range(first, last, freq="h", tz="UTC", inclusive="left")
        found = tokens_per_day(told([probe(round(at.timestamp() * 1_000)) for at in moments]), zone)
        return [(str(day.day), day.requests) for day in found]

    assert hourly("2026-10-24T22:00", "2026-10-26T23:00", "Europe/Berlin") == [("2026-10-25", 25), ("2026-10-26", 24)]
    assert hourly("2027-03-27T23:00", "2027-03-29T22:00", "Europe/Berlin") == [("2027-03-28", 23), ("2027-03-29", 24)]
    assert hourly("2028-02-28", "2028-03-02", "UTC") == [("2028-02-28", 24), ("2028-02-29", 24), ("2028-03-01", 24)]
