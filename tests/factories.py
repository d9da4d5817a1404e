"""Rows for tests: only what a test is about needs to be said."""

from __future__ import annotations

from typing import Any

from store.schema import Model, Probe, Request, Target, Usage

NOON = 1_795_521_600_000
"""2026-11-24T12:00:00Z in milliseconds."""
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def probe(started_at: int = NOON, outcome: str = "ok", **more: Any) -> Probe:
    values: dict[str, Any] = {
        "target": "Gemma",
        "started_at": started_at,
        "location": "here",
        "profile": "ping",
        "stands_for_s": 60.0,
        "outcome": outcome,
    }
    if outcome == "ok":
        values |= {
            "http_status": 200,
            "lag_ms": 0.4,
            "ttft_ms": 100.0,
            "total_ms": 300.0,
            "tokens_per_second": 50.0,
            "prompt_tokens": 30,
            "completion_tokens": 16,
            "tokens_source": "usage",
            "answer_ok": True,
            "served_model": "gemma-3-270m",
            "finish_reason": "stop",
        }
    else:
        values |= {"error": f"it was {outcome}"}
    return Probe(**(values | more))


def attempt(started_at: int = NOON, outcome: str = "ok", **more: Any) -> Request:
    """One attempt of a request through the relay."""
    values: dict[str, Any] = {
        "target": "Gemma",
        "started_at": started_at,
        "request_id": f"gen-{started_at}",
        "attempt": 1,
        "location": "here",
        "route": "gemma",
        "api": "chat",
        "streamed": True,
        "outcome": outcome,
        "served": outcome == "ok",
        "cancelled": False,
        "model": "gemma-3-270m",
    }
    if outcome == "ok":
        values |= {
            "http_status": 200,
            "ttft_ms": 100.0,
            "total_ms": 300.0,
            "tokens_per_second": 50.0,
            "prompt_tokens": 30,
            "completion_tokens": 16,
            "tokens_source": "usage",
            "finish_reason": "stop",
            "added_ms": 0.5,
        }
    return Request(**(values | more))


def target(name: str = "Gemma", **more: Any) -> Target:
    values: dict[str, Any] = {
        "name": name,
        "location": "here",
        "state": "active",
        "model": "gemma-3-270m",
        "base_url": "http://127.0.0.1:8095/v1",
        "every_s": 60.0,
        "profile": "ping",
        "updated_at": NOON,
    }
    return Target(**(values | more))


def model(valid_from: int = NOON, **more: Any) -> Model:
    values: dict[str, Any] = {
        "source": "openrouter",
        "model": "google/gemma-3-1b-it:free",
        "valid_from": valid_from,
        "name": "Google: Gemma 3 1B (free)",
        "context_tokens": 32_768,
        "usd_per_million_input": "0",
        "usd_per_million_output": "0",
    }
    return Model(**(values | more))


def usage(model: str = "all", day: int = NOON, **more: Any) -> Usage:
    return Usage(**({"source": "openrouter_models", "day": day, "model": model} | more))
