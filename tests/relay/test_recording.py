"""Rows of a real process in a real store, whatever happens to either."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from store import open_store
from store.schema import REQUESTS, Request
from tests.relay.processes import relay_process
from tests.relay.running import routed, target
from tests.relay.test_secrecy import ANSWER, ASKED, CANARIES, TARGET_KEY, _answers, _echoes
from tests.relay.upstreams import Upstream, failing, good

pytestmark = pytest.mark.waits


def _rows(url: str) -> list[Request]:
    with closing(open_store(url, read_only=True)) as store:
        return [Request(*values) for values in store.read(REQUESTS)]


def test_each_attempt_is_a_row_within_a_second(tmp_path: Path) -> None:
    with Upstream(failing(503)) as a, Upstream(good()) as b, relay_process(tmp_path, *routed(a.url, b.url)) as relay:
        response = relay.client.chat(stream=True, headers={"X-Title": "My App"})
        time.sleep(1.0)
        rows = sorted(_rows(relay.store_url), key=lambda row: row.attempt)
    assert response.text == "42"
    assert [(row.target, row.outcome, row.served, row.fallback_for) for row in rows] == [
        ("A", "server_error", False, None),
        ("B", "ok", True, "A"),
    ]
    assert {row.request_id for row in rows} == {response.headers["x-generation-id"]}
    assert {(row.location, row.route, row.app_title, row.streamed) for row in rows} == {
        ("here", "gemma", "My App", True)
    }


def test_a_kill_loses_one_second_at_most(tmp_path: Path) -> None:
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        until, sent = time.monotonic() + 3.0, []
        while time.monotonic() < until:
            relay.client.chat()
            sent.append(time.time() * 1_000)
        relay.process.send_signal(signal.SIGKILL)
        killed_at = time.time() * 1_000
        relay.process.wait(10)
        rows = _rows(relay.store_url)
    assert len(rows) >= sum(at < killed_at - 1_000 for at in sent)


def test_the_end_of_the_relay_writes_what_waits(tmp_path: Path) -> None:
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        for _ in range(20):
            relay.client.chat()
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(15) == 0
        assert len(_rows(relay.store_url)) == 20


def test_a_store_that_another_program_holds_delays_no_request_and_loses_no_row(tmp_path: Path) -> None:
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        relay.client.chat()
        time.sleep(1.0)
        connection = apsw.Connection(str(relay.store))
        connection.set_busy_timeout(5_000)
        connection.execute("BEGIN IMMEDIATE")
        began, slowest = time.monotonic(), 0.0
        while time.monotonic() - began < 3:
            asked = time.monotonic()
            assert relay.client.chat().status == 200
            slowest = max(slowest, time.monotonic() - asked)
        connection.execute("ROLLBACK")
        connection.close()
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(15) == 0
        rows = _rows(relay.store_url)
        assert slowest < 1
        assert len(rows) == len(upstream.requests)


def test_a_store_that_is_none_stops_recording_and_not_the_relay(tmp_path: Path) -> None:
    (tmp_path / "uptoken.db").write_bytes(b"this is no database" * 100)
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        for _ in range(5):
            assert relay.client.chat(stream=True).text == "42"
        time.sleep(1.0)
        assert relay.client.chat().status == 200
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(30) == 0
    assert "serves without recording" in (tmp_path / "errors.txt").read_text()


def test_no_canary_is_in_the_store_or_in_what_the_process_writes(tmp_path: Path) -> None:
    with Upstream(_echoes) as a, Upstream(_answers) as b:
        sections = [target("A", a.url, api_key_env="TARGET_KEY"), *routed("x", b.url)[1:2]]
        sections.append('[[route]]\nmodel = "gemma"\ntargets = ["A", "B"]\nstrategy = "order"\n')
        with relay_process(tmp_path, *sections, TARGET_KEY=TARGET_KEY) as relay:
            for streamed in (True, False):
                response = relay.client.request("POST", "/v1/chat/completions", ASKED | {"stream": streamed})
                assert ANSWER in response.body.decode()
            relay.process.send_signal(signal.SIGTERM)
            assert relay.process.wait(15) == 0
            assert len(_rows(relay.store_url)) == 4
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "targets.toml")
    assert [canary for canary in CANARIES if canary.encode() in written] == []


def test_what_a_key_spent_today_counts_also_after_a_restart(tmp_path: Path) -> None:
    from tests.relay.upstreams import Exchange, completion

    async def dear(exchange: Exchange) -> None:
        await exchange.json(completion(usage={"prompt_tokens": 5, "completion_tokens": 5, "cost": 0.75}))

    keys = tmp_path / "relay-keys"
    keys.write_text("alice=sk-relay-0123456789abcdef\n")
    keys.chmod(0o600)
    sent = {"Authorization": "Bearer sk-relay-0123456789abcdef"}
    with Upstream(dear) as upstream:
        sections = ['[relay]\nkeys_file = "relay-keys"\nusd_per_day = 1', *routed(upstream.url)]
        with relay_process(tmp_path, *sections) as relay:
            assert [relay.client.chat(headers=sent).status for _ in range(3)] == [200, 200, 402]
            relay.process.send_signal(signal.SIGTERM)
            assert relay.process.wait(15) == 0
        with relay_process(tmp_path, *sections) as relay:
            assert relay.client.chat(headers=sent).status == 402
            assert relay.client.chat().status == 401
