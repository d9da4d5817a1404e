"""Reasoning that a server without the right parser leaves in the text of an answer: where it ends, by its marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_CHANNEL = r"(?:<\|end\|>\s*)?(?:<\|start\|>assistant)?<\|channel\|>"
_OPENING = (
    r"<(?:\w{1,20}:)?(?:think|thinking|thought|reasoning)>",  # most; Gemini's OpenAI endpoint; <seed:think>
    r"\[THINK\]",  # Mistral (waybarrios/vllm-mlx#599)
    r"◁think▷",  # Kimi
    rf"{_CHANNEL}(?:analysis|commentary)[^<]{{0,80}}<\|message\|>",  # gpt-oss (madroidmaq/mlx-omni-server#79)
    r"<\|channel>thought\b",  # Gemma 4
    r"\Aanalysis(?=.*assistantfinal)",  # gpt-oss without its special tokens
)
_CLOSING = (
    r"</(?:\w{1,20}:)?(?:think|thinking|thought|reasoning)>",
    r"\[/THINK\]",
    r"◁/think▷",
    rf"{_CHANNEL}final[^<]{{0,80}}<\|message\|>",
    r"<channel\|>",
    r"assistantfinal",
)
_OPEN, _CLOSE = (f"(?:{'|'.join(marks)})" for marks in (_OPENING, _CLOSING))
_THOUGHT = rf"{_OPEN}.*?(?:{_CLOSE}|\Z)"
_FIRST = rf"\s*{_OPEN}(?P<tagged>.*?)(?:{_CLOSE}|\Z)|(?P<untagged>(?:(?!{_OPEN}).)*?){_CLOSE}"
_HINTS = ("think", "THINK", "thought", "reasoning", "channel", "assistantfinal")


@dataclass(frozen=True)
class Thought:
    """Where the reasoning at the beginning of a text ends, and whether anything stands in it."""

    end: int = 0
    is_empty: bool = True


def first_thought(text: str) -> Thought:
    """The reasoning with which a text begins, if it does."""
    found = _pattern(_FIRST).match(text) if _may_have_marks(text) else None
    if found is None:
        return Thought()
    return Thought(found.end(), not (found["tagged"] or found["untagged"] or "").strip())


def answer_text(text: str) -> str:
    """The visible answer: what stands behind the reasoning. Where the prompt's template opens it, only its end is in
    the text.
    """
    if not _may_have_marks(text):
        return text
    return _pattern(_CLOSE).split(_pattern(_THOUGHT).sub("", text), maxsplit=1)[-1]


def closing_mark(text: str) -> int | None:
    """Where the first mark that closes reasoning ends; null where none is in the text."""
    found = _pattern(_CLOSE).search(text) if _may_have_marks(text) else None
    return None if found is None else found.end()


def _may_have_marks(text: str) -> bool:
    """The patterns take a hundred times longer."""
    return any(hint in text for hint in _HINTS)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when a response first needs it: that takes 25 ms, which each run of a timer would pay."""
    return re.compile(text, re.DOTALL)
