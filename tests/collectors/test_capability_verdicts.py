"""What a response shows of a capability, by response bodies that were worked out by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from collectors import capability_requests as requests
from collectors import capability_verdicts as verdicts
from collectors.capability_verdicts import HELD, Verdict
from collectors.http.exchange import Exchange
from collectors.http.response import read_events, read_whole
from collectors.http.sse import events
from store.capability_tables import FAILS, NOT_TESTED
from tests.collectors.lying_server import number_in
from tests.fault_server import DONE, chunk, usage


def responded(content: str | None = None, finish: str = "stop", **message: Any) -> Exchange:
    """A response in one body, as OpenAI's own client reads it."""
    used = message.pop("used", {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25})
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content} | message}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": used}
    ChatCompletion.model_validate(body)
    response = read_whole([body])
    return Exchange("ok", http_status=200, response=response, completion_tokens=response.usage.completion_tokens)


def called(name: str, arguments: str) -> Exchange:
    function = {"name": name, "arguments": arguments}
    return responded(finish="tool_calls", tool_calls=[{"id": "1", "type": "function", "function": function}])


def streamed(*pieces: bytes) -> Exchange:
    response = read_events(events([(float(n), piece) for n, piece in enumerate(pieces)]))
    return Exchange("ok", http_status=200, response=response)


RIGHT = {"city": "Lima", "unit": "celsius", "days": 3}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (called("get_weather", json.dumps(RIGHT)), None),
        (responded("It will be sunny."), "no tool call was made"),
        (called("weather", json.dumps(RIGHT)), "the call names an unknown tool"),
        (called("get_weather", '{"city": "Lima"'), "the call's arguments are invalid JSON"),
        (called("get_weather", ""), "the call's arguments are invalid JSON"),
        (called("get_weather", json.dumps(RIGHT | {"unit": "kelvin"})), "do not match the schema: enum of unit"),
        (called("get_weather", json.dumps(RIGHT | {"days": "3"})), "do not match the schema: type of days"),
        (called("get_weather", '{"city": "Lima", "days": 3}'), "do not match the schema: required"),
        (called("get_weather", json.dumps(RIGHT | {"hour": 1})), "do not match the schema: additionalProperties"),
        (called("get_weather", "[]"), "do not match the schema: type"),
    ],
)
def test_a_tool_call_fails_in_the_ways_that_the_router_publishes(result: Exchange, reason: str | None) -> None:
    verdict = verdicts.judge_tool_call(result)
    assert (verdict.status == FAILS) == (reason is not None)
    assert (verdict.reason or "").endswith(reason or "")


def test_a_tool_call_that_comes_in_pieces_is_put_together() -> None:
    first = {"index": 0, "id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city"'}}
    second = {"index": 0, "function": {"name": "get_weather", "arguments": ': "Lima", "unit": "celsius", "days": 3}'}}
    result = streamed(
        chunk(tool_calls=[first]), chunk(tool_calls=[second]), chunk(finish="tool_calls"), usage(9, 20), DONE
    )
    assert verdicts.judge_tool_call(result) == HELD
    assert result.response.token_chunks == 2


def test_the_older_function_call_and_arguments_that_are_an_object_are_tool_calls_too() -> None:
    older = responded(function_call={"name": "get_weather", "arguments": json.dumps(RIGHT)})
    assert verdicts.judge_tool_call(older) == HELD
    whole = {"function": {"name": "get_weather", "arguments": RIGHT}}
    assert verdicts.judge_tool_call(streamed(chunk(tool_calls=[whole]), chunk(finish="stop"), DONE)) == HELD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"animal": "horse", "legs": 4, "can_fly": false}', None),
        ('```json\n{"animal": "horse", "legs": 4, "can_fly": false}\n```', "the answer is not JSON"),
        ("A horse has four legs.", "the answer is not JSON"),
        ('{"animal": "horse"}', "the answer does not match the schema: required"),
        ('{"animal": "mule", "legs": 4, "can_fly": false}', "the answer does not match the schema: enum of animal"),
        ("", "the answer is not JSON"),
    ],
)
def test_a_structured_output_is_nothing_but_json_by_its_schema(text: str, reason: str | None) -> None:
    assert verdicts.judge_structured_output(responded(text)).reason == reason


