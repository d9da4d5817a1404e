"""Prompts of a wanted size that no cache can answer: pure, from random words whose tokens were counted by servers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_COMMON = (
    "river stone cloud green paper house light table garden winter music bread train sand glass morning road bridge "
    "market window summer forest water night letter street small yellow silver mountain island door king ship bird "
    "horse field flower tree rain wind fire ice gold iron wood salt sugar apple cherry orange lemon coffee tea milk "
    "butter cheese cup knife plate clock watch shirt shoe coat hat ring chain rope boat sail wheel engine map book "
    "page line word song dance game ball card dream story picture sound voice hand foot head heart eye ear nose "
    "arm leg wall floor roof room bed chair lamp mirror box bag key lock bell drum flag gate path hill lake sea beach "
    "desert valley farm barn mill shop school church tower castle palace city town village north south east west "
    "spring autumn day week month year minute hour second young old fast slow hot cold dry wet dark bright soft hard "
    "round square long short wide narrow deep high low near far early late first last open empty full heavy quick "
    "quiet loud sweet bitter fresh clean rich poor strong weak happy sad brave calm kind proud wild free"
)
WORDS = tuple(_COMMON.split())
TOKENS_PER_WORD = 1.1
"""Until a server counted. Most tokenizers have most of these words as one token."""
PLAUSIBLE_TOKENS_PER_WORD = (0.5, 6.0)
OVERHEAD_TOKENS = 35
"""Of the instruction and of a usual chat template."""
FEWEST_WORDS, MANY_WORDS = 8, 500
"""So many are random enough for a prompt of its own; so many outweigh what is around them."""
MOST_TIMES, MOST_MORE = 1.25, 64
"""What a server may count beyond the wanted tokens, for the budget."""
MOST_PER_UNKNOWN_WORD = 3


@dataclass(frozen=True, slots=True)
class Count:
    """The random words of a prompt, and the prompt tokens that its response stated."""

    words: int
    prompt_tokens: int


def most_tokens(input_tokens: int) -> int:
    """More than a prompt of a wanted size takes, once the server's tokens are known."""
    return round(input_tokens * MOST_TIMES) + MOST_MORE


def most_tokens_of(input_tokens: int, words: int, counts: Sequence[Count]) -> int:
    """The same for a prompt of so many words: more, while it is not known what its server makes of a word."""
    most = most_tokens(input_tokens)
    return most if tokens_per_word(counts) is not None else max(most, words * MOST_PER_UNKNOWN_WORD)


def words_for(input_tokens: int, counts: Sequence[Count]) -> int:
    """How many words make a prompt of this size, from the counted one that is nearest to it and the tokens per word."""
    rate = tokens_per_word(counts) or TOKENS_PER_WORD
    nearest = min(counts, key=lambda one: abs(one.prompt_tokens - input_tokens), default=Count(0, OVERHEAD_TOKENS))
    return max(FEWEST_WORDS, round(nearest.words + (input_tokens - nearest.prompt_tokens) / rate))


def tokens_per_word(counts: Sequence[Count]) -> float | None:
    """From the smallest and the largest counted prompt, where they differ enough to tell words from what is around
    them: a template may have more tokens than a short prompt. Null where they do not. A server that counts something
    else is not believed.
    """
    if not counts:
        return None
    small, large = (pick(counts, key=lambda one: one.words) for pick in (min, max))
    if large.words >= 2 * small.words:
        rate = (large.prompt_tokens - small.prompt_tokens) / (large.words - small.words)
    elif large.words >= MANY_WORDS:
        rate = (large.prompt_tokens - OVERHEAD_TOKENS) / large.words
    else:
        return None
    least, most = PLAUSIBLE_TOKENS_PER_WORD
    return min(max(rate, least), most)


def random_text(words: int, chance: random.Random) -> str:
    """Random from its first word on, so that no cache of prefixes has any of it."""
    return " ".join(chance.choices(WORDS, k=words))


def ending(chance: random.Random) -> str:
    """What stands below the words and keeps a model talking: another number each time, so that no cache has the
    response.
    """
    begin = chance.randint(1_000, 9_999)
    return f"\n\nIgnore the words above. Count upward from {begin}, one number a line, for at least 100 lines."
