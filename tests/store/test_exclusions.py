"""What was excluded counts as paused everywhere, and as before once that is undone. Run over every store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import Selection, Store, StoreError, open_store
from store.exclusions import Span, spans_to_restore
from store.rollup_plan import Range, raw_rollups, rollups_of
from store.rollups import HOURS
from store.schema import DAILY, EXCLUSIONS, HOURLY, INCIDENTS, PROBES, Exclusion, Hour, Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, attempt, probe
from tests.store.stores import STORES, opened

MIDNIGHT = NOON - NOON % DAY


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def exclusion(since: int, until: int, name: str = "x1", target: str = "Gemma") -> Exclusion:
    return Exclusion(target, since, name, until, NOON + DAY, "a test of the power supply")


def everything(store: Store) -> dict[str, Any]:
    made = {step: list(store.rollups(step)) for step in ("hour", "day", "block")}
    return made | {
        "incidents": list(store.read(INCIDENTS)),
        "series": store.series(),
        "probes": list(store.read(PROBES)),
    }


def an_outage() -> list[Probe]:
    """An hour by the minute, down from 12:20 to 12:40, and rate limited at its end; the answer just before was wrong."""
    outcomes = ["ok"] * 20 + ["timeout"] * 20 + ["ok"] * 19 + ["rate_limited"]
    return [
        probe(NOON + n * MINUTE, outcome, answer_ok=False if n == 19 else None) for n, outcome in enumerate(outcomes)
    ]


def test_probes_of_an_excluded_range_count_as_paused_in_rollups_and_incidents(store: Store) -> None:
    store.write(an_outage())
    assert [row[3:5] for row in store.read(INCIDENTS)] == [(NOON + 20 * MINUTE, NOON + 40 * MINUTE)]
    assert store.exclude([exclusion(NOON + 19 * MINUTE, NOON + 41 * MINUTE)]) == 22
    [hour] = [Hour(*row) for row in store.read(HOURLY)]
    assert (hour.up_s, hour.down_s, hour.not_counted_s) == (37 * 60, 0, 23 * 60)
    assert (hour.ok, hour.failed, hour.not_counted) == (37, 0, 23)
    assert [row[4:7] for row in store.read(DAILY)] == [(37 * 60, 0, 23 * 60)]
    for step in ("hour", "day", "block"):
        [row] = store.rollups(step, columns=("paused", "excluded", "timeout", "rate_limited", "answers_checked"))
        assert row[4:] == (22, 22, 0, 1, 0)
    assert list(store.read(INCIDENTS)) == []
    assert list(store.incidents_within(NOON, NOON + HOUR)) == []
    # every page reads either roll-ups or raw probes: both say the same
    window = Range(NOON, NOON + HOUR)
    [raw], [kept] = raw_rollups(store, ("Gemma",), window, lambda _: HOURS), rollups_of(store, ("Gemma",), window)
    assert raw.counted == kept.counted and raw.requests == 60
    assert not list(store.read(PROBES, Selection(NOON + 19 * MINUTE, NOON + 41 * MINUTE, failed=True)))


def test_a_probe_keeps_what_was_measured_and_gets_it_back(store: Store) -> None:
    store.write(an_outage())
    before = everything(store)
    made = exclusion(NOON + 20 * MINUTE, NOON + 30 * MINUTE)
    assert store.exclude([made]) == 10
    [row] = [Probe(*row) for row in store.read(PROBES, Selection(NOON + 20 * MINUTE, NOON + 21 * MINUTE))]
    assert (row.outcome, row.measured_outcome, row.error) == ("paused", "timeout", "it was timeout")
    # the incident goes on to its end, and begins with what still counts
    assert [row[3:5] for row in store.read(INCIDENTS)] == [(NOON + 30 * MINUTE, NOON + 40 * MINUTE)]
    assert store.exclude([replace(made, undone_at=NOON + DAY)]) == 10
    assert everything(store) == before
    [kept] = [Exclusion(*row) for row in store.read(EXCLUSIONS)]
    assert kept.undone_at == NOON + DAY


def test_a_probe_that_comes_after_its_range_was_excluded_counts_as_paused_too(store: Store) -> None:
    store.exclude([exclusion(NOON, NOON + HOUR)])
    store.write(an_outage())
    store.write([probe(NOON + HOUR, "timeout"), probe(NOON + 30 * MINUTE, target="other")])
    rows = [Probe(*row) for row in store.read(PROBES)]
    assert {row.outcome for row in rows if row.target == "Gemma" and row.started_at < NOON + HOUR} == {"paused"}
    assert [row.outcome for row in rows if row.target == "other" or row.started_at == NOON + HOUR] == ["timeout", "ok"]
    store.exclude([replace(exclusion(NOON, NOON + HOUR), undone_at=NOON + DAY)])
    assert [Probe(*row) for row in store.read(PROBES, Selection(targets=("Gemma",), until=NOON + HOUR))] == an_outage()


def test_of_two_exclusions_that_overlap_each_is_undone_alone(store: Store) -> None:
    store.write(an_outage())
    one, two = exclusion(NOON, NOON + 30 * MINUTE), exclusion(NOON + 20 * MINUTE, NOON + 50 * MINUTE, "x2")
    assert (store.exclude([one]), store.exclude([two])) == (30, 20)
    assert store.exclude([replace(one, undone_at=NOON + DAY)]) == 20
    outcomes = [row[0] for row in store.read(PROBES, columns=("outcome",))]
    assert outcomes[19:21] == ["ok", "paused"] and outcomes[49:51] == ["paused", "ok"]
    assert store.exclude([replace(two, undone_at=NOON + DAY)]) == 30
    assert "paused" not in [row[0] for row in store.read(PROBES, columns=("outcome",))]


def test_what_is_left_of_undone_ranges_is_what_no_standing_one_covers() -> None:
    undone = exclusion(10, 100)
    others = [exclusion(0, 20), exclusion(40, 50), exclusion(90, 200), exclusion(50, 60, target="other")]
    assert spans_to_restore([undone], others) == [Span("Gemma", 20, 40), Span("Gemma", 50, 90)]
    assert spans_to_restore([undone], [exclusion(0, 100)]) == []


def test_a_range_whose_raw_probes_are_pruned_is_refused_and_nothing_changes(store: Store) -> None:
    store.write([probe(MIDNIGHT - DAY + n * HOUR) for n in range(48)])
    while store.prune(MIDNIGHT):
        pass
    before = everything(store)
    with pytest.raises(StoreError, match="'Gemma' from before 2026-11-24T00:00:00.*pruned"):
        store.exclude([exclusion(MIDNIGHT - HOUR, NOON)])
    assert everything(store) == before and store.count(EXCLUSIONS) == 0


def test_the_relays_requests_and_the_money_stay_as_they_are(store: Store) -> None:
    """A probe of unknown cost that may have been billed still is one, however it counts for uptime."""
    spending = ("priced", "unpriced", "cost_pusd", "prompt_tokens")
    store.write([probe(NOON), probe(NOON + MINUTE, "timeout"), probe(NOON + 2 * MINUTE, cost_usd=0.5), attempt(NOON)])
    before = [row for step in ("hour", "day", "block") for row in store.rollups(step, columns=spending)]
    assert store.exclude([exclusion(NOON, NOON + HOUR)]) == 3
    assert [row for step in ("hour", "day", "block") for row in store.rollups(step, columns=spending)] == before


OUTCOMES = st.sampled_from(["ok", "ok", "timeout", "server_error", "rate_limited", "paused"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 3 * 24 * 6), OUTCOMES, st.sampled_from("ab")), max_size=60),
    st.integers(0, 400),
    st.integers(1, 200),
    st.integers(0, 60),
)
def test_excluding_and_undoing_leaves_every_number_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]], since: int, length: int, late: int
) -> None:
    """Whether probes were there before or came while the exclusion stood; and what stands is what a rebuild makes."""
    probes = [probe(MIDNIGHT + n * 10 * MINUTE, outcome, target=name) for n, outcome, name in rows]
    folder = tmp_path_factory.mktemp("exclusions")
    plain, changed = open_store(f"sqlite:///{folder}/a.db"), open_store(f"sqlite:///{folder}/b.db")
    plain.write(probes)
    changed.write(probes[:late])
    made = exclusion(MIDNIGHT + since * 10 * MINUTE, MIDNIGHT + (since + length) * 10 * MINUTE, target="a")
    changed.exclude([made])
    changed.write(probes[late:])
    excluded = everything(changed)
    changed.rebuild()
    assert everything(changed) == excluded
    changed.exclude([replace(made, undone_at=NOON + DAY)])
    assert everything(changed) == everything(plain)
    plain.close()
    changed.close()