@pytest.mark.parametrize("number", [10, 42, 57, 68, 93])
def test_the_picture_shows_its_number_and_no_other(number: int) -> None:
    url = "data:image/png;base64," + base64.b64encode(requests.picture_of(number)).decode()
    assert number_in(url) == number
    assert len(url) < 1_000
    assert verdicts.judge_image(responded(f"The number is {number}."), number) == HELD
    assert verdicts.judge_image(responded(f"1{number}"), number).status == FAILS


def test_logprobs_are_there_or_not() -> None:
    top = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    body = {"choices": [{"index": 0, "message": {"content": "a"}, "logprobs": {"content": [top]}}]}
    assert verdicts.judge_logprobs(Exchange("ok", response=read_whole([body]))) == HELD
    assert verdicts.judge_logprobs(responded("a")).reason == "the response has no logprobs"


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        (" 4 5 6 ", "stop", HELD),
        ("1, 2, 3, 4, 5, 6, ", "stop", HELD),
        ("4 5 6 7 8 9", "stop", Verdict(FAILS, "the text continues after the stop sequence")),
        ("one two three", "length", Verdict(NOT_TESTED, "the model did not reach the stop sequence")),
        ("Sure!", "stop", Verdict(NOT_TESTED, "the model did not count as requested")),
    ],
)
def test_a_text_ends_before_its_stop_sequence(text: str, finish: str, expected: Verdict) -> None:
    assert verdicts.judge_stop(responded(text, finish)) == expected


def test_a_response_is_as_short_as_it_was_to_be() -> None:
    used = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    longer = responded("1 2 3", "length", used=used)
    assert verdicts.judge_max_tokens(longer, 9) == HELD
    assert verdicts.judge_max_tokens(longer, 8).reason == "9 output tokens where at most 8 were allowed"
    raised = Exchange("ok", completion_tokens=16, adaptations=(("max_tokens", "16"),))
    assert verdicts.judge_max_tokens(raised, 8) == HELD
    renamed = Exchange("ok", completion_tokens=16, adaptations=(("max_tokens", '"max_completion_tokens"'),))
    assert verdicts.judge_max_tokens(renamed, 8).status == FAILS
    assert verdicts.judge_max_tokens(Exchange("ok"), 8).status == NOT_TESTED


def test_a_stream_says_what_it_took() -> None:
    assert verdicts.judge_usage(streamed(chunk("a"), chunk(finish="stop"), usage(9, 1), DONE)) == HELD
    silent = streamed(chunk("a"), chunk(finish="stop"), DONE)
    assert verdicts.judge_usage(silent).reason == "the stream ends without usage"
    assert verdicts.judge_usage(responded("a")).status == NOT_TESTED


def test_a_system_message_is_followed() -> None:
    assert verdicts.judge_system_message(responded("Pineapple.")) == HELD
    assert verdicts.judge_system_message(responded("Lima")).status == FAILS


@pytest.mark.parametrize(
    ("cold", "hot", "expected"),
    [
        (["a", "a"], ["b", "c"], HELD),
        (["a", "a"], ["a", "a"], Verdict(FAILS, "the same text twice at temperature 1.5")),
        (["a", "b"], ["b", "c"], Verdict(FAILS, "two different texts at temperature 0")),
        (["a", ""], ["b", "c"], Verdict(NOT_TESTED, "the model wrote nothing")),
        (
            ["apple river stone cloud", "apple river stone moon"],
            ["b", "c"],
            Verdict(NOT_TESTED, "two texts at temperature 0 differ late, as rounding alone can make them"),
        ),
        (
            ["apple river stone cloud", "apple river lamp cloud"],
            ["b", "c"],
            Verdict(FAILS, "two different texts at temperature 0"),
        ),
    ],
)
def test_temperature_changes_how_much_texts_differ(cold: list[str], hot: list[str], expected: Verdict) -> None:
    assert verdicts.judge_temperature(cold, hot) == expected


