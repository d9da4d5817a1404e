"""Outages: overlapping incidents of several locations are one."""

from __future__ import annotations

from stats.incidents import Incident
from stats.outages import Outage, outages


def incident(began_at: int, ended_at: int | None, seen_until: int = 1_000, *, is_known_now: bool = True) -> Incident:
    return Incident(began_at, ended_at, seen_until, is_known_now, "timeout", 2, "secret")


def test_incidents_of_one_location_stay_apart() -> None:
    found = outages([[incident(10, 20), incident(20, 30)]])
    assert [(o.began_at, o.ended_at, o.locations) for o in found] == [(10, 20, 1), (20, 30, 1)]


def test_a_chain_of_overlapping_incidents_is_one_outage_from_the_first_beginning_to_the_last_end() -> None:
    found = outages([[incident(10, 20), incident(25, 40)], [incident(15, 30)], [incident(50, 60)]])
    assert found == [Outage(10, 40, 40, False, 2), Outage(50, 60, 60, False, 1)]


def test_an_outage_is_open_while_one_location_still_sees_it() -> None:
    assert outages([[incident(10, 20)], [incident(15, None)]]) == [Outage(10, None, 1_000, True, 2)]
    stopped = incident(15, None, 90, is_known_now=False)
    assert outages([[incident(10, 20)], [stopped]]) == [Outage(10, None, 90, False, 2)]
    assert outages([[stopped]])[0].duration_s == 0.075


def test_without_incidents_there_is_no_outage() -> None:
    assert outages([]) == outages([[], []]) == []
