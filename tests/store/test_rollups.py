"""Roll-ups and incidents: what they come to, and that no order of events makes them drift. Run over every store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import Selection, Store, open_store
from store.arrays import buckets_of
from store.capability_tables import CAPABILITIES, CapabilityTest
from store.identity_tables import IDENTITY_CHECKS, IDENTITY_EPOCHS, IdentityCheck, IdentityEpoch
from store.incidents import Event, find_incidents
from store.rollup_plan import Range, available_range, rollups_of
from store.rollups import COLUMNS, COUNTED, STEP_MS
from store.schema import DAILY, HOURLY, INCIDENTS, PROBES, Hour, Incident, Probe
from store.sketch import GAMMA, SMALLEST, bucket_of, merge_sketch, pack_sketch, quantiles, unpack_sketch, value_of
from store.sqlite import SqliteStore
from store.workload_tables import WORKLOADS, WorkloadRequest
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.store.stores import STORES, opened

MIDNIGHT = NOON - NOON % DAY


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    yield from opened(request.param, tmp_path)


def everything(store: Store) -> dict[str, Any]:
    """All that is made of the probes."""
    return {
        "hour": list(store.rollups("hour")),
        "day": list(store.rollups("day")),
        "block": list(store.rollups("block")),
        "incidents": list(store.read(INCIDENTS)),
    }


def hours(store: Store, **more: Any) -> list[Hour]:
    return [Hour(*row) for row in store.read(HOURLY, Selection(**more))]


# -- what they come to


def test_an_hour_counts_outcomes_sums_seconds_and_keeps_percentiles(store: Store) -> None:
    store.write(
        [
            probe(NOON, ttft_ms=100.0, cost_usd=0.25, prompt_tokens=10, completion_tokens=2),
            probe(NOON + MINUTE, ttft_ms=300.0, cost_usd=None, prompt_tokens=10, completion_tokens=2),
            probe(NOON + 2 * MINUTE, ttft_ms=9_000.0, lag_ms=50.0),  # the collector's machine was overloaded
            probe(NOON + 3 * MINUTE, "timeout", stands_for_s=0.0),
            probe(NOON + 4 * MINUTE, "timeout", stands_for_s=120.0),
            probe(NOON + 5 * MINUTE, "rate_limited"),
            probe(NOON + HOUR, "ok"),
            probe(NOON + HOUR + MINUTE, "internal_error"),  # may have been billed: nobody knows how far it came
        ]
    )
    first, second = hours(store)
    assert (first.hour, first.up_s, first.down_s, first.not_counted_s) == (NOON, 180, 120, 60)
    assert (first.ok, first.failed, first.not_counted) == (3, 2, 1)
    assert first.ttft_p50_ms == pytest.approx(200, rel=0.01)
    assert first.ttft_p99_ms == pytest.approx(298, rel=0.01)
    assert (first.prompt_tokens, first.completion_tokens, first.cost_usd) == (50, 20, 0.25)
    assert (second.hour, second.ok, second.failed, second.not_counted) == (NOON + HOUR, 1, 0, 1)
    [day] = store.read(DAILY)
    assert day[:7] == ("Gemma", "here", "ping", MIDNIGHT, 240, 120, 120)
    for step in STEP_MS:
        assert sum(row[-1] for row in store.rollups(step, columns=("internal_error",))) == 1
    # at a price that nobody knows: three good replies, two timeouts, and the error of our own
    assert [row[-2:] for row in store.rollups("day", columns=("priced", "unpriced"))] == [(1, 6)]


def test_a_selection_is_by_the_moment_that_an_hour_or_day_began(store: Store) -> None:
    store.write([probe(NOON + n * HOUR, target=name) for n in range(30) for name in "ab"])
    chosen = Selection(NOON + HOUR, NOON + 3 * HOUR, ("b",))
    assert [(row[0], row[3]) for row in store.rollups("hour", chosen, ("ok",))] == [
        ("b", NOON + HOUR),
        ("b", NOON + 2 * HOUR),
    ]
    assert store.count(HOURLY, chosen) == 2
    assert [row[3:] for row in store.rollups("day", Selection(targets=("a",)), ("ok",))] == [
        (MIDNIGHT, 12),
        (MIDNIGHT + DAY, 18),
    ]
    newest = list(store.read(HOURLY, newest_first=True, limit=1, columns=("hour",)))
    assert newest == [(NOON + 29 * HOUR,)]


def test_cells_tell_an_hour_in_five_minutes_and_a_day_in_hours(store: Store) -> None:
    store.write([probe(NOON + 7 * MINUTE), probe(NOON + 8 * MINUTE, "timeout"), probe(NOON + 9 * MINUTE, "offline")])
    [(*_, cells)] = store.rollups("hour", columns=("cells",))
    told = np.frombuffer(cells, "<u4").reshape(12, 3)
    assert told[1].tolist() == [60_000, 60_000, 60_000]
    assert told.sum() == 180_000
    [(*_, cells)] = store.rollups("day", columns=("cells",))
    assert np.frombuffer(cells, "<u4").reshape(24, 3)[12].tolist() == [60_000, 60_000, 60_000]
    [(*_, began, cells)] = store.rollups("block", columns=("cells",))
    days = np.frombuffer(cells, "<u4").reshape(16, 3)
    assert days[(NOON - began) // DAY].tolist() == [60_000, 60_000, 60_000]


def test_what_an_import_brings_and_cannot_be_is_kept_and_rolled_up_as_nothing(store: Store) -> None:
    odd = [
        probe(NOON, "ok", stands_for_s=-5.0, prompt_tokens=-1, cost_usd=-2.0, ttft_ms=-1.0, total_ms=1e300),
        probe(NOON + 1, "no_such_outcome"),
        probe(-5, "ok"),
        probe(2**62, "ok"),
    ]
    assert store.write(odd) == 4
    assert store.count(PROBES) == 4
    [hour] = hours(store)
    assert (hour.ok, hour.failed, hour.up_s, hour.prompt_tokens, hour.cost_usd) == (1, 0, 0, 0, 0)


# -- incidents


def incidents(store: Store) -> list[tuple[int, int | None, str, int]]:
    rows = [Incident(*row) for row in store.read(INCIDENTS)]
    return [(row.began_at, row.ended_at, row.cause, row.probes) for row in rows]


def at(minute: int, outcome: str = "ok", **more: Any) -> Probe:
    return probe(NOON + minute * MINUTE, outcome, **more)


def test_two_failures_in_a_row_open_an_incident_and_a_success_ends_it(store: Store) -> None:
    store.write([at(0), at(1, "timeout")])
    assert incidents(store) == []
    store.write([at(2, "server_error", error="HTTP 503")])
    assert incidents(store) == [(NOON + MINUTE, None, "timeout", 2)]
    store.write([at(3, "rate_limited")])
    store.write([at(4, "server_error", error="HTTP 500")])
    assert incidents(store) == [(NOON + MINUTE, None, "server_error", 3)]
    store.write([at(5)])
    assert incidents(store) == [(NOON + MINUTE, NOON + 5 * MINUTE, "server_error", 3)]
    [row] = store.read(INCIDENTS, columns=("error",))
    assert row == ("HTTP 500",)


def test_the_last_incident_of_each_series_is_found_however_long_ago_it_began(store: Store) -> None:
    """Down for 70 days, then up; another target had two short ones; a third one failed once, which is no incident."""
    store.write(probe(NOON - DAY + n * HOUR, target="long") for n in range(24))
    store.write(probe(NOON + n * HOUR, "timeout", target="long") for n in range(70 * 24))
    store.write([probe(NOON + 70 * DAY, target="long")])
    for began in (NOON + 66 * DAY, NOON + 68 * DAY):
        store.write(probe(began + n * MINUTE, "server_error" if n < 3 else "ok", target="short") for n in range(5))
    store.write(probe(NOON + n * HOUR, "timeout" if n == 5 else "ok", target="once") for n in range(10))
    last = store.last_incidents

    def found(before: int, *names: str) -> list[tuple[str, int, int | None, int]]:
        return sorted((row[0], row[3], row[4], row[6]) for row in last(before, names))

    long, first = ("long", NOON, NOON + 70 * DAY, 70 * 24), ("short", NOON + 66 * DAY, NOON + 66 * DAY + 3 * MINUTE, 3)
    second = ("short", NOON + 68 * DAY, NOON + 68 * DAY + 3 * MINUTE, 3)
    assert found(NOON) == []
    assert found(NOON + 1) == [long]
    assert found(NOON + 40 * DAY) == [long]
    assert found(NOON + 67 * DAY) == [long, first]
    assert found(NOON + 69 * DAY) == [long, second]
    assert found(NOON + 69 * DAY, "short") == [second]
    assert found(NOON + 69 * DAY, "once") == []


def test_a_late_success_splits_an_incident_and_a_late_failure_makes_one(store: Store) -> None:
    store.write([at(0), *(at(n, "timeout") for n in (1, 2, 4, 5)), at(6)])
    store.write([at(3)])
    assert incidents(store) == [
        (NOON + MINUTE, NOON + 3 * MINUTE, "timeout", 2),
        (NOON + 4 * MINUTE, NOON + 6 * MINUTE, "timeout", 2),
    ]
    store.write([at(8, "timeout"), at(10)])
    store.write([at(9, "timeout")])
    assert incidents(store)[2] == (NOON + 8 * MINUTE, NOON + 10 * MINUTE, "timeout", 2)


# -- no drift

PROBES_OF = st.builds(
    lambda minute, outcome, target, profile, ms, cost: probe(
        MIDNIGHT - 2 * HOUR + minute * 7 * MINUTE,
        outcome,
        target=target,
        profile=profile,
        stands_for_s=0.1 + minute % 3 * 60,
        ttft_ms=ms if outcome == "ok" else None,
        cost_usd=cost,
    ),
    st.integers(0, 40),
    st.sampled_from(["ok", "ok", "timeout", "server_error", "rate_limited"]),
    st.sampled_from("ab"),
    st.sampled_from(["ping", "throughput"]),
    st.floats(0.01, 1e5),
    st.none() | st.floats(0, 0.01),
)


@pytest.mark.thorough
@settings(max_examples=60)
@given(
    st.lists(PROBES_OF, max_size=40, unique_by=lambda p: (p.target, p.started_at, p.profile)),
    st.randoms(use_true_random=False),
)
def test_any_order_of_inserts_comes_to_the_same_and_so_does_a_rebuild(
    tmp_path_factory: Any, probes: list[Probe], chance: Any
) -> None:
    folder = tmp_path_factory.mktemp("drift")
    one, other = (open_store(f"sqlite:///{folder}/{name}.db") for name in "ab")
    one.write(probes)
    shuffled = probes.copy()
    chance.shuffle(shuffled)
    while shuffled:
        count = chance.randint(1, 6)
        other.write([*shuffled[:count], *chance.sample(probes, min(2, len(probes)))])  # some come twice
        del shuffled[:count]
    made = everything(one)
    assert everything(other) == made
    assert other.rebuild() == len(probes)
    assert everything(other) == made
    by_hand = {
        (target, profile): list(
            find_incidents(
                (target, "here", profile),
                [
                    Event(p.started_at, p.outcome, p.error)
                    for p in sorted(probes, key=lambda p: p.started_at)
                    if (p.target, p.profile) == (target, profile)
                ],
            )
        )
        for target in "ab"
        for profile in ("ping", "throughput")
    }
    listed = [Incident(*row) for row in one.read(INCIDENTS)]
    assert {
        key: [(i.began_at, i.ended_at, i.probes) for i in listed if (i.target, i.profile) == key] for key in by_hand
    } == {key: [(s.began_at, s.ended_at, s.probes) for s in found] for key, found in by_hand.items()}
    one.close()
    other.close()


def test_when_a_write_fails_the_roll_ups_are_as_they_were(store: Store) -> None:
    store.write([at(0)])
    before = everything(store)

    def rows() -> Any:
        yield at(1, "timeout")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        store.write(rows())
    assert everything(store) == before


# -- forgetting


def test_raw_probes_are_forgotten_by_whole_days_and_their_roll_ups_stay(store: Store) -> None:
    store.write([probe(MIDNIGHT + n * HOUR, "ok" if n % 5 else "timeout") for n in range(-48, 30)])
    before = everything(store)
    assert store.prune(MIDNIGHT + 3 * HOUR) == 48
    assert store.prune(MIDNIGHT + 3 * HOUR) == 0
    assert min(row[0] for row in store.read(PROBES, columns=("started_at",))) == MIDNIGHT
    assert everything(store) == before
    assert store.rebuild() == 30
    assert everything(store) == before


@pytest.fixture(scope="module")
def long(tmp_path_factory: Any) -> Iterator[Store]:
    """Sixty days of one an hour."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('long')}/long.db")
    store.write([probe(MIDNIGHT - n * HOUR) for n in range(60 * 24)])
    yield store
    store.close()


