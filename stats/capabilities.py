"""Whether a target does what its catalog entry promises, by its tests: what holds, since when, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from store.capability_tables import FAILS, HOLDS, NOT_TESTED, CapabilityTest
from store.clock import DAY_MS

CAPABILITIES: dict[str, str] = {
    "tools": "tool calls",
    "structured_outputs": "structured outputs",
    "image": "image input",
    "logprobs": "logprobs",
    "seed": "seed",
    "stop": "stop sequences",
    "temperature": "temperature",
    "max_tokens": "max tokens",
    "usage_in_stream": "usage in streams",
    "system_message": "system message",
    "context": "context as claimed",
}
"""Every capability, and what it is called on the screen."""
TRIES = 30
SEVERAL_TESTS_MS = 60 * DAY_MS
"""How long before a moment tests are to be read to know what had held until then: several weeks of the rarest one."""


@dataclass(frozen=True)
class CapabilityState:
    """What the tests of one capability of one provider came to.

    `status`: `holds`, `fails` or `not_tested`, which two tests in a row change, and `since` the first of them
    (milliseconds UTC). `held` of the last `tries` tests (at most 30) found that it holds. `reason`: why the newest test
    failed or was not made; null where it held.
    """

    capability: str
    provider: str | None
    claimed: bool | None
    status: str
    since: int | None
    held: int
    tries: int
    reason: str | None
    tested_at: int


@dataclass(frozen=True)
class CapabilityChange:
    """A capability that holds no more, or again: from which test on, when the second one showed it (milliseconds UTC),
    and that in words.
    """

    target: str
    location: str
    at: int
    noticed_at: int
    holds: bool
    text: str


@dataclass(frozen=True)
class _Course:
    state: CapabilityState
    changes: list[CapabilityChange]


def capability_states(tests: Iterable[CapabilityTest]) -> list[CapabilityState]:
    """Of one target at one location: a state by provider and capability."""
    states = [course.state for course in _courses(tests)]
    order = list(CAPABILITIES)
    return sorted(states, key=lambda state: (state.provider or "", order.index(state.capability)))


def lacking(tests: Iterable[CapabilityTest]) -> frozenset[str]:
    """Of one target: what fails wherever it was tested, with every provider."""
    found: dict[str, set[str]] = {}
    for course in _courses(tests):
        found.setdefault(course.state.capability, set()).add(course.state.status)
    return frozenset(name for name, statuses in found.items() if statuses - {NOT_TESTED} == {FAILS})


def capability_changes(tests: Iterable[CapabilityTest]) -> list[CapabilityChange]:
    """Of any targets, oldest first: every change of what a catalog claims, or says nothing of."""
    return sorted((change for course in _courses(tests) for change in course.changes), key=lambda change: change.at)


def _courses(tests: Iterable[CapabilityTest]) -> list[_Course]:
    def key(test: CapabilityTest) -> tuple[str, str, str, str]:
        return test.target, test.location, test.provider or "", test.capability

    known = sorted((test for test in tests if test.capability in CAPABILITIES), key=lambda t: (key(t), t.started_at))
    return [_course(list(group)) for _, group in groupby(known, key)]


def _course(tests: list[CapabilityTest]) -> _Course:
    """What happened to one capability, its tests in order. A test that showed nothing changes nothing."""
    decided = [test for test in tests if test.verdict != NOT_TESTED]
    status, since, changes = NOT_TESTED, None, []
    before: CapabilityTest | None = None
    for test in decided:
        if status == NOT_TESTED:
            status, since = test.verdict, test.started_at
        elif test.verdict != status and before is not None and before.verdict == test.verdict:
            status, since = test.verdict, before.started_at
            if test.claimed is None or test.claimed:  # from a store it is 0 or 1
                changes.append(_change(test, before.started_at))
        before = test
    newest, last = tests[-1], decided[-TRIES:]
    state = CapabilityState(
        newest.capability,
        newest.provider or None,
        newest.claimed,
        status,
        since,
        sum(test.verdict == HOLDS for test in last),
        len(last),
        newest.reason,
        newest.started_at,
    )
    return _Course(state, changes)


def _change(test: CapabilityTest, at: int) -> CapabilityChange:
    what = CAPABILITIES[test.capability] + (f" of {test.provider}" if test.provider else "")
    fails = test.verdict == FAILS
    claimed = ", though the catalog claims it" if fails and test.claimed else ""
    reason = f" ({test.reason})" if fails and test.reason else ""
    text = f"{what}: {'fails now' if fails else 'holds again'}{claimed}{reason}"
    return CapabilityChange(test.target, test.location, at, test.started_at, not fails, text)
