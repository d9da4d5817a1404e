"""The first answer of a stream that passes is the one that a probe would find in all of it."""

from __future__ import annotations

import random

import pytest

from collectors.http.response import read_events
from collectors.http.sse import Event
from collectors.relay.answer_clock import AnswerClock
from tests.fault_server import chunk

LONG = "and so on " * 60
TEXTS = [
    "42",
    "  \n 42",
    "",
    "   ",
    f"The answer: {LONG}",
    "<think>hm</think>42",
    f"<think>{LONG}</think>\n\n42",
    f"<think>{LONG}",
    "<think></think>42",
    "[THINK]hm[/THINK] 42",
    f"{LONG}</think>42",
    f"hm</think>\n\n{LONG}",
    f"<|channel|>analysis<|message|>{LONG}<|end|><|start|>assistant<|channel|>final<|message|>42",
    f"analysis{LONG}assistantfinal42",
    "◁think▷hm◁/think▷42",
    f"a < b and b > c [1] {LONG}",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 3, 7, 40, 2_000])
def test_it_is_the_probes(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    _compare(pieces)


def test_it_is_the_probes_for_any_cut() -> None:
    chance = random.Random(7)
    for _ in range(300):
        text, pieces = chance.choice(TEXTS), []
        while text:
            size = chance.randint(1, 60)
            pieces.append(text[:size])
            text = text[size:]
        _compare(pieces)


def _compare(pieces: list[str]) -> None:
    clock = AnswerClock()
    for at, piece in enumerate(pieces):
        clock.note(float(at), piece)
    clock.close()
    events = [Event(float(at), "", chunk(piece)[6:].decode()) for at, piece in enumerate(pieces)]
    expected = read_events(events)
    assert (clock.first_answer_at, clock.reasoned) == (expected.first_answer_at, expected.reasoned), pieces


def test_it_keeps_next_to_nothing_of_a_long_answer() -> None:
    clock = AnswerClock()
    for at in range(100_000):
        clock.note(float(at), "token ")
    assert sum(len(str(value)) for value in vars(clock).values()) < 1_000
