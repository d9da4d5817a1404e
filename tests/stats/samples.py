"""Roll-ups of probes for the statistics' tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

from stats.providers import RoutedProbe
from stats.summary import Summary, summary
from store.rollups import HOURS, Grid, Observation, Rollup, accumulate
from store.schema import Probe
from tests.factories import MINUTE, NOON

MINUTES = Grid(NOON, MINUTE, MINUTE)


def told(probes: Iterable[Probe], grid: Grid = MINUTES) -> list[Rollup]:
    """What the probes come to by the minute, with their values, as a short range is read."""
    observed = attrgetter(*Observation._fields)
    return accumulate((Observation._make(observed(probe)) for probe in probes), lambda _: grid)


def kept(probes: Iterable[Probe]) -> list[Rollup]:
    """What they come to by the hour, as the store keeps it: without their values."""
    return [replace(rollup, values=None) for rollup in told(probes, HOURS)]


def whole(probes: Iterable[Probe]) -> Summary:
    """All of them together."""
    return summary(told(probes))


def routed(probes: Iterable[Probe]) -> list[RoutedProbe]:
    """What a page reads of them to tell how providers did."""
    read = attrgetter(*RoutedProbe._fields)
    return [RoutedProbe._make(read(probe)) for probe in probes]
