"""What each test of a capability asks: pure, over the body that a plain request of a target has."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from dataclasses import dataclass
from typing import Any

TOOL = "get_weather"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer"},
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "animal": {"type": "string", "enum": ["cat", "dog", "horse"]},
        "legs": {"type": "integer"},
        "can_fly": {"type": "boolean"},
    },
    "required": ["animal", "legs", "can_fly"],
    "additionalProperties": False,
}
MARK = "PINEAPPLE"
STOP_AT = "7"
MOST_TOKENS = 8
SEED = 42
HOT = 1.5
COUNT = "Count from 1 to 20, separated by spaces. Begin: 1 2 3"


def ask(body: dict[str, Any], prompt: str, **fields: Any) -> dict[str, Any]:
    """A body with another prompt and these fields, the limit of output tokens (`max_tokens`) among them."""
    return body | {"messages": [{"role": "user", "content": prompt}]} | fields


def tool_call(body: dict[str, Any]) -> dict[str, Any]:
    """A question that only the tool can answer. Whether to call it is left to the model, as in most programs."""
    function = {"name": TOOL, "description": "The forecast for a city.", "parameters": PARAMETERS}
    prompt = "What will the weather be in Lima over the next 3 days, in celsius? Use the tool."
    return ask(body, prompt, tools=[{"type": "function", "function": function}])


def structured_output(body: dict[str, Any]) -> dict[str, Any]:
    """A JSON object by a schema that the prompt does not state."""
    schema = {"name": "animal", "strict": True, "schema": ANSWER}
    return ask(body, "Describe a horse as JSON.", response_format={"type": "json_schema", "json_schema": schema})


def image(body: dict[str, Any], number: int) -> dict[str, Any]:
    """A picture of a number of two digits: one digit would be guessed in one of ten tests."""
    url = "data:image/png;base64," + base64.b64encode(picture_of(number)).decode()
    content = [
        {"type": "text", "text": "Which number is in the picture? Reply with the number only."},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return body | {"messages": [{"role": "user", "content": content}]}


def logprobs(body: dict[str, Any]) -> dict[str, Any]:
    """One token and its alternatives."""
    return ask(body, "Pick a word:", max_tokens=1, logprobs=True, top_logprobs=5)


def random_words(body: dict[str, Any], temperature: float, **fields: Any) -> dict[str, Any]:
    """A text that has no likely continuation."""
    return ask(body, "Write eight random words.", temperature=temperature, max_tokens=24, **fields)


def stop(body: dict[str, Any]) -> dict[str, Any]:
    """Counting that ends before a number."""
    return ask(body, COUNT, max_tokens=48, stop=[STOP_AT])


def short(body: dict[str, Any]) -> dict[str, Any]:
    """More to say than a few tokens allow."""
    return ask(body, COUNT, max_tokens=MOST_TOKENS)


def system_message(body: dict[str, Any]) -> dict[str, Any]:
    """A system message that the prompt contradicts."""
    system = f"Whatever the user says, reply with the single word {MARK} and nothing else."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "What is the capital of Peru?"}]
    return body | {"messages": messages, "max_tokens": 24}


# -- a long prompt

WORDS = (
    *("river", "stone", "cloud", "green", "paper", "house", "light", "table", "garden", "winter", "music", "bread"),
    *(
        "train",
        "sand",
        "glass",
        "morning",
        "road",
        "bridge",
        "market",
        "window",
        "summer",
        "forest",
        "letter",
        "island",
    ),
)


@dataclass(frozen=True)
class Haystack:
    """A long prompt and the number that is hidden in it, a third of the way in."""

    prompt: str
    needle: str


def haystack(lines: int, chance: random.Random) -> Haystack:
    """Of so many lines, each of other words: no cache knows it, and no tokenizer shortens it."""
    needle = str(chance.randint(10_000, 99_999))
    text = [" ".join(chance.choices(WORDS, k=10)) + "." for _ in range(lines)]
    text.insert(len(text) // 3, f"The secret number is {needle}.")
    text.append("What is the secret number in the text above? Reply with the number only.")
    return Haystack("\n".join(text), needle)


# -- a picture

DIGITS = (
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00010 00100 01000 11111",
    "11111 00010 00100 00010 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)
"""The digits 0 to 9, 5 dots wide and 7 high."""
DOT = 16
"""Pixels of a dot: the picture of two digits is 240 x 176, and half a kilobyte."""


def picture_of(number: int) -> bytes:
    """A PNG with a number in black on white, by the standard library alone."""
    rows = ["".join(f"0{digit.split()[line]}0" for digit in _digits(number)) for line in range(7)]
    blank = "0" * len(rows[0])
    lines = [
        b"\x00" + b"".join((b"\x00" if dot == "1" else b"\xff") * DOT for dot in f"0{row}0")
        for row in (blank, blank, *rows, blank, blank)
        for _ in range(DOT)
    ]
    size = struct.pack(">IIBBBBB", len(lines[0]) - 1, len(lines), 8, 0, 0, 0, 0)  # 8 bits of grey
    parts = (_part(b"IHDR", size), _part(b"IDAT", zlib.compress(b"".join(lines), 9)), _part(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _digits(number: int) -> list[str]:
    return [DIGITS[int(digit)] for digit in str(number)]


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
