"""Good responses in each dialect: their times, tokens and names, and where each of them ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import types as claude
from google.genai import types as google

from store import Store
from tests.collectors import vendors
from tests.collectors.dialects import at_least, probed, streamed
from tests.collectors.vendors import STEP_S, STREAMS, WHOLE, answering
from tests.fault_server import answer


@pytest.mark.parametrize(
    ("api", "model", "tokens", "finish"),
    [
        ("chat", "gpt-served", (20, 2, None, None), "stop"),
        ("azure", "gpt-served", (20, 2, None, None), "stop"),
        ("responses", "gpt-served", (20, 2, 0, 0), "completed"),
        ("anthropic", "claude-served", (20, 15, None, 8), "end_turn"),
        ("gemini", "gemini-served", (20, 32, 30, None), "STOP"),
    ],
)
def test_a_stream_is_recorded_with_its_times_tokens_and_names(
    store: Store, api: str, model: str, tokens: tuple[int | None, ...], finish: str
) -> None:
    """Anthropic counts what it read from its cache (8) beside the input (12); Gemini its thoughts beside the answer."""
    row, _ = probed(store, api, answering(STREAMS[api]))
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)
    assert (row.served_model, row.finish_reason) == (model, finish)
    assert (row.prompt_tokens, row.completion_tokens, row.reasoning_tokens, row.cached_tokens) == tokens
    assert row.tokens_source == "usage"
    assert at_least(row.ttft_ms, STEP_S * 1_000)
    assert row.first_answer_ms == row.ttft_ms
    assert at_least(row.total_ms, 2 * STEP_S * 1_000)
    assert row.system_fingerprint == ("fp_44709d6fcb" if api in ("chat", "azure") else None)


@pytest.mark.parametrize("api", sorted(WHOLE))
def test_without_a_stream_the_whole_response_is_read_and_has_no_first_token(store: Store, api: str) -> None:
    def script(connection: Any, request: dict[str, Any]) -> None:
        assert not request["body"].get("stream")
        assert "stream" not in request["line"]
        answer(200, WHOLE[api](vendors.sum_in(request)))(connection, request)

    row, _ = probed(store, api, script, stream=False)
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)
    assert (row.ttft_ms, row.first_answer_ms, row.tokens_per_second) == (None, None, None)
    assert row.total_ms is not None and row.total_ms > 0
    assert row.prompt_tokens == 20
    assert row.completion_tokens == {"anthropic": 1, "gemini": 32}.get(api, 2)


def test_a_vector_is_a_good_response_with_a_total_time_and_no_answer(store: Store) -> None:
    prices = {"usd_per_million_input": 1, "usd_per_million_output": 0}
    row, server = probed(store, "embeddings", answer(200, vendors.embedding()), **prices)
    assert (row.outcome, row.error, row.served_model) == ("ok", None, "embed-served")
    assert (row.prompt_tokens, row.completion_tokens, row.answer_ok) == (20, None, None)
    assert (row.ttft_ms, row.first_answer_ms, row.tokens_per_second) == (None, None, None)
    assert row.total_ms is not None
    assert row.cost_usd == pytest.approx(20 / 1e6)
    assert server.requests[0]["headers"]["accept"] == "application/json"
    row, _ = probed(store, "embeddings", answer(200, vendors.embedding() | {"data": []}))
    assert (row.outcome, row.error) == ("empty", "the response has no vector")


def test_gemini_that_knows_no_events_sends_an_array_and_is_read(store: Store) -> None:
    parts = [vendors.gemini_body(google.Part(text="4")), vendors.gemini_body(google.Part(text="2"), finish="STOP")]
    row, _ = probed(store, "gemini", answer(200, parts))
    assert (row.outcome, row.finish_reason, row.ttft_ms) == ("ok", "STOP", None)


def test_compatible_servers_that_count_only_at_the_end_are_read(store: Store) -> None:
    """zai-org/GLM-5#139, sgl-project/sglang#20678: zeros in message_start, all figures in message_delta."""
    nothing = claude.Usage(input_tokens=0, output_tokens=0)
    start = vendors.named(claude.RawMessageStartEvent(message=vendors.message(usage=nothing), type="message_start"))
    used = {"input_tokens": 14, "cache_read_input_tokens": 6, "output_tokens": 3}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": used}
    delta = f"event: message_delta\ndata: {json.dumps(end)}\n\n".encode()
    row = streamed(store, "anthropic", start, vendors.claude_text("42"), delta, vendors.MESSAGE_STOP)
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens) == (20, 3, 6)


