"""What a dialect is: how a probe's wish becomes a request, and what comes back a `Chunk` that is the same for all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collectors.http.errors import ReportedError, read_error, status_error
from collectors.http.usage import Usage, usages_in


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """What a probe asks for, in no dialect's words."""

    model: str
    prompt: str
    max_tokens: int
    stream: bool = True
    provider: str | None = None
    """The one provider that a router may use."""
    reasoning_effort: str | None = None
    temperature: int = 0
    alternatives: int | None = None
    """How many tokens to return logprobs for, before any sampling; null: none."""
    requires_parameters: bool = False
    """A router may only use endpoints that know every field."""


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A piece of a tool call, or a whole one: of which call of the response, and what is new of its name and of the
    JSON of its arguments.
    """

    number: int
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Chunk:
    """What one event of a stream, or a whole body, says. A role alone, null or an empty text says nothing."""

    text: str = ""
    """Answer text, with the reasoning that some servers leave in it between `<think>` tags."""
    reasoned: bool = False
    """It carries reasoning that can be read."""
    carries_more: bool = False
    """It carries another kind of output: a tool call, a refusal, a vector."""
    tool_calls: tuple[ToolCallPart, ...] = ()
    finish_reason: str | None = None
    filtered: bool = False
    """A filter kept the prompt from the model."""
    is_end: bool = False
    error: ReportedError | None = None
    usages: tuple[Usage, ...] = ()
    model: str | None = None
    fingerprint: str | None = None
    provider: str | None = None
    route: str | None = None
    logprobs: Mapping[str, float] | None = None
    """The log probabilities of its first token's likeliest alternatives; null where none are stated."""
    is_whole: bool = False
    """It is the response as a whole: its text is none that is new where it came in pieces before."""

    @property
    def has_token(self) -> bool:
        """It carries output of any kind."""
        return bool(self.text) or self.reasoned or self.carries_more


@dataclass(frozen=True)
class Dialect:
    """One API of model servers. `path` gives where to POST below a base URL's path, with a query of its own if need be,
    for a model, streamed or not; `end` finds the protocol's own end in the bytes of a stream.
    """

    name: str
    path: Callable[[str, str, bool], str]
    body: Callable[[RequestSpec], dict[str, Any]]
    event: Callable[[dict[str, Any]], Chunk]
    whole: Callable[[dict[str, Any]], Chunk]
    end: re.Pattern[bytes]
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Callable[[str], Mapping[str, str]] = lambda _path: {}
    """What the URL's query needs where neither the base URL nor the target says it."""
    list_path: Callable[[str], str | None] = lambda _path: "models"
    """Where the list of models is below a base URL's path; null where there is none."""
    after_end_s: float = 0.1
    """How long a connection may take to end after its stream has."""
    gives: str = "a chat completion"
    """What a good response is, in a word."""
    ends_with: str = "a finish_reason or [DONE]"
    """What a stream that was cut is without."""
    streams: bool = True
    makes_text: bool = True
    may_be_llama_cpp: bool = True


FILTERS = frozenset(
    {
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "refusal",
        "sensitive",
        "safety",
        "image_safety",
        "recitation",
        "image_recitation",
        "language",
        "blocklist",
        "prohibited_content",
        "image_prohibited_content",
        "spii",
        "escalation",
        "model_armor",
    }
)
"""Finish reasons, in small letters, of a filter that did its work: OpenAI's and Azure's, Amazon's, Anthropic's, Zhipu's
and Google's.
"""
MOST_TOKEN = 100
"""Characters of a token that are kept."""
LEAST_LOGPROB = -1e6
"""Stands for minus infinity, which JSON does not have."""
GAVE_UP = frozenset({"error", "error_finish", "abort", "network_error", "insufficient_system_resource"})
"""Finish reasons, in small letters and with `_`, of a server that broke off: OpenRouter's and many others', vLLM's and
SGLang's (vllm-project/vllm#57082, sgl-project/sglang#2956), Zhipu's (BerriAI/litellm#24373), DeepSeek's
(can1357/oh-my-pi#8563).
"""
DONE = rb"(?:^|[\r\n])data: ?\"?\[(?:DONE|done)\]"


