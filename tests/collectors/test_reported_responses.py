"""Responses as users of other clients have reported them, one row each, against a real HTTP server on loopback."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from collectors.http.adaptations import change_for
from collectors.http.errors import ReportedError
from collectors.http.exchange import Exchange
from collectors.http.usage import Usage, usages_in
from tests.collectors.exchanges import BODY, probe
from tests.fault_server import DONE, GOOD, Script, answer, chunk, chunked, event, usage

WHOLE = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
LATER = 0.05


def result_of(*pieces: bytes | float, content_type: str = "text/event-stream") -> Exchange:
    return probe(chunked(*pieces, content_type=content_type))[0]


@pytest.mark.parametrize(
    "reason",
    [
        "insufficient_system_resource",  # DeepSeek: can1357/oh-my-pi#8563
        "network_error",  # Zhipu: BerriAI/litellm#24373
        "network-error",  # OpenCode Zen: NousResearch/hermes-agent#92161
        "abort",  # vllm-project/vllm#57082, sgl-project/sglang#2956
        "error",
    ],
)
def test_a_finish_reason_that_says_that_the_server_gave_up_is_no_good_response(reason: str) -> None:
    result = result_of(chunk("4"), chunk(finish=reason), usage(), DONE)
    assert (result.outcome, result.error) == ("stream_error", f"finish_reason is {reason}")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        # Cloudflare: cloudflare/ai#593
        (
            {"success": False, "errors": [{"code": 3040, "message": "Capacity exceeded"}], "result": None},
            "3040: Capacity exceeded",
        ),
        # FastChat: chatchat-space/Langchain-Chatchat#2607
        ({"id": None, "choices": None, "error_code": 50002, "text": "NETWORK ERROR"}, "50002: NETWORK ERROR"),
        # FastAPI's, status objects without a code, and an event that calls itself an error
        ({"detail": "engine dead"}, "engine dead"),
        ({"status": "error", "message": "gpu lost"}, "gpu lost"),
        ({"statusCode": 500, "message": "boom"}, "boom"),
        ({"type": "error", "message": "worker died"}, "worker died"),
        # Groq breaks a stream off with a word
        ({"choices": [], "x_groq": {"error": "over_capacity"}}, "over_capacity"),
    ],
)
def test_an_error_in_a_vendors_own_words_inside_a_200_is_one(value: dict[str, Any], error: str) -> None:
    for result in (result_of(chunk("4"), event(value), DONE), probe(answer(200, value))[0]):
        assert (result.outcome, result.error) == ("stream_error", error)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ({"status": 429, "title": "Too Many Requests"}, "rate_limited"),  # NVIDIA, as in RFC 9457
        ({"detail": "Rate limit exceeded"}, "rate_limited"),
        ({"error": {"code": "1302", "message": "您当前使用该API的并发数过高"}}, "rate_limited"),  # Zhipu
        ({"error": {"code": "1113", "message": "余额不足或无可用资源包"}}, "caller_error"),
    ],
)
def test_a_limit_inside_a_200_is_one_in_more_words(value: dict[str, Any], outcome: str) -> None:
    assert result_of(event(value), DONE).outcome == outcome


@pytest.mark.parametrize(
    "value", [{"status": "in_progress", "message": "queued"}, {"detail": "x", "choices": [{"delta": {}}]}]
)
def test_an_object_that_only_tells_something_is_no_error(value: dict[str, Any]) -> None:
    assert result_of(event(value), *GOOD).outcome == "ok"


def test_an_error_object_of_zeros_and_empty_texts_is_none() -> None:
    nothing = {"choices": [{"delta": {"content": "42"}}], "error": {"code": 0, "message": ""}}
    assert result_of(event(nothing), chunk(finish="stop"), DONE).outcome == "ok"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("hm hm", "</think>\n\n"),  # DeepSeek-R1 on vLLM, whose template opens the tag
        ("<|channel|>analysis<|message|>hm", "<|end|><|start|>assistant<|channel|>final<|message|>"),  # gpt-oss
        ("<thought>hm", "</thought>"),  # Gemini's OpenAI endpoint: wyeeeee/hajimi#292
        ("[THINK]hm", "[/THINK]"),  # waybarrios/vllm-mlx#599
        ("<seed:think>hm", "</seed:think>"),
        ("◁think▷hm", "◁/think▷"),
        ("<|channel>thought\nhm", "<channel|>"),  # Gemma 4
        ("analysisWe add", "assistantfinal"),  # gpt-oss without its special tokens
    ],
)
def test_reasoning_in_the_text_is_no_answer_whatever_its_marks(first: str, then: str) -> None:
    result = result_of(chunk(first), LATER, chunk(" 41"), LATER, chunk(then), chunk("42"), chunk(finish="stop"), DONE)
    assert (result.outcome, result.response.text.strip()) == ("ok", "42")
    assert result.ttft_ms is not None and result.first_answer_ms is not None
    assert result.first_answer_ms - result.ttft_ms > LATER * 1_000


@pytest.mark.parametrize("text", ["I think that it is 42", "42 by reasoning", "the channel: 42"])
def test_a_text_about_thinking_is_an_answer(text: str) -> None:
    assert result_of(chunk(text), chunk(finish="stop"), DONE).response.text == text


@pytest.mark.parametrize("name", ["thinking", "thinking_content"])
def test_reasoning_under_another_name_is_a_first_token(name: str) -> None:
    """langgenius/dify-official-plugins#2117."""
    result = result_of(chunk(None, **{name: "hm"}), LATER, chunk("42"), chunk(finish="stop"), DONE)
    assert result.ttft_ms is not None and result.first_answer_ms is not None
    assert result.first_answer_ms - result.ttft_ms > LATER * 500


