"""What the relay refuses, before any model server hears of it, and without a word in any log."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from collectors.relay import server
from settings.relay import RelayKey, RelaySettings
from tests.relay.running import MESSAGES, RunningRelay, config_of, relay_to, routed, running
from tests.relay.upstreams import Upstream, completion, good

KEY = "sk-relay-0123456789abcdef"


@contextmanager
def relay_with_keys(url: str, usd_per_day: float | None = None, **more: Any) -> Iterator[RunningRelay]:
    config = config_of(*routed(url, **more))
    keys = (RelayKey("alice", KEY), RelayKey("bob", "sk-relay-bob-00000000"))
    with running(replace(config, relay=RelaySettings(keys, usd_per_day))) as relay:
        yield relay


def _ask(relay: RunningRelay, key: str | None, path: str = "/v1/chat/completions") -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return relay.request("POST", path, {"model": "gemma", "messages": MESSAGES}, headers)


@pytest.mark.parametrize(
    "key", [None, "", "wrong", KEY[:-1], f"{KEY}x", "' OR 1=1 --", "é漢".encode().decode("latin-1"), "a" * 10_000]
)
def test_a_key_that_is_not_the_relays_is_refused_without_a_call(
    key: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    with Upstream(good()) as upstream, relay_with_keys(upstream.url) as relay:
        for path in ("/v1/chat/completions", "/v1/embeddings", "/v1/messages"):
            response = _ask(relay, key, path)
            assert response.status == 401
            assert response.json["error"]["code"] == 401
        assert relay.request("GET", "/v1/models").status == 401
        assert relay.request("GET", "/metrics").status == 401
        assert not upstream.requests
        assert not relay.rows
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
def test_a_key_of_the_relays_is_taken_and_its_owner_recorded(header: str) -> None:
    with Upstream(good()) as upstream, relay_with_keys(upstream.url) as relay:
        value = f"Bearer {KEY}" if header == "Authorization" else KEY
        assert relay.chat(headers={header: value}).status == 200
        assert relay.rows[0].key_name == "alice"
        assert KEY not in repr(upstream.requests[0].headers)


def test_the_relay_says_that_it_lives_without_a_key() -> None:
    with Upstream(good()) as upstream, relay_with_keys(upstream.url) as relay:
        assert relay.request("GET", "/health").json == {"status": "ok"}


def test_who_has_spent_the_days_money_is_refused_and_others_are_not() -> None:
    async def dear(exchange: Any) -> None:
        await exchange.json(completion(usage={"prompt_tokens": 5, "completion_tokens": 5, "cost": 0.6}))

    with Upstream(dear) as upstream, relay_with_keys(upstream.url, usd_per_day=1.0) as relay:
        assert [_ask(relay, KEY).status for _ in range(3)] == [200, 200, 402]
        assert _ask(relay, "sk-relay-bob-00000000").status == 200
        assert len(upstream.requests) == 3
        assert "usd_per_day" in _ask(relay, KEY).json["error"]["message"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8088", ""])
def test_a_foreign_host_is_misdirected(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics")):
            assert relay.request(method, path, b"{}", {"Host": host}).status == 421
        assert not upstream.requests
    assert capfd.readouterr() == ("", "")


def test_two_hosts_are_misdirected() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay, relay.connect() as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1", "localhost", "[::1]:8088", "10.1.2.3", socket.gethostname(), "box.lan"]
)
def test_names_of_this_machine_addresses_and_allowed_names_are_served(host: str) -> None:
    with (
        Upstream(good()) as upstream,
        running(config_of(*routed(upstream.url)), allowed_hosts=("box.lan",)) as relay,
    ):
        assert relay.request("GET", "/v1/models", None, {"Host": host}).status == 200


def test_a_page_of_another_site_cannot_use_a_relay_without_keys() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        sent = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        assert relay.chat(headers=sent).status == 403
        assert relay.chat(headers={"Origin": "http://localhost:3000"}).status == 200
        assert len(upstream.requests) == 1


def test_a_body_of_a_hundred_megabytes_is_refused_before_it_is_sent(capfd: pytest.CaptureFixture[str]) -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay, relay.connect() as connection:
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")
        assert not upstream.requests
    assert capfd.readouterr() == ("", "")


def test_a_body_that_does_not_say_how_large_it_is_is_refused_when_it_is_too_large() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay, relay.connect() as connection:
        connection.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        got = b""
        try:
            for _ in range(100):
                connection.sendall(piece)
        except OSError:
            pass
        try:
            got = connection.recv(65_536)
        except OSError:
            got = b"HTTP/1.1 413"  # it hung up on what was still on its way
        assert got.startswith(b"HTTP/1.1 413")
        assert not upstream.requests


def test_headers_that_come_too_slowly_or_never_end_are_cut_off(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "HEADERS_TIMEOUT_S", 0.5)
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        with relay.connect() as slow, relay.connect() as silent, relay.connect() as endless:
            began = time.monotonic()
            slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
            sent = b""
            try:
                while time.monotonic() - began < 5:
                    slow.sendall(b"X-A: b\r\n")
                    time.sleep(0.05)
                    slow.settimeout(0.01)
                    try:
                        sent = slow.recv(10)
                        break
                    except TimeoutError:
                        continue
            except OSError:
                pass
            assert sent == b""
            assert 0.4 < time.monotonic() - began < 1.5
            assert silent.recv(10) == b""
            with pytest.raises(OSError):
                for _ in range(1_000):
                    endless.sendall(b"X-A: " + b"b" * 10_000 + b"\r\n")
        assert relay.chat().status == 200
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_is_kept_open_is_used_for_many_requests() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
        for _ in range(3):
            connection.request("POST", "/v1/chat/completions", b'{"model":"gemma","messages":[]}')
            response = connection.getresponse()
            assert (response.status, b"42" in response.read()) == (200, True)
        assert (upstream.connections, len(upstream.requests)) == (1, 3)
        connection.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "has no model"),
        (b'{"model": 3}', "has no model"),
        (b'{"model": "gemma", "stream": "yes"}', "stream is true or false"),
        (b'{"model": "gemma", "\xff": 1}', "not JSON"),
    ],
)
def test_what_is_no_request_is_refused_in_words(body: bytes, said: str) -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        response = relay.request("POST", "/v1/chat/completions", body)
        assert response.status == 400
        assert said in response.json["error"]["message"]
        assert "x-generation-id" in response.headers
        assert not upstream.requests


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/v1/nothing", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 404),
    ],
)
def test_a_path_that_there_is_not_is_refused(method: str, path: str, status: int) -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        assert relay.request(method, path).status == status


def test_a_bug_of_the_relays_own_names_its_place_and_none_of_its_words(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("canary-4711")

    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        monkeypatch.setattr(relay.relay, "candidates", broken)
        response = relay.chat()
        assert response.status == 500
        assert b"canary-4711" not in response.body
    out, err = capfd.readouterr()
    assert out == ""
    assert "KeyError at test_refusing.py" in err
    assert "canary-4711" not in err