@settings(max_examples=60)
@given(st.integers(0, 61 * DAY), st.integers(1, 61 * DAY), st.booleans())
def test_a_range_with_any_edges_and_grain_has_exactly_its_probes(
    long: Store, ago: int, length: int, coarse: bool
) -> None:
    told = Range(MIDNIGHT - ago, MIDNIGHT + length - ago)
    found = rollups_of(long, (), told, coarse=coarse)
    assert sum(rollup.requests for rollup in found) == long.count(PROBES, Selection(told.since, told.until))
    assert len(found) <= (2 * 25 + (2 * 15 + 3) if coarse else 8 * 24 + 61)


def test_where_raw_probes_are_pruned_a_range_is_whole_hours(store: Store) -> None:
    store.write([probe(MIDNIGHT + n * HOUR) for n in range(-48, 30)])
    asked = Range(MIDNIGHT - DAY + 1, MIDNIGHT + 3 * HOUR + 1)
    assert available_range(store, asked) == asked
    store.prune(MIDNIGHT)
    told = available_range(store, asked)
    assert told == Range(MIDNIGHT - DAY, asked.until)
    assert sum(rollup.requests for rollup in rollups_of(store, (), told)) == 24 + 4


def test_what_was_forgotten_and_comes_again_is_not_counted_twice(store: Store) -> None:
    old = [probe(MIDNIGHT - n * HOUR) for n in range(1, 20)]
    store.write([*old, probe(NOON)])
    store.prune(MIDNIGHT)
    before = everything(store)
    assert store.write(old) == 0
    assert everything(store) == before


