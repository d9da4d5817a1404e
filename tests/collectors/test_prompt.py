"""What a probe asks, and which answers are right."""

from __future__ import annotations

import random
import re

import pytest

from collectors.http.prompt import Prompt, make_prompt


def _echo() -> tuple[Prompt, str]:
    question = make_prompt("ping", "echo", random.Random(3))
    number = re.fullmatch(r"Repeat this number: (\d{4})", question.prompt)
    assert number is not None
    return question, number[1]


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("{n}", True),
        (" {n}.\n", True),
        ("**{n}**", True),
        ("Sure! Your number is {n}.", True),
        ("9{n}", False),
        ("{n}0", False),
        ("{n} {n}", False),
        ("{n}\n1234567", False),
        ("I cannot do that.", False),
        ("Repeat this number: {n}", False),
        ("user\nRepeat this number: {n}\nassistant", False),
        ("This number: {n}", False),
        ("  ", None),
    ],
)
def test_an_echo_is_right_when_it_says_the_number_and_neither_another_one_nor_the_prompt(
    answer: str, is_right: bool | None
) -> None:
    question, number = _echo()
    assert question.answered_by(answer.format(n=number)) is is_right


@pytest.mark.parametrize("check", ["sum", "echo", "off"])
def test_every_prompt_is_fresh(check: str) -> None:
    chance = random.Random(1)
    for profile in ("ping", "throughput"):
        assert len({make_prompt(profile, check, chance).prompt for _ in range(50)}) > 45


def test_without_a_check_a_prompt_is_sent_and_nothing_is_judged() -> None:
    question = make_prompt("ping", "off", random.Random(2))
    assert question.prompt.startswith("What is ")
    assert question.answered_by("42") is None


def test_counting_is_not_judged_whatever_the_check() -> None:
    assert [
        make_prompt("throughput", check, random.Random(2)).answered_by("1") for check in ("sum", "echo", "off")
    ] == [None] * 3
