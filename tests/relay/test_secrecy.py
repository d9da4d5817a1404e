"""Nothing of a prompt, an answer, a key or a server's words is recorded, written down or shown to anybody else."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.fault_server import DONE, chunk, event
from tests.relay.running import RowList, config_of, route, running, target
from tests.relay.upstreams import ROLE, Exchange, Script, Upstream, completion

PROMPT, ANSWER, TARGET_KEY, WORDS = "canary-prompt-1", "canary-answer-2", "canary-key-3-0123456789", "canary-words-4"
CLIENT_KEY, USER = "canary-client-5", "canary-user-6"
CANARIES = (PROMPT, ANSWER, TARGET_KEY, WORDS, CLIENT_KEY, USER)
ASKED = {
    "model": "gemma",
    "user": USER,
    "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": PROMPT}],
}


async def _answers(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream(ROLE, chunk(ANSWER), chunk(finish="stop"), DONE)
    else:
        await exchange.json(completion(ANSWER))


async def _echoes(exchange: Exchange) -> None:
    """As some servers do: the request in the words of the error, the key among its headers."""
    said = f"{WORDS}: {exchange.body['messages']} {exchange.headers.get('authorization')}"
    await exchange.json({"error": {"message": said, "code": WORDS, "type": WORDS}}, 500)


async def _breaks_off(exchange: Exchange) -> None:
    if not exchange.body.get("stream"):
        await exchange.json({"error": {"message": f"{WORDS} {PROMPT}"}})
        return
    last = event({"error": {"message": f"{WORDS} {PROMPT} {TARGET_KEY}", "code": WORDS}})
    await exchange.stream(ROLE, chunk(ANSWER), last)


async def _nonsense(exchange: Exchange) -> None:
    await exchange.json(f"<html>{WORDS} {ANSWER}</html>".encode(), Content_Type="text/html")


async def _odd_names(exchange: Exchange) -> None:
    choice = {"index": 0, "message": {"content": ANSWER}, "finish_reason": WORDS}
    await exchange.json({"id": "x", "choices": [choice], "usage": {"prompt_tokens": WORDS}})


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("script", [_answers, _echoes, _breaks_off, _nonsense, _odd_names], ids=lambda s: s.__name__)
def test_no_canary_is_in_a_row_a_log_a_metric_or_a_look_up(
    script: Script, streamed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    recorder = RowList()
    with Upstream(script) as upstream:
        section = target("A", upstream.url, api_key_env="TARGET_KEY")
        config = config_of(section, route("A"), environment={"TARGET_KEY": TARGET_KEY})
        with running(config, recorder=recorder) as relay:
            sent = {"Authorization": f"Bearer {CLIENT_KEY}", "X-Title": "App"}
            response = relay.request("POST", "/v1/chat/completions", ASKED | {"stream": streamed}, sent)
            shown = [
                relay.request("GET", "/metrics").body.decode(),
                relay.request("GET", "/v1/models").body.decode(),
                relay.request("GET", f"/v1/generation?id={response.headers['x-generation-id']}").body.decode(),
            ]
    assert recorder.rows
    kept = json.dumps([_fields(row) for row in recorder.rows])
    everything = "\n".join([kept, *shown, *capfd.readouterr()])
    assert [canary for canary in CANARIES if canary in everything] == []
    assert TARGET_KEY not in response.body.decode()
    assert recorder.rows[0].error in (None, "HTTP 500", "stream_error", "invalid_response")


def _fields(row: Any) -> dict[str, Any]:
    return asdict(row)


def test_a_crash_says_nothing_of_what_passed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from collectors.relay import attempt

    def broken(*_: Any, **__: Any) -> bytes:
        raise ValueError(f"{PROMPT} {TARGET_KEY}")

    with Upstream(_answers) as upstream:
        config = config_of(target("A", upstream.url), route("A"))
        with running(config) as relay:
            monkeypatch.setattr(attempt, "changed_body", broken)
            monkeypatch.setattr(attempt, "has_own_reason", lambda _: True)
            response = relay.request("POST", "/v1/chat/completions", ASKED)
    everything = "".join(capfd.readouterr()) + response.body.decode() + repr(relay.rows)
    assert response.status >= 500
    assert [canary for canary in CANARIES if canary in everything] == []


def test_what_reprs_show_has_no_secret() -> None:
    config = config_of(
        target("A", "http://127.0.0.1:1/v1", api_key_env="TARGET_KEY"), environment={"TARGET_KEY": TARGET_KEY}
    )
    with running(config) as relay:
        assert TARGET_KEY not in repr(relay.relay.upstreams)
        assert TARGET_KEY not in repr(config)