def test_checks_are_pruned_by_a_limit_of_their_own_and_epochs_stay(store: Store) -> None:
    days = [MIDNIGHT - n * DAY - HOUR for n in range(4)]
    epoch = IdentityEpoch("a", "here", days[3], "logprobs", days[3])
    store.write([epoch, *(IdentityCheck("a", at, "here", "logprobs", "ok", 2) for at in days)])
    store.write([CapabilityTest("a", at, "here", "tools", "holds", "ok", 1) for at in days])
    store.write([WorkloadRequest("a", at, "here", "ladder", "size", 100, "ok") for at in days])
    assert store.prune(MIDNIGHT) == 0
    while store.prune(MIDNIGHT, MIDNIGHT - 2 * DAY + HOUR):
        pass
    for table in (IDENTITY_CHECKS, CAPABILITIES, WORKLOADS):
        assert sorted(at for (at,) in store.read(table, columns=("started_at",))) == [days[1], days[0]]
    assert store.count(IDENTITY_EPOCHS) == 1


def test_the_newest_probe_of_a_series_is_never_forgotten(store: Store) -> None:
    store.write([probe(MIDNIGHT - DAY), probe(MIDNIGHT - DAY + 1), probe(NOON, target="other")])
    assert store.prune(MIDNIGHT) == 1
    assert [s.newest.started_at for s in store.series()] == [MIDNIGHT - DAY + 1, NOON]


