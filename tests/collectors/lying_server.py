"""A model server that does what it is asked, but for what it is told to lie about."""

from __future__ import annotations

import base64
import random
import re
import socket
import struct
import zlib
from typing import Any

from collectors.capability_requests import DIGITS, DOT
from tests.fault_server import DONE, Script, answer, chunk, chunked, event, usage

Chat = dict[str, Any]


class Server:
    """Answers a chat request. `lies`: the capabilities that it has not; it says nothing of that."""

    def __init__(self, *lies: str, refuses: tuple[str, ...] = (), context: int = 4_000) -> None:
        self.lies, self.refuses, self.context = set(lies), refuses, context
        self.chance = random.Random(1)

    def script(self) -> Script:
        """For `FaultServer`."""

        def respond(connection: socket.socket, request: dict[str, Any]) -> None:
            self.response(request["body"])(connection, request)

        return respond

    def response(self, body: Chat) -> Script:
        for name in self.refuses:
            if name in body:
                return answer(400, {"error": {"message": f"Unsupported parameter: '{name}'", "param": name}})
        prompt = self.prompt_tokens(body)
        if prompt > self.context and "context" not in self.lies:
            return answer(400, {"error": {"message": "the context is exceeded", "code": "context_length_exceeded"}})
        if "tools" in body and "tools" not in self.lies:
            call = {"name": "get_weather", "arguments": '{"city": "Lima", "unit": "celsius", "days": 3}'}
            delta = {"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": call}]}
            return chunked(chunk(**delta), chunk(finish="tool_calls"), usage(prompt, 12), DONE)
        if "logprobs" in body and "logprobs" not in self.lies:
            top = {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -1}]}]}
            choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": "length", "logprobs": top}
            return chunked(event({"choices": [choice]}), usage(prompt, 1), DONE)
        words, finish = self.text(body)
        counted = [] if "usage_in_stream" in self.lies else [usage(prompt, len(words))]
        return chunked(*(chunk(word) for word in words), chunk(finish=finish), *counted, DONE)

    def prompt_tokens(self, body: Chat) -> int:
        """A word is a token; what does not fit is cut off, which is a lie."""
        count = sum(len(str(message["content"]).split()) for message in body["messages"])
        return min(count, self.context) if "context" in self.lies else count

    def text(self, body: Chat) -> tuple[list[str], str]:
        """Its words, and why they end."""
        words, stop, finish = self.words(body), body.get("stop", []), "stop"
        if stop and "stop" not in self.lies:
            words = words[: next((n for n, word in enumerate(words) if stop[0] in word), None)]
        if "max_tokens" not in self.lies and len(words) > body["max_tokens"]:
            words, finish = words[: body["max_tokens"]], "length"
        return words, finish

    def words(self, body: Chat) -> list[str]:
        system = [message["content"] for message in body["messages"] if message["role"] == "system"]
        content = body["messages"][-1]["content"]
        if system and "system_message" not in self.lies:
            return ["PINEAPPLE"]
        if isinstance(content, list):
            # a lie is no number of two digits, as pictures have
            return [str(number_in(content[1]["image_url"]["url"])) if "image" not in self.lies else "7"]
        if "response_format" in body:
            return [
                '{"animal": "horse", "legs": 4, "can_fly": false}' if "structured_outputs" not in self.lies else "A"
            ]
        if "random words" in content:
            return self.random_words(body)
        is_cut = "context" in self.lies and len(content.split()) > self.context
        if (found := re.search(r"The secret number is (\d+)", content)) and not is_cut:
            return [found[1]]
        return [f"{number} " for number in range(1, 21)]

    def random_words(self, body: Chat) -> list[str]:
        if "seed" in body and "seed" not in self.lies:
            return [f"{random.Random(body['seed']).random()}"]
        is_cold = not body.get("temperature", 1)
        return ["always"] if is_cold or "temperature" in self.lies else [f"{self.chance.random()}"]


def number_in(url: str) -> int:
    """The number in a picture, read from its dots."""
    data = base64.b64decode(url.partition(",")[2])
    parts, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        parts[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
        at += 12 + size
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    pixels = zlib.decompress(parts[b"IDAT"])
    assert len(pixels) == (width + 1) * height
    lines = [pixels[row * (width + 1) + 1 : (row + 1) * (width + 1)][::DOT] for row in range(0, height, DOT)]
    dots = ["".join("1" if dot == 0 else "0" for dot in line) for line in lines][2:-2]
    starts = (2, 9)  # a margin of one dot around all, and one around each digit
    digits = [DIGITS.index(" ".join(line[start : start + 5] for line in dots)) for start in starts]
    return digits[0] * 10 + digits[1]
