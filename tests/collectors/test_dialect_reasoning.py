"""Reasoning in each dialect: shown before the answer, between tags, cut by the limit, or hidden and billed."""

from __future__ import annotations

import pytest
from anthropic import types as claude
from google.genai import types as google

from store import Store
from tests.collectors import vendors
from tests.collectors.dialects import at_least, streamed
from tests.collectors.vendors import STEP_S


@pytest.mark.alone
def test_reasoning_that_is_shown_comes_before_the_first_answer(store: Store) -> None:
    streams: dict[str, list[bytes | float]] = {
        "chat": [
            vendors.chat_event({"reasoning_content": "hm"}),
            STEP_S,
            vendors.chat_event({"content": "\n"}),
            STEP_S,
            vendors.chat_event({"content": "42"}, "stop"),
            b"data: [DONE]\n\n",
        ],
        "responses": [
            vendors.response_thought("hm"),
            2 * STEP_S,
            vendors.response_text("42"),
            vendors.response_end(),
        ],
        "anthropic": [
            vendors.message_start(),
            vendors.block_start(claude.ThinkingBlock(signature="", thinking="", type="thinking")),
            vendors.claude_thought("hm"),
            vendors.block_delta(claude.SignatureDelta(signature="EqQB", type="signature_delta")),
            2 * STEP_S,
            vendors.claude_text("42"),
            vendors.message_delta("end_turn"),
            vendors.MESSAGE_STOP,
        ],
        "gemini": [
            vendors.gemini_event(vendors.gemini_body(google.Part(text="hm", thought=True))),
            2 * STEP_S,
            vendors.gemini_text("42", finish="STOP", used=vendors.ANSWERED),
        ],
    }
    for api, pieces in streams.items():
        row = streamed(store, api, 0.01, *pieces, name=api)
        assert row.outcome == "ok", (api, row)
        assert row.ttft_ms is not None and row.first_answer_ms is not None
        assert at_least(row.first_answer_ms - row.ttft_ms, 2 * STEP_S * 1_000), api


@pytest.mark.alone
@pytest.mark.parametrize(
    "pieces",
    [
        ["<think>hm", " so</think>\n\n", "42"],
        ["<think>hm", " so</thi", "nk>42"],
        ["hm", " so</think>\n", "42"],
        [" \n<thinking>hm", "</thinking>", "42"],
    ],
)
def test_reasoning_between_tags_is_not_the_answer(store: Store, pieces: list[str]) -> None:
    events: list[bytes | float] = [vendors.chat_event({"content": pieces[0]})]
    for piece in pieces[1:]:
        events += [STEP_S, vendors.chat_event({"content": piece})]
    row = streamed(store, "chat", *events, vendors.chat_event({}, "stop"), b"data: [DONE]\n\n")
    assert row.ttft_ms is not None and row.first_answer_ms is not None
    assert at_least(row.first_answer_ms - row.ttft_ms, 2 * STEP_S * 1_000)
    assert row.first_answer_ms == row.total_ms


def test_reasoning_that_the_limit_cut_has_no_answer_and_is_not_judged(store: Store) -> None:
    row = streamed(
        store,
        "chat",
        vendors.chat_event({"content": "<think>let me"}),
        vendors.chat_event({"content": " see"}, "length"),
        b"data: [DONE]\n\n",
    )
    assert (row.outcome, row.first_answer_ms, row.answer_ok) == ("ok", None, None)
    assert row.ttft_ms is not None


@pytest.mark.parametrize(
    ("api", "pieces", "reasoning"),
    [
        (
            "responses",
            [
                *vendors.response_begin(),
                vendors.response_end(
                    "incomplete",
                    incomplete_details=vendors.incomplete("max_output_tokens"),
                    usage=vendors.response_usage(16, reasoning=16),
                ),
            ],
            16,
        ),
        (
            "anthropic",
            [
                vendors.message_start(),
                vendors.block_start(claude.RedactedThinkingBlock(data="EmwKAhgB", type="redacted_thinking")),
                vendors.message_delta("max_tokens", 16),
                vendors.MESSAGE_STOP,
            ],
            None,
        ),
        (
            "gemini",
            [
                vendors.gemini_event(
                    vendors.gemini_body(finish="MAX_TOKENS", used={"thoughts_token_count": 16, "total_token_count": 36})
                )
            ],
            16,
        ),
    ],
)
def test_reasoning_that_is_billed_and_hidden_is_work(
    store: Store, api: str, pieces: list[bytes | float], reasoning: int | None
) -> None:
    row = streamed(store, api, *pieces)
    assert (row.outcome, row.error) == ("ok", None)
    assert (row.ttft_ms, row.first_answer_ms, row.answer_ok) == (None, None, None)
    assert (row.completion_tokens, row.reasoning_tokens) == (16, reasoning)