def test_reasoning_blocks_beside_the_content_are_a_first_token() -> None:
    """BerriAI/litellm's `thinking_blocks`."""
    blocks = [{"type": "thinking", "thinking": "hm", "signature": ""}]
    result = result_of(chunk(None, thinking_blocks=blocks), chunk(finish="length"), DONE)
    assert (result.outcome, result.ttft_ms is not None, result.first_answer_ms) == ("ok", True, None)


@pytest.mark.parametrize("done", [b'data: "[DONE]"\n\n', b"data: [done]\n\n"])
def test_done_may_stand_in_quotes_or_in_small_letters(done: bytes) -> None:
    result = result_of(*GOOD[:-1], done, 10.0)
    assert (result.outcome, result.error) == ("ok", None)


def test_an_event_that_is_no_json_behind_the_finish_reason_changes_nothing() -> None:
    assert result_of(*GOOD[:-1], b"data: bye\n\n", DONE).outcome == "ok"
    assert result_of(chunk("4"), b"data: bye\n\n", chunk(finish="stop"), DONE).outcome == "invalid_response"


@pytest.mark.parametrize("alive", [b"data: ping\n\n", b"data: null\n\n", b"event: heartbeat\ndata: alive\n\n"])
def test_what_keeps_a_connection_alive_may_be_a_word(alive: bytes) -> None:
    assert result_of(alive, *GOOD).outcome == "ok"


def test_a_finish_reason_may_be_in_camel_case() -> None:
    """Google's OpenAI endpoint: jakobdylanc/llmcord#84."""
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": None, "finishReason": "stop"}]}
    assert result_of(chunk("42"), event(last), DONE).response.finish_reason == "stop"


def test_usage_behind_done_is_read() -> None:
    result = result_of(*GOOD[:-2], DONE, usage(20, 3))
    assert (result.completion_tokens, result.tokens_source) == (3, "usage")


@pytest.mark.parametrize(
    "pieces",
    [
        [event(WHOLE), DONE],
        [event({"choices": [{"text": "4"}]}), event({"choices": [{"text": "2", "finish_reason": "stop"}]}), DONE],
        [chunk("4"), chunk("2"), event(WHOLE), DONE],  # what came is said once more at the end
    ],
)
def test_text_that_does_not_stand_in_a_delta_is_read_once(pieces: list[bytes]) -> None:
    result = result_of(*pieces)
    assert (result.outcome, result.response.text) == ("ok", "42")


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_keep_alives_before_a_json_body_do_not_make_it_a_stream(kind: str) -> None:
    """OpenRouter's, where nothing streams."""
    processing = b": OPENROUTER PROCESSING\n\n"
    result = result_of(processing, processing, json.dumps(WHOLE).encode(), content_type=kind)
    assert (result.outcome, result.response.text, result.ttft_ms) == ("ok", "42", None)


