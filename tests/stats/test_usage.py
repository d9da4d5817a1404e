"""Tokens by day, version, app and provider."""

from __future__ import annotations

import pandas as pd

from stats.usage import by_day, shares, totals
from store.rows import Usage
from tests.factories import DAY, NOON, usage

MIDNIGHT = NOON - NOON % DAY


def test_by_day_and_version_the_largest_first_and_a_day_that_was_not_told_is_missing() -> None:
    rows = [
        usage("m", MIDNIGHT, variant="free", tokens=10),
        usage("m", MIDNIGHT, variant="standard", tokens=30),
        usage("m", MIDNIGHT + 2 * DAY, variant="standard", tokens=5),
        usage("m", MIDNIGHT, variant="batch", tokens=None),
    ]
    table = by_day(rows, "variant")
    assert list(table.columns) == ["standard", "free"]
    assert [str(day) for day in table.index] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert table["standard"].tolist()[::2] == [30, 5]
    assert table.iloc[1].isna().all() and pd.isna(table["free"].iloc[2])
    assert shares(table).iloc[0].tolist() == [0.75, 0.25]
    assert by_day([], "variant").empty


def test_beyond_eight_the_rest_is_one() -> None:
    table = by_day([usage("m", MIDNIGHT, app=f"a{n}", tokens=100 - n) for n in range(12)], "app")
    assert list(table.columns) == [*(f"a{n}" for n in range(7)), "others"]
    assert table["others"].tolist() == [sum(100 - n for n in range(7, 12))]


def test_totals_add_what_was_told_and_keep_what_never_was_null() -> None:
    rows = [
        Usage("openrouter_apps", MIDNIGHT, app="x", tokens=5, requests=1),
        Usage("openrouter_apps", MIDNIGHT + DAY, app="x", tokens=6),
        Usage("openrouter_apps", MIDNIGHT, app="y", tokens=50, cost_usd=0.5),
    ]
    y, x = totals(rows, "app")
    assert (y.name, y.tokens, y.requests, y.cost_usd) == ("y", 50, None, 0.5)
    assert (x.name, x.tokens, x.requests, x.cost_usd) == ("x", 11, 1, None)
