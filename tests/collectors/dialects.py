"""Probes of a server that speaks a dialect."""

from __future__ import annotations

from typing import Any

from store import Store
from store.schema import Probe
from tests.collectors.builders import config, run_once
from tests.fault_server import FaultServer, Script, chunked

KEY = "sk-canary-0123456789"
ENDPOINTS = {
    "chat": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "azure": "",
    "embeddings": "/v1",
}


def probed(store: Store, api: str, script: Script, *, times: int = 1, **target: Any) -> tuple[Probe, FaultServer]:
    """The newest row of a target of that dialect that `script` serves."""
    with FaultServer(script) as server:
        base = {"base_url": f"http://127.0.0.1:{server.port}{ENDPOINTS[api]}", "api": api, "api_key_env": "K"}
        settings = config(base | target, environment={"K": KEY})
        for _ in range(times):
            rows, _ = run_once(settings, store, everything=True)
    return rows[-1], server


def at_least(value: float | None, ms: float) -> bool:
    """Whether a time is what the server waited: its sleep may be longer on a busy machine, and never shorter."""
    return value is not None and ms - 5 <= value < ms + 300


def streamed(store: Store, api: str, *pieces: bytes | float, **target: Any) -> Probe:
    return probed(store, api, chunked(*pieces), **target)[0]
