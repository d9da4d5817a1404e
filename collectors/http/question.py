"""What a probe asks, and how its reply is checked. Fresh operands, so that no cache can answer."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

MAX_TOKENS: dict[str, int] = {"ping": 16, "throughput": 128}
"""Output tokens asked for. 16 is the least that some servers accept, and the least that makes a rate."""
PROMPT_TOKENS_AT_MOST = 64
"""More than either prompt takes with any tokenizer, chat template included; for the budget."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and, where the reply can be checked, the number that it must name."""

    prompt: str
    answer: int | None

    def answered_by(self, text: str) -> bool | None:
        """Whether `text` names the right number; null when there is nothing to check."""
        if self.answer is None or not text.strip():
            return None
        return re.search(rf"(?<!\d){self.answer}(?!\d)", text) is not None


def ask(profile: str, chance: random.Random) -> Question:
    """A new question: a tiny sum, or, to keep a model talking, counting on from a fresh number."""
    a, b = chance.randint(11, 89), chance.randint(11, 89)
    if profile == "throughput":
        return Question(f"Count upward from {a * 100 + b}, one number a line, for at least 100 lines.", None)
    return Question(f"What is {a} + {b}? Reply with the number only.", a + b)
