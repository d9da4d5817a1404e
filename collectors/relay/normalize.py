"""What the relay changes of a request and of a response: as little as a client needs that knows one API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from collectors.http.adaptations import LIMITS, Change, adapt
from collectors.http.dialects.base import FILTERS, GAVE_UP, objects
from collectors.relay.call import Call
from collectors.relay.events import with_data
from settings.targets import ProbeTarget

STANDARD_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "error"})
LENGTH = frozenset({"max_tokens", "max_output_tokens", "max_length", "model_length", "length", "token_limit"})
TOOLS = frozenset({"tool_use", "tool_call", "tool_calls", "function_call", "function_calls"})
"""Other words for a standard reason; any that is in no list is `stop`."""
ROUTING_FIELDS = ("provider", "models", "route")
"""What a client says to the relay; only a router upstream understands them, too."""
SENT_WITH_USAGE = ("chat", "completions")


def request_body(
    call: Call, target: ProbeTarget, changes: Iterable[Change], *, is_routed: bool, asks_usage: bool
) -> bytes:
    """The bytes for a target. `asks_usage`: the relay wants to know what a stream used, whatever the client asked."""
    body = dict(call.body)
    body["model"] = target.model
    for name in ROUTING_FIELDS if not is_routed else ("models",):
        body.pop(name, None)
    if target.provider is not None and is_routed:
        asked = body.get("provider")
        pinned = {"only": [target.provider], "allow_fallbacks": False}
        body["provider"] = {**(asked if isinstance(asked, dict) else {}), **pinned}
    for name, value in target.extra_body.items():
        body[name] = _under(value, body[name]) if name in body else value
    if asks_usage:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    body = adapt(body, [change for change in changes if _is_passed_on(change)])
    return call.raw if body == call.body else _dumps(body)


def _is_passed_on(change: Change) -> bool:
    """Not what makes a stream no stream, and not a limit that a probe had to raise: a client's limit is its own."""
    name, instead = change
    return name != "stream" and not (name in LIMITS and instead is not None and instead.isdigit())


def _under(default: Any, asked: Any) -> Any:
    """The target's own setting below what the client asks, into the objects that both have."""
    if not isinstance(default, Mapping) or not isinstance(asked, dict):
        return asked
    return {**default, **{n: _under(default[n], v) if n in default else v for n, v in asked.items()}}


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a number of more than 64 bits
        return json.dumps(value).encode()


def standard_reason(reason: str) -> str:
    """The standard finish reason for a provider's own."""
    plain = reason.lower().replace("-", "_")
    if plain in STANDARD_REASONS:
        return plain
    if plain in FILTERS:
        return "content_filter"
    if plain in GAVE_UP:
        return "error"
    if plain in LENGTH:
        return "length"
    return "tool_calls" if plain in TOOLS else "stop"


def has_own_reason(value: Mapping[str, Any]) -> bool:
    """Whether a chunk or a response has a finish reason that is not standard."""
    choices = value.get("choices")
    if type(choices) is not list:
        return False
    for choice in choices:
        reason = choice.get("finish_reason") if type(choice) is dict else None
        if type(reason) is str and reason not in STANDARD_REASONS and reason:
            return True
    return False


def with_standard_reasons(value: dict[str, Any]) -> dict[str, Any]:
    """The same with standard finish reasons, the provider's own beside them."""
    for choice in objects(value.get("choices")):
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason and reason not in STANDARD_REASONS:
            choice.setdefault("native_finish_reason", reason)
            choice["finish_reason"] = standard_reason(reason)
    return value


def changed_event(raw: bytes, value: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> bytes:
    """An event with standard finish reasons and, where the client asked for it, the router's metadata."""
    more = {} if metadata is None else {"openrouter_metadata": metadata}
    return with_data(raw, _dumps({**with_standard_reasons(value), **more}))


def changed_body(value: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> bytes:
    """The same for a response that is one JSON object."""
    more = {} if metadata is None else {"openrouter_metadata": metadata}
    return _dumps({**with_standard_reasons(value), **more})


def as_stream(value: dict[str, Any], *, with_usage: bool) -> bytes:
    """A chat completion as the stream that its client asked for, where a server sends it in one piece."""
    chunk = {name: held for name, held in value.items() if name not in ("choices", "usage")}
    chunk["object"] = "chat.completion.chunk"
    choices = []
    for choice in objects(with_standard_reasons(value).get("choices")):
        message = choice.get("message")
        delta = dict(message) if isinstance(message, dict) else {}
        if calls := objects(delta.get("tool_calls")):
            delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
        choices.append({name: held for name, held in choice.items() if name != "message"} | {"delta": delta})
    events = [chunk | {"choices": choices}]
    if with_usage and isinstance(value.get("usage"), dict):
        events.append(chunk | {"choices": [], "usage": value["usage"]})
    return b"".join(b"data: " + _dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
