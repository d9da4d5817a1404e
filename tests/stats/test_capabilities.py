"""What tests of a capability come to: two in a row decide."""

from __future__ import annotations

from typing import Any

import pytest

from stats.capabilities import CapabilityChange, capability_changes, capability_states, lacking
from store.capability_tables import CapabilityTest

WORDS = {"h": "holds", "f": "fails", "-": "not_tested"}


def rows_of(verdicts: str, capability: str = "tools", **more: Any) -> list[CapabilityTest]:
    """A test a moment, by a letter each."""
    wanted = {"claimed": True} | more
    return [
        CapabilityTest(
            "t", at, "here", capability, WORDS[letter], "ok", 1, reason="why" if letter != "h" else None, **wanted
        )
        for at, letter in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("verdicts", "status", "since", "held", "tries"),
    [
        ("h", "holds", 0, 1, 1),
        ("f", "fails", 0, 0, 1),
        ("-", "not_tested", None, 0, 0),
        ("-h", "holds", 1, 1, 1),
        ("hhf", "holds", 0, 2, 3),  # one that fails decides nothing
        ("hhfhf", "holds", 0, 3, 5),
        ("hhff", "fails", 2, 2, 4),  # from the first of the two on
        ("hhf-f", "fails", 2, 2, 4),  # what showed nothing is passed over
        ("hffhh", "holds", 3, 3, 5),
        ("f" * 30 + "h" * 29, "holds", 30, 29, 30),
    ],
)
def test_two_tests_in_a_row_change_what_holds(
    verdicts: str, status: str, since: int | None, held: int, tries: int
) -> None:
    [state] = capability_states(rows_of(verdicts))
    assert (state.status, state.since, state.held, state.tries) == (status, since, held, tries)
    assert state.reason == (None if verdicts.endswith("h") else "why")


def test_each_provider_has_a_state_of_its_own_in_one_order() -> None:
    tests = [
        *rows_of("f", "seed", provider="B"),
        *rows_of("h", provider="B"),
        *rows_of("h", "seed", provider="A"),
        *rows_of("-", "all"),
    ]
    states = capability_states(tests)
    assert [(state.provider, state.capability) for state in states] == [("A", "seed"), ("B", "tools"), ("B", "seed")]


def test_a_target_lacks_what_fails_wherever_it_was_tested() -> None:
    tests = [
        *rows_of("ff", "tools", provider="A"),
        *rows_of("-f", "tools", provider="B"),
        *rows_of("ff", "seed", provider="A"),
        *rows_of("hh", "seed", provider="B"),
        *rows_of("-", "image"),
    ]
    assert lacking(tests) == {"tools"}


def test_a_claim_that_stops_holding_is_a_change_and_so_is_its_return() -> None:
    assert capability_changes(rows_of("hhffhh", provider="Acme")) == [
        CapabilityChange("t", "here", 2, 3, False, "tool calls of Acme: fails now, though the catalog claims it (why)"),
        CapabilityChange("t", "here", 4, 5, True, "tool calls of Acme: holds again"),
    ]
    assert [change.text for change in capability_changes(rows_of("hff", claimed=None))] == [
        "tool calls: fails now (why)"
    ]
    for denied in (False, 0):  # as code has it, and as a store does
        assert capability_changes(rows_of("hff", claimed=denied)) == []  # nobody said that it would
    assert capability_changes(rows_of("ffff")) == []