def end_of_stream(*also: bytes) -> re.Pattern[bytes]:
    """`[DONE]`, which proxies put behind any dialect, or what this one ends with. In the text of a response no pattern
    with a JSON string's quotes can occur: there the quotes are escaped.
    """
    return re.compile(b"|".join((DONE, *also)))


class StreamEnd:
    """Looks for the end of a stream in its pieces, however they are split. An event ends with its blank line."""

    _MARK = 96
    """Longer than any mark of an end."""
    _BLANK = re.compile(rb"\n\r?\n|\r\r")

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._has_words = pattern.pattern == DONE
        self._is_marked = False
        self._tail = b""

    def comes_with(self, piece: bytes) -> bool:
        """Whether an end is complete with this piece."""
        data = self._tail + piece
        if not self._is_marked:
            # in most streams no piece but the last has these words, which is found out ten times faster
            may_end = not self._has_words or b"[DONE]" in data or b"[done]" in data
            mark = self._pattern.search(data) if may_end else None
            if mark is None:
                self._tail = data[-self._MARK :]
                return False
            self._is_marked = not mark.group().upper().endswith(b"[DONE]")
            data = data[mark.end() :]
        if self._is_marked and not self._BLANK.search(data):
            self._tail = data[-3:]
            return False
        self._is_marked, self._tail = False, b""
        return True


def chunk_of(value: dict[str, Any]) -> Chunk:
    """What any dialect's event may say: its usage and an error, also one of a proxy that knows no dialect."""
    return Chunk(error=error_in(value), usages=tuple(usages_in(value)))


def error_in(value: dict[str, Any]) -> ReportedError | None:
    """An `error` entry, an event that is itself an error, as vLLM's older ones are, or a vendor's own status."""
    if value.get("error") and _is_error(value["error"]):
        return read_error(value["error"])
    if "x_groq" in value and text_in(value["x_groq"], "error"):  # Groq's, of a stream that it breaks off
        return read_error(value["x_groq"]["error"])
    if value.get("object") in ("error", "Error"):
        return read_error(value)
    return None if value.get("choices") is not None and "base_resp" not in value else status_error(value)


def _is_error(value: Any) -> bool:
    """An object in which nothing stands but zeros and empty texts reports none."""
    return any(value.values()) if isinstance(value, dict) else bool(value)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none of anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def object_in(holder: Any, name: str) -> dict[str, Any]:
    """The object under a name; an empty one for anything else."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def text_in(holder: Any, name: str) -> str:
    """The text under a name; an empty one for anything else."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def word(value: Any) -> str | None:
    """A short text from outside as a name: printable, at most 200 characters; null when nothing is left of it."""
    if not isinstance(value, str):
        return None
    return "".join(letter for letter in value[:200] if letter.isprintable()).strip() or None


def version_below(base: str, version: str) -> str:
    """The version that a base URL's path lacks: some are written with it at their end, as its client takes others."""
    return "" if re.search(r"/v\d+\w*/?$|/publishers/", base) else f"{version}/"


def pin(wish: RequestSpec) -> dict[str, Any]:
    """The field by which OpenRouter uses one provider only."""
    if wish.provider is None:
        return {}
    required = {"require_parameters": True} if wish.requires_parameters else {}
    return {"provider": {"only": [wish.provider], "allow_fallbacks": False} | required}


MOST_ALTERNATIVES = 32


def logprobs_of(listed: Any, value: str = "logprob") -> dict[str, float] | None:
    """The logprobs of a list of tokens; null for anything else. Tokens that are part of a character are identified by
    their bytes, where they are stated: as text they all look alike.
    """
    found: dict[str, float] = {}
    for entry in objects(listed)[:MOST_ALTERNATIVES]:
        chance, name = entry.get(value), entry.get("token")
        if not isinstance(chance, int | float) or isinstance(chance, bool) or math.isnan(chance) or chance > 0:
            continue
        if isinstance(name, str):
            data = entry.get("bytes")
            key = f"bytes {data}" if "\ufffd" in name and isinstance(data, list) and data else name
            found[key[:MOST_TOKEN]] = max(float(chance), found.get(key[:MOST_TOKEN], -math.inf), LEAST_LOGPROB)
    return found or None