@pytest.mark.parametrize(
    ("seeded", "hot", "expected"),
    [
        (["x", "x"], ["b", "c"], HELD),
        (["x", "y"], ["b", "c"], Verdict(FAILS, "two different texts with the same seed")),
        (
            ["a b c d", "a b c e"],
            ["b", "c"],
            Verdict(NOT_TESTED, "two texts with the same seed differ late, as rounding alone can make them"),
        ),
        (["x", "x"], ["x", "x"], Verdict(NOT_TESTED, "the texts are the same without a seed, too")),
        (["x", "x"], [], Verdict(NOT_TESTED, "the texts are the same without a seed, too")),
    ],
)
def test_a_seed_shows_something_only_where_texts_differ_without_it(
    seeded: list[str], hot: list[str], expected: Verdict
) -> None:
    assert verdicts.judge_seed(seeded, hot) == expected


def test_a_context_is_as_long_as_claimed_when_a_number_is_found_in_all_of_it() -> None:
    used = {"prompt_tokens": 3_600, "completion_tokens": 3, "total_tokens": 3_603}
    assert verdicts.judge_context(responded("12345", used=used), "12345", 3_600, 4_000) == HELD
    lost = verdicts.judge_context(responded("54321", used=used), "12345", 3_600, 4_000)
    assert lost.reason == "the number was not found in about 3,600 tokens"
    never = verdicts.judge_context(responded("54321", used=used), "12345", 3_600, 4_000, finds_in_short=False)
    assert never == Verdict(
        NOT_TESTED, "about 3,600 tokens were accepted, but the number is not found in a short text either"
    )
    used = {"prompt_tokens": 2_048, "completion_tokens": 3, "total_tokens": 2_051}
    cut = verdicts.judge_context(responded("12345", used=used), "12345", 3_600, 4_000)
    assert cut.reason == "the prompt was cut: 2,048 of about 3,600 tokens were counted"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Exchange("ok", http_status=200), None),
        (Exchange("empty", http_status=200), None),
        (Exchange("ok", adaptations=(("seed", None),)), Verdict(FAILS, "the server refuses seed")),
        (Exchange("ok", adaptations=(("stream_options", None),)), None),
        (Exchange("caller_error", http_status=400), Verdict(FAILS, "refused with HTTP 400")),
        (Exchange("not_found", http_status=404), Verdict(FAILS, "refused with HTTP 404")),
        (Exchange("caller_error", http_status=401), Verdict(NOT_TESTED, "caller error")),
        (
            Exchange("server_error", "HTTP 500, image input is not supported", 500),
            Verdict(FAILS, "the server reports that it does not support this"),
        ),
        (Exchange("server_error", "HTTP 503", 503), Verdict(NOT_TESTED, "server error")),
        (Exchange("rate_limited", http_status=429), Verdict(NOT_TESTED, "rate limited")),
        (Exchange("timeout"), Verdict(NOT_TESTED, "timeout")),
    ],
)
def test_how_a_request_ended_says_whether_it_was_a_test(result: Exchange, expected: Verdict | None) -> None:
    assert verdicts.judge_exchange(result, ("seed",)) == expected


def test_a_model_that_reasons_until_its_limit_shows_nothing() -> None:
    result = streamed(chunk(reasoning_content="Hm"), chunk(finish="length"), usage(9, 64), DONE)
    assert verdicts.judge_exchange(result) == Verdict(NOT_TESTED, "the reasoning used up the output tokens")
    filtered = streamed(chunk("I"), chunk(finish="content_filter"), DONE)
    assert verdicts.judge_exchange(filtered) == Verdict(NOT_TESTED, "a content filter withheld the text")


def test_a_reason_never_has_what_a_response_said() -> None:
    secret = "s3cret"
    wrong = [
        called(secret, "{}"),
        called("get_weather", json.dumps({secret: secret})),
        called("get_weather", json.dumps(RIGHT | {"unit": secret, secret: 1})),
    ]
    assert not any(secret in (verdicts.judge_tool_call(result).reason or "") for result in wrong)
    assert secret not in (verdicts.judge_structured_output(responded(secret)).reason or "")
