"""Reasoning that a server without the right parser leaves in the text of an answer: where it ends, by its marks."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
_THOUGHT = re.compile(rf"{_OPEN}.*?(?:{_CLOSE}|\Z)", re.DOTALL)
_END = re.compile(_CLOSE)
_FIRST = re.compile(
    rf"\s*{_OPEN}(?P<tagged>.*?)(?:{_CLOSE}|\Z)|(?P<untagged>(?:(?!{_OPEN}).)*?){_CLOSE}",
    re.DOTALL,
)
_HINTS = ("think", "THINK", "thought", "reasoning", "channel", "assistantfinal")


@dataclass(frozen=True)
class Thought:
    """Where the reasoning at the beginning of a text ends, and whether anything stands in it."""

    end: int = 0
    is_empty: bool = True


def first_thought(text: str) -> Thought:
    """The reasoning with which a text begins, if it does."""
    found = _FIRST.match(text) if any(hint in text for hint in _HINTS) else None
    if found is None:
        return Thought()
    return Thought(found.end(), not (found["tagged"] or found["untagged"] or "").strip())


def answer_text(text: str) -> str:
    """The visible answer: what stands behind the reasoning. Where the prompt's template opens it, only its end is in
    the text.
    """
    if not any(hint in text for hint in _HINTS):  # the patterns take a hundred times longer
        return text
    return _END.split(_THOUGHT.sub("", text), maxsplit=1)[-1]


def closing_mark(text: str) -> int | None:
    """Where the first mark that closes reasoning ends; null where none is in the text."""
    found = _END.search(text)
    return None if found is None else found.end()
