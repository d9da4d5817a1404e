"""How each dialect is asked for logprobs, and how those of the first token are read."""

from __future__ import annotations

from collectors.http.dialects import DIALECTS
from collectors.http.dialects.base import RequestSpec, logprobs_of
from tests.collectors.vendors import TOP


def test_a_router_is_asked_for_one_provider_that_takes_every_field() -> None:
    wish = RequestSpec("m", "?", 1, provider="acme", alternatives=20, requires_parameters=True, temperature=1)
    pinned = {"only": ["acme"], "allow_fallbacks": False, "require_parameters": True}
    assert DIALECTS["chat"].body(wish)["provider"] == pinned


def test_each_dialect_with_logprobs_asks_for_them_in_its_own_words() -> None:
    wish = RequestSpec("m", "?", 1, alternatives=8, temperature=1)
    assert DIALECTS["azure"].body(wish)["top_logprobs"] == 8
    sent = DIALECTS["responses"].body(wish)
    assert (sent["include"], sent["top_logprobs"]) == (["message.output_text.logprobs"], 8)
    settings = DIALECTS["gemini"].body(wish)["generationConfig"]
    assert (settings["responseLogprobs"], settings["logprobs"], settings["temperature"]) == (True, 8, 1)


def test_each_dialect_with_logprobs_reads_those_of_the_first_token() -> None:
    expected = {" yes": -0.5, " no": -1.25}
    part = {"token": " yes", "logprob": -0.5, "top_logprobs": TOP}
    delta = {"type": "response.output_text.delta", "delta": " yes", "logprobs": [part]}
    assert DIALECTS["responses"].event(delta).logprobs == expected
    output = {"type": "message", "content": [{"type": "output_text", "text": " yes", "logprobs": [part]}]}
    assert DIALECTS["responses"].whole({"output": [output], "status": "completed"}).logprobs == expected
    chosen = [{"token": one["token"], "tokenId": 1, "logProbability": one["logprob"]} for one in TOP]
    candidate = {
        "content": {"parts": [{"text": " yes"}]},
        "logprobsResult": {"topCandidates": [{"candidates": chosen}, {"candidates": []}]},
    }
    assert DIALECTS["gemini"].event({"candidates": [candidate]}).logprobs == expected


def test_only_numbers_that_can_be_logprobs_are_read_and_broken_characters_by_their_bytes() -> None:
    listed = [
        {"token": "a", "logprob": -1},
        {"token": "b", "logprob": 0.5},
        {"token": "c", "logprob": float("nan")},
        {"token": "d", "logprob": True},
        {"token": "e", "logprob": float("-inf")},
        {"token": 5, "logprob": -1.0},
        {"token": "\ufffd", "logprob": -2.0, "bytes": [240]},
        {"token": "\ufffd", "logprob": -3.0, "bytes": [159]},
        "f",
    ]
    assert logprobs_of(listed) == {"a": -1.0, "e": -1e6, "bytes [240]": -2.0, "bytes [159]": -3.0}
    assert logprobs_of([]) is None
    assert logprobs_of({"token": "a"}) is None
