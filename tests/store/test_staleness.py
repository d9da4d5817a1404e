from __future__ import annotations

from store.schema import Run
from store.staleness import stale_since
from tests.factories import HOUR, MINUTE, NOON, SECOND, probe, target


def _runs(*ended_at: int) -> list[Run]:
    return [Run("probe", at - 100, "here", at, 1) for at in ended_at]


def test_what_is_from_the_future_is_no_sign_of_life() -> None:
    probes, runs = [probe(NOON), probe(NOON + HOUR)], [*_runs(NOON), *_runs(NOON + 500 * 24 * HOUR)]
    assert stale_since(probes, runs, [target()], NOON + MINUTE) is None
    assert stale_since(probes, runs, [target()], NOON + 5 * MINUTE) == NOON


def test_a_collector_that_runs_is_fresh() -> None:
    assert stale_since([probe(NOON)], _runs(NOON), [target()], NOON + 2 * MINUTE) is None


def test_it_has_stopped_after_two_of_the_shortest_intervals_and_a_little() -> None:
    targets = [target(), target("slow", every_s=1_800.0)]
    probes = [probe(NOON), probe(NOON, target="slow")]
    assert stale_since(probes, [], targets, NOON + 2 * MINUTE + 15 * SECOND) is None
    assert stale_since(probes, [], targets, NOON + 2 * MINUTE + 15 * SECOND + 1) == NOON


def test_a_run_that_only_skipped_is_a_sign_of_life() -> None:
    assert stale_since([probe(NOON)], _runs(NOON + HOUR), [target()], NOON + HOUR + MINUTE) is None


def test_a_relay_that_runs_is_no_sign_that_the_collector_does() -> None:
    relay = [Run("relay", NOON + n * MINUTE, "here", NOON + (n + 1) * MINUTE, 5) for n in range(60)]
    assert stale_since([probe(NOON)], [*_runs(NOON), *relay], [target()], NOON + HOUR) == NOON


def test_a_timer_is_held_to_its_own_rhythm() -> None:
    runs = _runs(*(NOON - n * 10 * MINUTE for n in range(5)))
    assert stale_since([probe(NOON)], runs, [target()], NOON + 20 * MINUTE) is None
    assert stale_since([probe(NOON)], runs, [target()], NOON + 22 * MINUTE) == NOON


def test_where_nothing_is_to_be_probed_nothing_has_stopped() -> None:
    assert stale_since([], [], [], NOON) is None
    assert stale_since([probe(NOON)], [], [target(state="removed")], NOON + HOUR) is None
    assert stale_since([], [], [target()], NOON + 10 * SECOND) is None
