"""The file that overlapping runs share: what is read, kept, given up, and survived."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from collectors.scheduler.claims import LONGEST_MS, Planned, UnderWay
from collectors.scheduler.schedule import Schedule, TickWindow, day_began
from collectors.scheduler.shared_state import KEPT_MS, DaySpending, SharedState
from tests.factories import NOON, SECOND

DAY = day_began(NOON)
MINUTELY = Schedule(0, 60_000)


def _state(folder: Path, location: str = "here", day: int = DAY) -> SharedState:
    state = SharedState(folder / "store.collector-lock", location)
    with state.exclusive():
        state.spending = DaySpending(day, requests=defaultdict(int))
    return state


def _plan(state: SharedState, series: str, now: int) -> object:
    with state.exclusive():
        return state.claims.plan(series, MINUTELY, TickWindow(now, now), None, state.lives)


def test_what_another_run_wrote_is_seen_when_the_file_has_the_same_number_and_time(tmp_path: Path) -> None:
    state = _state(tmp_path)
    file = tmp_path / "store.collector-state"
    before = file.stat()
    sections = orjson.loads(file.read_bytes())
    sections["here"]["spending"]["requests"] = {"a": 3}
    file.write_bytes(orjson.dumps(sections))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with state.exclusive():
        assert state.spending.requests == {"a": 3}


def test_a_location_that_is_gone_for_a_week_leaves_the_file(tmp_path: Path) -> None:
    _state(tmp_path, "container-1", DAY - KEPT_MS).close()
    _state(tmp_path, "container-2", DAY - KEPT_MS + 1).close()
    _state(tmp_path).close()
    assert set(orjson.loads((tmp_path / "store.collector-state").read_bytes())) == {"container-2", "here"}


def test_a_target_that_is_gone_for_a_week_leaves_the_file(tmp_path: Path) -> None:
    first = _state(tmp_path)
    for series, now in (("removed", NOON - 8 * 86_400_000), ("there", NOON)):
        plan = _plan(first, series, now)
        assert isinstance(plan, Planned)
        plan.claim.state = "recorded"
    with first.exclusive():
        pass
    first.close()
    _state(tmp_path).close()
    assert set(orjson.loads((tmp_path / "store.collector-state").read_bytes())["here"]["claims"]) == {"there"}


def test_a_file_system_that_became_read_only_is_said_and_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = _state(tmp_path)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    for name in ("touch", "write_bytes", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    with state.exclusive():
        state.spending = replace(state.spending, requests={"a": 1})
    assert "could not be written, so an overlapping run may probe twice" in (state.problem or "")
    assert state.spending.requests == {"a": 1}


def test_a_run_that_was_stopped_under_way_holds_its_target_for_an_hour_and_not_for_ever(tmp_path: Path) -> None:
    stopped, timer = _state(tmp_path), _state(tmp_path)
    assert isinstance(_plan(stopped, "a", NOON), Planned)
    assert isinstance(_plan(timer, "a", NOON + LONGEST_MS), UnderWay)
    assert isinstance(_plan(timer, "a", NOON + LONGEST_MS + 60 * SECOND), Planned)


@pytest.mark.parametrize(
    "section",
    [
        [],
        {"spending": {"day": DAY, "usd": "NaN", "requests": {}}},
        {"spending": {"day": DAY, "usd": "0", "requests": {"a": None}}},
        {"spending": {"day": DAY, "usd": "0", "requests": {}}, "claims": {"a": [[1, 2, "x", 4, 5, 60_000, "open", 0]]}},
        {"spending": {"day": DAY, "usd": "0", "requests": {}}, "claims": {"a": [[1, 2, 3]]}},
        {"spending": {"day": DAY, "usd": "0", "requests": {}}, "claims": {"a": [["1", 2, 3, 3, "5", "60000", 9, 0]]}},
    ],
)
def test_a_file_that_holds_something_else_stops_no_run(tmp_path: Path, section: object) -> None:
    (tmp_path / "store.collector-state").write_bytes(orjson.dumps({"here": section}))
    state = _state(tmp_path)
    assert isinstance(_plan(state, "a", NOON), Planned)
    state.close()
    again = _state(tmp_path)
    assert again.problem is None
    again.close()
