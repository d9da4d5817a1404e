"""What became of the newest requests, for `GET /generation?id=`, in the form of the reference."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from collectors.relay.record import attempt_status
from store.schema import Request

MOST_REMEMBERED = 10_000


class Generations:
    """The attempts of the newest requests. A request is found by the relay's id, and by the one in its response."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._rows: OrderedDict[str, list[Request]] = OrderedDict()
        self._alias: OrderedDict[str, str] = OrderedDict()

    def note(self, row: Request, upstream_id: str | None = None) -> None:
        """An attempt ended."""
        self._rows.setdefault(row.request_id, []).append(row)
        if upstream_id is not None and row.served:
            self._alias[upstream_id] = row.request_id
        while len(self._rows) > self._most:
            self._rows.popitem(last=False)
        while len(self._alias) > self._most:
            self._alias.popitem(last=False)

    def find(self, wanted: str, key_name: str | None) -> list[Request] | None:
        """The attempts of a request of this key, the first first; null where there is none (any more)."""
        rows = self._rows.get(wanted) or self._rows.get(self._alias.get(wanted, ""))
        return rows if rows and rows[0].key_name == key_name else None


def generation(rows: list[Request]) -> dict[str, Any]:
    """A request's attempts as OpenRouter reports a generation, with every attempt of ours beside it."""
    last = next((row for row in rows if row.served), rows[-1])
    unknown = dict.fromkeys(_UNKNOWN)
    data: dict[str, Any] = unknown | {
        "id": last.request_id,
        "api_type": None if last.api == "messages" else last.api,
        "model": last.route,
        "provider_name": last.provider or last.target,
        "created_at": datetime.fromtimestamp(rows[0].started_at / 1_000, UTC).isoformat(),
        "cancelled": last.cancelled,
        "streamed": last.streamed,
        "finish_reason": last.finish_reason,
        "native_finish_reason": last.finish_reason,
        "tokens_prompt": last.prompt_tokens,
        "tokens_completion": last.completion_tokens,
        "native_tokens_prompt": last.prompt_tokens,
        "native_tokens_completion": last.completion_tokens,
        "native_tokens_reasoning": last.reasoning_tokens,
        "native_tokens_cached": last.cached_tokens,
        "total_cost": last.cost_usd or 0.0,
        "usage": last.cost_usd or 0.0,
        "cost_usd": last.cost_usd,
        "latency": last.ttft_ms,
        "generation_time": last.total_ms,
        "http_referer": last.app,
        "origin": last.app or "",
        "is_byok": True,
        "data_region": "global",
        "provider_responses": [_provider_response(row) for row in rows],
        "attempts": [_attempt(row) for row in rows],
    }
    return {"data": data}


_UNKNOWN = (
    "app_id",
    "cache_discount",
    "external_user",
    "moderation_latency",
    "native_tokens_completion_images",
    "num_fetches",
    "num_input_audio_prompt",
    "num_media_completion",
    "num_media_prompt",
    "num_search_results",
    "preset_id",
    "router",
    "service_tier",
    "upstream_id",
    "upstream_inference_cost",
    "user_agent",
    "web_search_engine",
    "workspace_id",
)
"""Fields of the reference for which the relay has nothing to say."""


def _provider_response(row: Request) -> dict[str, Any]:
    found = {"status": attempt_status(row), "provider_name": row.provider or row.target}
    return found if row.ttft_ms is None else {**found, "latency": row.ttft_ms}


def _attempt(row: Request) -> dict[str, Any]:
    return {
        "attempt": row.attempt,
        "target": row.target,
        "provider": row.provider,
        "status": row.http_status,
        "outcome": row.outcome,
        "error": row.error,
        "served": row.served,
        "fallback_for": row.fallback_for,
        "connect_ms": row.connect_ms,
        "ttft_ms": row.ttft_ms,
        "first_answer_ms": row.first_answer_ms,
        "total_ms": row.total_ms,
        "tokens_per_second": row.tokens_per_second,
        "added_ms": row.added_ms,
        "cost_usd": row.cost_usd,
    }


def router_metadata(
    requested: str, candidates: list[tuple[str, str]], rows: list[Request], model: str, provider: str
) -> dict[str, Any]:
    """What OpenRouter answers to `X-OpenRouter-Metadata: enabled`: who could have served, and who was tried.

    `candidates` are pairs of a model and a provider; `rows` the attempts that failed before this one.
    """
    tried = [
        {"model": requested, "provider": row.provider or row.target, "status": attempt_status(row)} for row in rows
    ]
    tried.append({"model": model, "provider": provider, "status": 200})
    return {
        "attempt": len(tried),
        "attempts": tried,
        "endpoints": {
            "total": len(candidates),
            "available": [{"model": m, "provider": p, "selected": p == provider} for m, p in candidates],
        },
        "is_byok": True,
        "region": None,
        "requested": requested,
        "strategy": "direct" if len(tried) == 1 else "fallback",
        "summary": f"available={len(candidates)}, selected={provider}",
    }