def test_json_lines_are_a_stream_whatever_their_type() -> None:
    lines = [piece.removeprefix(b"data: ").replace(b"\n\n", b"\n") for piece in GOOD[:-1]]
    result = result_of(*lines, content_type="application/json")
    assert (result.outcome, result.response.text) == ("ok", "42")
    assert result.ttft_ms is not None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # llama.cpp without include_usage: the cached part of the prompt is beside prompt_n
        ({"timings": {"cache_n": 4, "prompt_n": 20, "predicted_n": 2}}, Usage(24, 2, None, 4)),
        # and with it: older ones count only what was not cached in prompt_n
        (
            {"usage": {"prompt_tokens": 24, "completion_tokens": 2}, "timings": {"prompt_n": 1, "predicted_n": 2}},
            Usage(24, 2),
        ),
        ({"usage": {"prompt_tokens": "24", "completion_tokens": "2", "total_tokens": "26"}}, Usage(24, 2)),
        # Gemini with a tool: neither the answer nor the thoughts are in its prompt's tokens
        (
            {
                "usageMetadata": {
                    "promptTokenCount": 24,
                    "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 10,
                    "toolUsePromptTokenCount": 10,
                    "totalTokenCount": 46,
                }
            },
            Usage(24, 12, 10),
        ),
    ],
)
def test_more_places_and_shapes_of_usage(value: dict[str, Any], expected: Usage) -> None:
    found = Usage()
    for one in usages_in(value):
        found = found.followed_by(one)
    assert found == expected


def test_a_prompt_whose_cached_part_is_told_only_at_first_keeps_it() -> None:
    """Anthropic's message_delta of some proxies repeats input_tokens alone."""
    [first] = usages_in({"message": {"usage": {"input_tokens": 34, "cache_read_input_tokens": 100}}})
    [last] = usages_in({"usage": {"input_tokens": 34, "output_tokens": 2}})
    assert first.followed_by(last) == Usage(134, 2, None, 100)


def _refusing_inside_200(field: str, error: Any) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = field in request["body"]
        (chunked(event({"error": error}), DONE) if wrong else chunked(*GOOD))(connection, request)

    return script


@pytest.mark.parametrize(
    ("field", "error"),
    [
        # sgl-project/sglang#12081: a 400 in the stream of a 200
        ("stream_options", {"object": "error", "message": "stream_options is not supported", "code": 400}),
        (
            "temperature",
            {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error": {"message": "no temperature", "param": "temperature"}}'},
            },
        ),
    ],
)
def test_a_refusal_inside_a_200_is_one_too(field: str, error: Any) -> None:
    result, server = probe(_refusing_inside_200(field, error))
    assert (result.outcome, result.adaptations, len(server.requests)) == ("ok", ((field, None),), 2)


def test_a_change_that_was_taken_is_remembered_although_the_account_has_no_credit() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = "temperature" in request["body"]
        refusal = answer(400, {"error": {"message": "temperature is not supported"}})
        broke = chunked(event({"error": {"code": 402, "message": "Insufficient credits"}}), DONE)
        (refusal if wrong else broke)(connection, request)

    result, _ = probe(script)
    assert (result.outcome, result.adaptations) == ("caller_error", (("temperature", None),))


@pytest.mark.parametrize(
    ("message", "param", "change"),
    [
        ("Unsupported parameter: 'max_tokens'.", "max_tokens", ("max_tokens", '"max_completion_tokens"')),
        ("max_tokens is not supported; use max_output_tokens.", None, ("max_tokens", '"max_output_tokens"')),
        ("max_tokens is too large: 16. The maximum is 8.", "max_tokens", None),
        ("Invalid max_tokens: must be greater than 20", None, ("max_tokens", "21")),
        ("max_tokens: 16 > 8, which is the maximum allowed", None, None),
        # Anthropic, where extra_body lets the model think
        ("`max_tokens` must be greater than `thinking.budget_tokens`.", None, ("max_tokens", "1024")),
        ("Streaming mode is not supported for this model", None, ("stream", "false")),
        ("'stream' does not support true with this model", None, ("stream", "false")),
        ("Value error, stream must be false", None, ("stream", "false")),
        ("only non-streaming requests are served", None, ("stream", "false")),
        ("stream_options is not supported", None, ("stream_options", None)),
        # Groq; Anthropic; OpenAI, of what a target adds
        ("property 'top_k' is unsupported, did you mean 'top_p'?", None, ("top_k", None)),
        ("top_k: Extra inputs are not permitted", None, ("top_k", None)),
        ("Unrecognized request argument supplied: top_k", None, ("top_k", None)),
        ("The top_k results are not supported by this index", None, None),
        ("'messages' is not supported", None, None),
    ],
)
def test_what_a_refusal_asks_for(message: str, param: str | None, change: tuple[str, str | None] | None) -> None:
    refusal = ReportedError(message, param=param)
    assert change_for(refusal, BODY | {"top_k": 5}) == change
