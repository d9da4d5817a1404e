"""What a response shows of a capability: pure. Reasons are in words of our own, and never those of a response."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors.capability_requests import ANSWER, HOT, MARK, PARAMETERS, STOP_AT, TOOL
from collectors.http.adaptations import LIMITS
from store.capability_tables import FAILS, HOLDS, NOT_TESTED

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange

REFUSED = (400, 404, 405, 413, 415, 422, 501)
"""Statuses by which servers say that they do not take what was asked, where they took a plain request before."""
_UNSUPPORTED = re.compile(r"not support|unsupported|n't support|not implemented", re.IGNORECASE)
"""How some say the same with a status of 500: llama.cpp of a picture."""
_FEWEST_OF_CLAIM = 0.75
"""A prompt of 90% of the claimed context that is counted as less than this share of it was cut."""
_FIRST_WORDS = 3
"""Two texts that should be the same differ for a reason when they do so within these."""


@dataclass(frozen=True)
class Verdict:
    """Whether a capability holds, and why not."""

    status: str
    reason: str | None = None


HELD = Verdict(HOLDS)


def fails(reason: str) -> Verdict:
    """It does not hold."""
    return Verdict(FAILS, reason)


def not_tested(reason: str) -> Verdict:
    """Nothing was shown."""
    return Verdict(NOT_TESTED, reason)


def judge_exchange(result: Exchange, fields: Iterable[str] = ()) -> Verdict | None:
    """What a response shows by the way in which it ended, of a test that is about these fields; null: look into it."""
    refused = next((name for name, instead in result.adaptations if name in fields and instead is None), None)
    if refused is not None:
        return fails(f"the server refuses {refused}")
    status, response = result.http_status, result.response
    if result.outcome in ("caller_error", "not_found") and status in REFUSED:
        return fails(f"refused with HTTP {status}")
    if result.outcome in ("server_error", "stream_error", "caller_error") and _UNSUPPORTED.search(result.error or ""):
        return fails("the server reports that it does not support this")
    if result.outcome not in ("ok", "empty"):
        return not_tested(result.outcome.replace("_", " "))
    if response.filtered:
        return not_tested("a content filter withheld the text")
    thought = response.reasoned or bool(response.usage.reasoning_tokens)
    if thought and result.response.finish_reason == "length" and not response.text and not response.tool_calls:
        return not_tested("the reasoning used up the output tokens")
    return None


# -- one response


def judge_tool_call(result: Exchange) -> Verdict:
    """Errors as OpenRouter publishes them: none made, unknown name, invalid JSON, schema mismatch."""
    calls = list(result.response.tool_calls.values())
    if not calls:
        return fails("no tool call was made")
    for call in calls:
        if call.name != TOOL:
            return fails("the call names an unknown tool")
        arguments, is_json = _parse(call.arguments)
        if not is_json:
            return fails("the call's arguments are invalid JSON")
        if mismatch := _mismatch(arguments, PARAMETERS):
            return fails(f"the call's arguments do not match the schema: {mismatch}")
    return HELD


def judge_structured_output(result: Exchange) -> Verdict:
    """Nothing but JSON, as the schema says."""
    answer, is_json = _parse(result.response.text)
    if not is_json:
        return fails("the answer is not JSON")
    mismatch = _mismatch(answer, ANSWER)
    return fails(f"the answer does not match the schema: {mismatch}") if mismatch else HELD


def _parse(text: str) -> tuple[Any, bool]:
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        return None, False


def _mismatch(value: Any, schema: dict[str, Any]) -> str | None:
    """Which rule of a schema a value breaks, and where; null for none."""
    from jsonschema import Draft202012Validator  # 0.1 s, for what a day needs once

    problem = next(iter(Draft202012Validator(schema).iter_errors(value)), None)
    if problem is None:
        return None
    where = ".".join(str(part) for part in problem.absolute_path)
    return f"{problem.validator}{f' of {where}' if where else ''}"


def judge_image(result: Exchange, number: int) -> Verdict:
    """Whether it read the number."""
    return HELD if _names(result.response.text, str(number)) else fails("the number in the picture was not read")


def judge_logprobs(result: Exchange) -> Verdict:
    """Whether any came."""
    return HELD if result.response.logprobs else fails("the response has no logprobs")


def judge_stop(result: Exchange) -> Verdict:
    """Whether the text ends before the stop sequence, which it would have come to."""
    text = result.response.text
    if STOP_AT in text:
        return fails("the text continues after the stop sequence")
    if result.response.finish_reason == "length":
        return not_tested("the model did not reach the stop sequence")
    return HELD if re.search(r"6\D*$", text) else not_tested("the model did not count as requested")


def judge_max_tokens(result: Exchange, limit: int) -> Verdict:
    """Whether the response is as short as it was to be, by its own usage, else by its chunks."""
    adapted = [json.loads(instead) for name, instead in result.adaptations if name in LIMITS and instead]
    limit = max([limit, *(value for value in adapted if isinstance(value, int))])
    tokens = result.completion_tokens
    if tokens is None:
        return not_tested("the number of output tokens is unknown")
    if tokens > limit:
        return fails(f"{tokens:,} output tokens where at most {limit:,} were allowed")
    return HELD


def judge_usage(result: Exchange) -> Verdict:
    """Whether the stream said how many tokens it took."""
    if not result.response.streamed:
        return not_tested("the response was not streamed")
    usage = result.response.usage
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return fails("the stream ends without usage")
    return HELD


def judge_system_message(result: Exchange) -> Verdict:
    """Whether it did as the system message says."""
    return HELD if MARK.lower() in result.response.text.lower() else fails("the system message was not followed")


def judge_context(result: Exchange, needle: str, asked: int, claimed: int, *, finds_in_short: bool = True) -> Verdict:
    """Whether it found a number in a prompt of about `asked` tokens, and had read all of them. A model that does not
    find one in a short text says nothing about a long one.
    """
    counted = result.response.usage.prompt_tokens
    if counted is not None and counted < _FEWEST_OF_CLAIM * claimed:
        return fails(f"the prompt was cut: {counted:,} of about {asked:,} tokens were counted")
    if finds_needle(result, needle):
        return HELD
    if not finds_in_short:
        return not_tested(f"about {asked:,} tokens were accepted, but the number is not found in a short text either")
    return fails(f"the number was not found in about {asked:,} tokens")


def finds_needle(result: Exchange, needle: str) -> bool:
    """Whether the answer has the number."""
    return _names(result.response.text, needle)


def _names(text: str, number: str) -> bool:
    return re.search(rf"(?<!\d){number}(?!\d)", text) is not None


# -- several responses


def judge_temperature(cold: list[str], hot: list[str]) -> Verdict:
    """Two texts at temperature 0, and two at a high one."""
    if not all(cold) or not all(hot):
        return not_tested("the model wrote nothing")
    if hot[0] == hot[1]:
        return fails(f"the same text twice at temperature {HOT:g}")
    return _judge_repeated(cold, "at temperature 0")


def judge_seed(seeded: list[str], hot: list[str]) -> Verdict:
    """Two texts at a high temperature with one seed; `hot`: without any, which have to differ to show something."""
    if not all(seeded):
        return not_tested("the model wrote nothing")
    verdict = _judge_repeated(seeded, "with the same seed")
    if verdict != HELD:
        return verdict
    if len(hot) != 2 or hot[0] == hot[1]:
        return not_tested("the texts are the same without a seed, too")
    return HELD


def _judge_repeated(texts: list[str], how: str) -> Verdict:
    """Two texts that should be the same. Other requests in a server's batch change its rounding, and with that a word
    late in a text: that shows nothing.
    """
    one, other = (text.split() for text in texts)
    if one == other:
        return HELD
    if one[:_FIRST_WORDS] != other[:_FIRST_WORDS]:
        return fails(f"two different texts {how}")
    return not_tested(f"two texts {how} differ late, as rounding alone can make them")
