"""Whose network it is when no host can be reached."""

from __future__ import annotations

import pytest

from collectors.contract import Reachability, Result
from collectors.scheduler.offline_detection import OWN_NETWORK, detect_offline
from store.schema import Probe
from tests.factories import probe

pytestmark = pytest.mark.waits


def _failed(host: str, *, unreached: bool = True, own: bool = False) -> Result:
    return Result(probe(outcome="connection_error", target=host), Reachability(host, unreached, own))


def test_when_every_host_is_unreachable_it_is_our_own_network() -> None:
    rows = [result.row for result in detect_offline([_failed("a"), _failed("b")])]
    assert [(row.outcome, row.error) for row in rows if isinstance(row, Probe)] == [("offline", OWN_NETWORK)] * 2


@pytest.mark.parametrize(
    "results",
    [
        [_failed("a")],
        [_failed("a"), _failed("a")],
        [_failed("a"), _failed("b", unreached=False)],
        [_failed("a"), Result(probe(), Reachability("b", False, False))],
    ],
    ids=["one host", "one host twice", "one was reached", "one answered"],
)
def test_otherwise_it_is_theirs(results: list[Result]) -> None:
    assert all(result.row.outcome != "offline" for result in detect_offline(results) if isinstance(result.row, Probe))


def test_one_host_is_enough_when_the_system_says_that_there_is_no_network() -> None:
    [result] = detect_offline([_failed("a", own=True)])
    assert isinstance(result.row, Probe)
    assert result.row.outcome == "offline"