# -- the end of a stream


@pytest.mark.parametrize("api", sorted(STREAMS))
def test_a_stream_is_over_at_its_dialects_own_end(store: Store, api: str) -> None:
    """The connection stays open for ten seconds; the probe's timeout is five."""
    row, _ = probed(store, api, answering(lambda text: [*STREAMS[api](text), 10.0]))
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)


def test_a_stream_that_ended_in_time_is_not_too_late_for_what_its_connection_does(store: Store) -> None:
    """Its end comes after 0.7 s of the 1.0 that there are; what the server might still send is awaited for one more."""
    row, _ = probed(store, "gemini", answering(lambda text: [0.7, *STREAMS["gemini"](text), 10.0]), timeout="1s")
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)


@pytest.mark.parametrize("api", sorted(STREAMS))
def test_an_end_is_found_however_the_bytes_are_split(store: Store, api: str) -> None:
    def split(text: str) -> list[bytes | float]:
        whole = b"".join(piece for piece in STREAMS[api](text) if isinstance(piece, bytes))
        return [whole[at : at + 7] for at in range(0, len(whole), 7)] + [10.0]

    row, _ = probed(store, api, answering(split))
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_an_end_that_the_model_only_writes_about_is_none(store: Store) -> None:
    written = '"type":"response.completed" "type": "message_stop" "finishReason": "STOP"\n\n'
    for api, pieces in {
        "responses": [vendors.response_text(written), 0.3, vendors.response_text("2"), vendors.response_end()],
        "anthropic": [
            vendors.claude_text(written),
            0.3,
            vendors.claude_text("2"),
            vendors.message_delta("end_turn"),
            vendors.MESSAGE_STOP,
        ],
        "gemini": [vendors.gemini_text(written), 1.2, vendors.gemini_text("2", finish="STOP", used=vendors.ANSWERED)],
    }.items():
        row = streamed(store, api, *pieces, name=api)
        assert row.outcome == "ok", (api, row.error)
        assert row.total_ms is not None and row.total_ms > 250


def test_gemini_models_that_finish_in_each_event_are_read_to_their_last(store: Store) -> None:
    row, _ = probed(
        store,
        "gemini",
        answering(
            lambda text: [
                vendors.gemini_text(text[:1], finish="STOP"),
                0.3,
                vendors.gemini_text(text[1:], finish="STOP"),
            ]
        ),
    )
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_what_goes_on_after_the_end_delays_nobody(store: Store) -> None:
    chatter = [piece for _ in range(200) for piece in (b": alive\n\n", 0.05)]
    row, _ = probed(store, "chat", answering(lambda text: [*vendors.chat_stream(text), *chatter]))
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_events_that_are_labelled_json_are_read_as_what_they_are(store: Store) -> None:
    row, _ = probed(store, "anthropic", answering(vendors.claude_stream, content_type="application/json"))
    assert (row.outcome, row.answer_ok) == ("ok", True)
    assert row.ttft_ms is not None


# -- the gaps between chunks


def test_a_throughput_probe_keeps_the_gaps_between_its_chunks(store: Store) -> None:
    """Five chunks, 40 ms between each but the last, which comes 120 ms later: gaps of 40, 40, 40 and 120 ms. The 99th
    percentile stands at 0.97 of the way from the third (40) to the fourth (120): 117.6 ms.
    """
    texts = [vendors.chat_event({"content": "7 "}) for _ in range(5)]
    pieces = [texts[0], 0.04, texts[1], 0.04, texts[2], 0.04, texts[3], 0.12, texts[4]]
    end = [vendors.chat_event({}, "stop"), b"data: [DONE]\n\n"]
    row = streamed(store, "chat", *pieces, *end, profile="throughput")
    assert at_least(row.itl_p50_ms, 40) and at_least(row.itl_p99_ms, 117.6)
    assert row.itl_p50_ms is not None and row.itl_p99_ms is not None and row.itl_p50_ms < row.itl_p99_ms
    row = streamed(store, "chat", *texts[:3], *end, profile="throughput")
    assert (row.itl_p50_ms, row.itl_p99_ms) == (None, None)
    row = streamed(store, "chat", *texts, *end)
    assert (row.profile, row.itl_p50_ms, row.itl_p99_ms) == ("ping", None, None)
