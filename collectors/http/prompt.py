"""What a probe asks, and how the answer is checked. Fresh numbers, so that no cache can answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_TOKENS: dict[str, int] = {
    "ping": 16,
    "throughput": 128,
    "identity": 1,
    "identity_texts": 16,
    "capabilities": 64,
    "capabilities_image": 16,
    "capabilities_context": 16,
    "workloads": 128,
}
"""Output tokens asked for. 16 is the least that some servers accept, and the least that makes a rate."""
PROMPT_TOKENS_AT_MOST = 64
"""More than any prompt takes with any tokenizer and a usual chat template; for the budget. (The few shots of
deploy/local_model.py take more, and are free.)"""
PROMPT_TOKENS: dict[str, int] = {"capabilities": 400, "capabilities_image": 4_000}
"""The same for profiles with longer prompts. Some vendors count thousands of tokens for the smallest picture."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and, where the answer can be checked, the check."""

    prompt: str
    is_right: Callable[[str], bool] | None = None

    def answered_by(self, text: str) -> bool | None:
        """Whether `text` is a right answer; null when there is nothing to check."""
        if self.is_right is None or not text.strip():
            return None
        return self.is_right(text)


def make_prompt(profile: str, check: str, chance: random.Random) -> Prompt:
    """A new prompt: a tiny sum or a number to repeat, as `check` says (`sum`, `echo`, or `off`: a sum that is not
    checked); or, to keep a model talking, counting on from a fresh number.
    """
    a, b = chance.randint(11, 89), chance.randint(11, 89)
    if profile == "throughput":
        return Prompt(f"Count upward from {a * 100 + b}, one number a line, for at least 100 lines.")
    if check == "echo":
        number = str(a * 100 + b)
        return Prompt(f"Repeat this number: {number}", lambda text: _repeats(text, number))
    prompt = f"What is {a} + {b}? Reply with the number only."
    return Prompt(prompt, None if check == "off" else lambda text: _names(text, a + b))


def _names(text: str, number: int) -> bool:
    """Whether a number stands in a text, and not as a part of a longer one."""
    return re.search(rf"(?<!\d){number}(?!\d)", text) is not None


def _repeats(text: str, number: str) -> bool:
    """Whether a text says this number once and no other. One that says the prompt again, as a model does that follows
    no instruction, is no answer.
    """
    parrots = re.search(r"\b(?:repeat|this\s+number)", text, re.IGNORECASE) is not None
    return re.findall(r"\d+", text) == [number] and not parrots
