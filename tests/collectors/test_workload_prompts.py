"""How many random words make a prompt of a wanted size, by what servers counted of earlier ones."""

from __future__ import annotations

import random

import pytest

from collectors.workload_prompts import (
    Count,
    ending,
    most_tokens,
    most_tokens_of,
    random_text,
    tokens_per_word,
    words_for,
)


def test_without_a_count_words_are_taken_for_a_usual_tokenizer() -> None:
    assert words_for(1_135, []) == 1_000  # 35 around them, and 1.1 each


def test_a_count_of_the_wanted_size_asks_for_the_same_words_again() -> None:
    assert words_for(1_000, [Count(700, 1_000), Count(40, 120)]) == 700


def test_two_counts_tell_the_tokens_of_a_word_from_those_of_the_template() -> None:
    """200 around the words, 1.5 each."""
    counts = [Count(100, 350), Count(1_000, 1_700)]
    assert tokens_per_word(counts) == pytest.approx(1.5)
    assert words_for(10_000, counts) == round((10_000 - 200) / 1.5)
    assert words_for(500, counts) == 200


def test_one_short_prompt_does_not_tell_them_apart_and_a_long_one_does() -> None:
    assert tokens_per_word([Count(46, 218)]) is None
    assert words_for(1_000, [Count(46, 218)]) == 46 + round(782 / 1.1)
    assert tokens_per_word([Count(1_000, 2_035)]) == pytest.approx(2)


def test_a_server_that_counts_nonsense_is_not_believed() -> None:
    assert tokens_per_word([Count(100, 1), Count(1_000, 1)]) == 0.5
    assert tokens_per_word([Count(100, 1), Count(1_000, 10**9)]) == 6


def test_a_size_below_the_template_still_has_enough_words_to_be_unique() -> None:
    assert words_for(50, [Count(46, 218), Count(900, 1_072)]) == 8


def test_two_prompts_differ_from_the_first_words_on_and_ask_for_another_number_each_time() -> None:
    chance = random.Random(1)
    texts = {random_text(100, chance) for _ in range(50)}
    assert len({" ".join(text.split()[:8]) for text in texts}) == 50
    assert {len(text.split()) for text in texts} == {100}
    assert len({ending(chance) for _ in range(9)}) == 9


def test_the_budget_allows_for_a_quarter_more_than_wanted_and_for_more_while_nothing_was_counted() -> None:
    assert most_tokens(1_000) == 1_314
    assert most_tokens_of(1_000, 900, [Count(1_000, 1_100)]) == 1_314
    assert most_tokens_of(1_000, 900, [Count(46, 218)]) == most_tokens_of(1_000, 900, []) == 2_700
