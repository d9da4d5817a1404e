"""A router on loopback whose answers are made of its official client's own typed models."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import parse_qs

from openrouter import components

from tests.fault_server import Script, answer

MODEL = "google/gemma-3-1b-it:free"


def sent_model(**more: Any) -> dict[str, Any]:
    """An entry of `GET /models`: the reference page's model, as the client's own type writes it."""
    values: dict[str, Any] = {
        "id": MODEL,
        "canonical_slug": "google/gemma-3-1b-it",
        "name": "Google: Gemma 3 1B (free)",
        "created": 1_741_910_400,
        "description": "Gemma 3 1B is the smallest of the family.",
        "context_length": 32_768,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"], "modality": "text->text"},
        "pricing": {"prompt": "0", "completion": "0"},
        "supported_parameters": ["temperature", "max_tokens", "tools"],
        "supported_voices": None,
        "top_provider": {"is_moderated": False, "context_length": 32_768, "max_completion_tokens": 8_192},
        "default_parameters": None,
        "per_request_limits": None,
        "links": {"details": "/api/v1/models/google/gemma-3-1b-it/endpoints"},
    }
    return _as_sent(components.Model, values | more)


def sent_endpoint(**more: Any) -> dict[str, Any]:
    """An entry of `GET /models/{author}/{slug}/endpoints`."""
    values: dict[str, Any] = {
        "name": "Provider A | google/gemma-3-1b-it",
        "model_id": MODEL,
        "model_name": "Google: Gemma 3 1B (free)",
        "provider_name": "DeepInfra",
        "tag": "deepinfra/bf16",
        "context_length": 32_768,
        "max_completion_tokens": 8_192,
        "max_prompt_tokens": None,
        "pricing": {"prompt": "0.00000002", "completion": "0.00000004", "discount": 0.5},
        "quantization": "bf16",
        "service_tier": None,
        "native_tools": {},
        "supported_parameters": ["temperature", "tools"],
        "supports_diarization": False,
        "supports_implicit_caching": False,
        "supports_tool_choice": {
            "none": True,
            "auto": True,
            "required": True,
            "function": True,
        },
        "status": 0,
        "uptime_last_5m": 100.0,
        "uptime_last_30m": 99.5,
        "uptime_last_1d": 97.25,
        "latency_last_30m": {"p50": 380.0, "p75": 500.0, "p90": 800.0, "p99": 2_000.0},
        "throughput_last_30m": {"p50": 71.0, "p75": 60.0, "p90": 50.0, "p99": 20.0},
    }
    return _as_sent(components.PublicEndpoint, values | more)


def sent_ranking(day: str, slug: str, tokens: str) -> dict[str, Any]:
    """An entry of `GET /datasets/rankings-daily`."""
    return _as_sent(components.RankingsDailyItem, {"date": day, "model_permaslug": slug, "total_tokens": tokens})


def sent_app(name: str, tokens: str, requests: int = 1) -> dict[str, Any]:
    """An entry of `GET /datasets/app-rankings`."""
    values = {"app_id": 1, "app_name": name, "rank": 1, "total_requests": requests, "total_tokens": tokens}
    return _as_sent(components.AppRankingsItem, values)


def sent_activity(day: str, **more: Any) -> dict[str, Any]:
    """An entry of `GET /activity`."""
    values: dict[str, Any] = {
        "date": day,
        "model": MODEL,
        "model_permaslug": "google/gemma-3-1b-it",
        "endpoint_id": "e1",
        "provider_name": "DeepInfra",
        "prompt_tokens": 100,
        "completion_tokens": 40,
        "reasoning_tokens": 8,
        "cached_tokens": 16,
        "requests": 5,
        "usage": 0.25,
        "byok_usage_inference": 0.0,
    }
    return _as_sent(components.ActivityItem, values | more)


def sent_chat_usage(**values: Any) -> dict[str, Any]:
    """The usage of a chat completion."""
    return _as_sent(
        components.ChatUsage, {"total_tokens": values["prompt_tokens"] + values["completion_tokens"]} | values
    )


def _as_sent(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(kind.model_validate(values).model_dump_json(by_alias=True, warnings=False))
    return sent


class Router:
    """What the router would answer now; tests change it between runs."""

    def __init__(self) -> None:
        self.models: Any = [sent_model()]
        self.endpoints: dict[str, Any] = {MODEL: [sent_endpoint()]}
        self.zero_retention: list[Any] = []
        self.rankings: list[Any] = []
        self.apps: dict[str, list[Any]] = {}
        self.activity: list[Any] = []
        self.instead: Script | None = None

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        (self.instead or self.usual)(connection, request)

    def usual(self, connection: socket.socket, request: dict[str, Any]) -> None:
        """What it answers when nothing is wrong."""
        path, _, query = request["line"].split()[1].partition("?")
        if path.endswith("/datasets/rankings-daily"):
            answer(200, {"data": self.rankings, "meta": {}})(connection, request)
        elif path.endswith("/datasets/app-rankings"):
            apps = self.apps.get(parse_qs(query)["start_date"][0], [])
            answer(200, {"data": apps, "meta": {}})(connection, request)
        elif path.endswith("/activity"):
            answer(200, {"data": self.activity})(connection, request)
        elif path.endswith("/endpoints/zdr"):
            answer(200, {"data": self.zero_retention})(connection, request)
        elif path.endswith("/models"):
            answer(200, {"data": self.models})(connection, request)
        else:
            name = path.removeprefix("/v1/models/").removesuffix("/endpoints")
            found = self.endpoints.get(name)
            if found is None:
                answer(404, {"error": {"message": "no such model"}})(connection, request)
            else:
                body = {"data": {"id": name, "name": name, "created": 1, "description": "", "endpoints": found}}
                answer(200, body)(connection, request)