def test_forgetting_goes_in_steps(store: Store) -> None:
    store.write([probe(MIDNIGHT - DAY + n * 1_000) for n in range(5_000)])
    store.write([probe(NOON)])
    steps = []
    while gone := store.prune(MIDNIGHT):
        steps.append(gone)
    assert sum(steps) == 5_000
    assert max(steps) <= 2_000 or not isinstance(store, SqliteStore)  # where a delete would hold others up


# -- the sketch


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=400), st.floats(0, 1))
def test_a_quantile_of_a_sketch_is_within_one_percent_of_the_exact_one(values: list[float], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    [found] = quantiles(counts, [share])
    assert found == pytest.approx(float(np.quantile(values, share)), rel=0.0101)


def test_a_bucket_s_value_is_within_one_percent_of_all_that_falls_into_it() -> None:
    for value in np.geomspace(1e-3, 1e10, 5_000):
        assert abs(value_of(bucket_of(value)) - value) <= 0.01001 * value
    assert bucket_of(0) == bucket_of(-5) == 0
    assert bucket_of(1e300) == bucket_of(1e12)


def test_many_values_fall_into_the_buckets_that_each_falls_into_alone_at_the_edges_too() -> None:
    edges = [SMALLEST * GAMMA**place for place in range(1_400)]
    values = [*edges, *np.nextafter(edges, 0), *np.geomspace(1e-4, 1e12, 5_000), 0.0, -5.0, 1e300, 1e308]
    assert buckets_of(np.array(values)).tolist() == [bucket_of(value) for value in values]


@given(
    st.dictionaries(st.integers(0, 1_535), st.integers(1, 140_000), max_size=20),
    st.dictionaries(st.integers(0, 1_535), st.integers(1, 70_000), min_size=1, max_size=8),
)
def test_merging_a_few_or_many_is_adding(kept: dict[int, int], more: dict[int, int]) -> None:
    both = {bucket: kept.get(bucket, 0) + more.get(bucket, 0) for bucket in {*kept, *more}}
    assert merge_sketch(pack_sketch(kept), more) == pack_sketch(both)


def test_sketches_merge_by_adding_and_large_counts_go_on_in_the_next_pair() -> None:
    assert unpack_sketch(pack_sketch({5: 70_000, 2: 1})) == {2: 1, 5: 70_000}
    assert len(pack_sketch({5: 70_000, 2: 1}) or b"") == 12
    assert unpack_sketch(merge_sketch(pack_sketch({5: 1}), {5: 2, 9: 3})) == {5: 3, 9: 3}
    assert (pack_sketch({}), merge_sketch(None, {})) == (None, None)
    assert quantiles({}, [0.5]) == [None]


def test_the_columns_are_those_of_the_table() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS) == len(COUNTED) + 4
