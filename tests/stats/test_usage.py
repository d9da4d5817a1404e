"""Tokens by day, version, app and provider."""

from __future__ import annotations

from stats.usage import TokensByPart, by_day, shares, totals
from store.schema import Usage
from tests.factories import DAY, NOON, usage

MIDNIGHT = NOON - NOON % DAY


def test_by_day_and_version_the_largest_first_and_a_day_that_was_not_told_is_missing() -> None:
    rows = [
        usage("m", MIDNIGHT, variant="free", tokens=10),
        usage("m", MIDNIGHT, variant="standard", tokens=30),
        usage("m", MIDNIGHT + 2 * DAY, variant="standard", tokens=5),
        usage("m", MIDNIGHT, variant="batch", tokens=None),
    ]
    found = by_day(rows, "variant")
    assert [str(day) for day in found.days] == ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert list(found.parts.items()) == [("standard", (30, None, 5)), ("free", (10, None, None))]
    assert shares(found).parts == {"standard": (0.75, None, 1.0), "free": (0.25, None, None)}
    assert by_day([], "variant") == shares(by_day([], "variant")) == TokensByPart()


def test_beyond_eight_the_rest_is_one() -> None:
    found = by_day([usage("m", MIDNIGHT, app=f"a{n}", tokens=100 - n) for n in range(12)], "app")
    assert list(found.parts) == [*(f"a{n}" for n in range(7)), "others"]
    assert list(found.parts["others"]) == [sum(100 - n for n in range(7, 12))]


def test_totals_add_what_was_told_and_keep_what_never_was_null() -> None:
    rows = [
        Usage("openrouter_apps", MIDNIGHT, app="x", tokens=5, requests=1),
        Usage("openrouter_apps", MIDNIGHT + DAY, app="x", tokens=6),
        Usage("openrouter_apps", MIDNIGHT, app="y", tokens=50, cost_usd=0.5),
    ]
    y, x = totals(rows, "app")
    assert (y.name, y.tokens, y.requests, y.cost_usd) == ("y", 50, None, 0.5)
    assert (x.name, x.tokens, x.requests, x.cost_usd) == ("x", 11, 1, None)
