"""Probes of a server that stands behind a real nginx, as most do: buffering, keep-alive limits, gzip, TLS."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trustme

from benchmarks.browser import free_port
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, raw, usage
from tests.middlebox import nginx

pytestmark = pytest.mark.waits

BODY = {"model": "m", "messages": [{"role": "user", "content": "What is 17 + 25?"}], "max_tokens": 16, "stream": True}
LONG = [chunk("word ") for _ in range(40)]


def probes(url: str, times: int = 1, timeout_s: float = 5.0, **headers: str) -> list[Exchange]:
    line = ProbeConnection(f"{url}/v1/chat/completions")
    results = [exchange(line, ProbeRequest(BODY, headers, timeout_s)) for _ in range(times)]
    line.close()
    return results


def behind(folder: Path, script: Script, *, times: int = 1, timeout_s: float = 5.0, **settings: str) -> list[Exchange]:
    with FaultServer(script) as server, nginx(folder, server.port, **settings) as front:
        return probes(front.url, times, timeout_s)


def test_without_buffering_each_token_has_its_own_moment(tmp_path: Path) -> None:
    script = chunked(GOOD[0], 0.1, GOOD[1], 0.2, *GOOD[2:])
    first, *more = behind(tmp_path, script, times=3, location="proxy_buffering off;")
    assert [result.outcome for result in (first, *more)] == ["ok"] * 3
    assert min(result.ttft_ms or 0 for result in more) == pytest.approx(100, abs=25)
    assert min(result.total_ms or 0 for result in more) == pytest.approx(300, abs=40)
    assert first.connect_ms is not None
    assert [result.connect_ms for result in more] == [None, None]


def test_with_buffering_the_stream_is_whole_and_its_times_are_what_arrived(tmp_path: Path) -> None:
    """nginx passes on what it has when the server pauses or ends: the tokens come together, which is what users see."""
    (result,) = behind(tmp_path, chunked(*GOOD[:2], 0.2, *GOOD[2:]), location="proxy_buffering on;")
    assert (result.outcome, result.response.text, result.completion_tokens) == ("ok", "42", 2)
    assert result.ttft_ms is not None
    assert result.total_ms is not None
    assert result.ttft_ms <= result.total_ms


def test_a_small_limit_of_requests_a_connection_costs_no_probe(tmp_path: Path) -> None:
    results = behind(tmp_path, chunked(*GOOD), times=7, server="keepalive_requests 2;")
    assert [result.outcome for result in results] == ["ok"] * 7
    assert [result.connect_ms is not None for result in results] == [True, False] * 3 + [True]


def test_a_connection_that_the_front_closed_meanwhile_costs_no_probe(tmp_path: Path) -> None:
    with (
        FaultServer(chunked(*GOOD)) as server,
        nginx(tmp_path, server.port, server="keepalive_timeout 200ms;") as front,
    ):
        line = ProbeConnection(f"{front.url}/v1/chat/completions")
        for pause_s in (0.05, 0.19, 0.2, 0.21, 0.4):
            assert exchange(line, ProbeRequest(BODY, {}, 5.0)).outcome == "ok", pause_s
            time.sleep(pause_s)
        line.close()


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_gzip_is_unpacked_and_the_first_token_keeps_its_moment(tmp_path: Path, buffering: str) -> None:
    script = chunked(*LONG, 0.1, chunk(finish="stop"), usage(completion=40), DONE)
    zipped = "gzip on; gzip_min_length 0; gzip_types text/event-stream; gzip_proxied any; gzip_http_version 1.0;"
    with (
        FaultServer(script) as server,
        nginx(tmp_path, server.port, location=f"proxy_buffering {buffering};", server=zipped) as front,
    ):
        (result,) = probes(front.url, **{"Accept-Encoding": "gzip"})
    assert (result.outcome, result.error) == ("ok", None)
    assert result.response.text == "word " * 40
    assert result.completion_tokens == 40


def test_over_tls_connections_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = tmp_path / "front.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with (
        FaultServer(chunked(GOOD[0], 0.1, *GOOD[1:])) as server,
        nginx(tmp_path, server.port, tls=str(certificate), location="proxy_buffering off;") as front,
    ):
        first, *more = probes(f"https://127.0.0.1:{front.port}", 3)
    assert [result.outcome for result in (first, *more)] == ["ok"] * 3
    assert first.connect_ms is not None
    assert [result.connect_ms for result in more] == [None, None]
    assert min(result.ttft_ms or 0 for result in more) == pytest.approx(100, abs=25)


def test_a_server_that_is_down_behind_its_front_is_down(tmp_path: Path) -> None:
    with nginx(tmp_path, free_port()) as front:
        (result,) = probes(front.url)
    assert (result.outcome, result.http_status) == ("server_error", 502)
    assert not result.unreached


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_the_deadline_holds_behind_a_front(tmp_path: Path, how: str, buffering: str) -> None:
    slow: dict[str, Script] = {"hangs": raw(6.0), "drips": chunked(*[chunk("a"), 0.2] * 40)}
    (result,) = behind(tmp_path, slow[how], timeout_s=1.0, location=f"proxy_buffering {buffering};")
    assert result.outcome == "timeout"


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_stream_that_is_cut_behind_its_front_is_a_stream_error(tmp_path: Path, buffering: str) -> None:
    script = chunked(GOOD[0], GOOD[1], 0.1, end=False)
    (result,) = behind(tmp_path, script, location=f"proxy_buffering {buffering};")
    assert result.outcome == "stream_error", result


def test_a_front_that_limits_requests_limits_the_caller(tmp_path: Path) -> None:
    (result,) = behind(tmp_path, answer(429, {"error": {"message": "slow down"}}, Retry_After="3"))
    assert (result.outcome, result.retry_after) == ("rate_limited", "3")
