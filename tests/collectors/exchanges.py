"""Exchanges with a server on loopback."""

from __future__ import annotations

from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from tests.fault_server import GOOD, FaultServer, Script

KEY = "sk-canary-0123456789"
BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "What is 17 + 25?"}],
    "max_tokens": 16,
    "temperature": 0,
    "stream": True,
    "stream_options": {"include_usage": True},
}
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
WHOLE = b"".join(GOOD)


def probe(script: Script, timeout_s: float = 5.0, times: int = 1) -> tuple[Exchange, FaultServer]:
    with FaultServer(script) as server:
        line = ProbeConnection(server.url + "/chat/completions")
        for _ in range(times):
            result = exchange(line, ProbeRequest(BODY, HEADERS, timeout_s, (KEY,)))
        line.close()
    return result, server
