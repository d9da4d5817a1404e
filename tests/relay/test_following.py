"""A running relay serves by a changed targets.toml, and keeps the one from before where the new one is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.relay.processes import relay_process
from tests.relay.running import routed
from tests.relay.upstreams import Exchange, Upstream, completion, good, good_stream

pytestmark = pytest.mark.waits
KEYS = "[relay]\nkeys_file = 'keys'\n"
ONE, OTHER = "one-0123456789abcdef", "other-0123456789abcdef"


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_route_is_served_and_one_that_was_removed_is_not(tmp_path: Path) -> None:
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        assert relay.client.chat().status == 200
        assert relay.client.chat(model="other").status == 404
        config = tmp_path / "targets.toml"
        config.write_text(config.read_text().replace('model = "gemma"', 'model = "other"'))
        until(lambda: relay.client.chat(model="other").status == 200)
        assert relay.client.chat().status == 404
    assert (tmp_path / "errors.txt").read_text() == ""


def test_a_wrong_file_is_said_once_and_changes_nothing(tmp_path: Path) -> None:
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        config = tmp_path / "targets.toml"
        right = config.read_text()
        config.write_text(right + "[[route]\n")
        until(lambda: "the relay keeps the configuration from before" in (tmp_path / "errors.txt").read_text())
        assert relay.client.chat().status == 200
        time.sleep(2.5)
        assert (tmp_path / "errors.txt").read_text().count("keeps the configuration") == 1
        config.write_text(right.replace('model = "gemma"', 'model = "other"'))
        until(lambda: relay.client.chat(model="other").status == 200)


def test_a_key_that_is_added_or_taken_away_holds_at_once(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"app={ONE}\n")
    keys.chmod(0o600)

    def status(key: str) -> int:
        return relay.client.chat(headers={"Authorization": f"Bearer {key}"}).status

    with Upstream(good()) as upstream, relay_process(tmp_path, KEYS, *routed(upstream.url)) as relay:
        assert (status(ONE), status(OTHER)) == (200, 401)
        keys.write_text(f"app={OTHER}\n")
        until(lambda: status(OTHER) == 200)
        assert status(ONE) == 401
        keys.unlink()  # a file that is gone opens the relay to nobody
        until(lambda: "keeps the configuration" in (tmp_path / "errors.txt").read_text())
        assert (status(OTHER), status("")) == (200, 401)


def test_a_stream_that_is_under_way_ends_as_it_began(tmp_path: Path) -> None:
    async def slow(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            await exchange.stream(*good_stream(), gap_s=1.0)
        else:
            await exchange.json(completion())

    with Upstream(slow) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        config = tmp_path / "targets.toml"
        connection = relay.client.begin_chat(stream=True)
        config.write_text(config.read_text().replace('model = "gemma"', 'model = "other"'))
        until(lambda: relay.client.chat(model="other").status == 200)
        connection.settimeout(15)
        received = b""
        while b"[DONE]" not in received:
            piece = connection.recv(65_536)
            assert piece, received
            received += piece
        connection.close()
