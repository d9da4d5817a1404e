"""`GET /v1/models` and `GET /v1/models/{name}/endpoints`, in the form of the reference."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from collectors.relay.relay import Candidate, Relay
from routing.prices import MILLION, SENT_NAMES, Price
from store.schema import Model

OWNER = "uptoken"


def models_list(relay: Relay) -> dict[str, Any]:
    """Every name that a client can ask for."""
    listed = [model_named(relay, name) for name in relay.names]
    return {"object": "list", "data": listed, "links": {"next": None}, "total_count": len(listed)}


def endpoints_of(relay: Relay, name: str) -> dict[str, Any] | None:
    """A model and its endpoints; null where the relay has none of this name."""
    candidates = relay.endpoints_of(name)
    if not candidates:
        return None
    model = model_named(relay, name)
    kept = ("id", "name", "created", "description", "architecture")
    data = {field: model[field] for field in kept}
    return {"data": data | {"endpoints": [_endpoint(relay, candidate) for candidate in candidates]}}


def model_named(relay: Relay, name: str) -> dict[str, Any]:
    """One of them; `endpoints_of` says whether there is one."""
    candidates = relay.endpoints_of(name)
    known = [row for one in candidates if (row := relay.knowledge.models.get(one.upstream.name)) is not None]
    first = known[0] if known else None
    contexts = [row.context_tokens for row in known if row.context_tokens is not None]
    prices = [price for one in candidates if (price := relay.knowledge.prices.get(one.upstream.name)) is not None]
    cheapest = min(prices, key=lambda price: price.base.get("input") or Decimal(0), default=None)
    context = max(contexts, default=None)
    return {
        "id": name,
        "object": "model",
        "owned_by": OWNER,
        "created": 0 if first is None or first.created_at is None else first.created_at // 1_000,
        "canonical_slug": (first and first.canonical_slug) or name,
        "name": (first and first.name) or name,
        "description": (first and first.description) or "",
        "context_length": context,
        "architecture": _architecture(first),
        "pricing": _pricing(cheapest),
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": first.max_output_tokens if first is not None else None,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": _words(first.supported_parameters if first else None),
        "supported_voices": None,
        "default_parameters": None,
        "links": {"details": f"/v1/models/{name}/endpoints"},
    }


def _architecture(model: Model | None) -> dict[str, Any]:
    taken = _words(model.input_modalities if model else None) or ["text"]
    given = _words(model.output_modalities if model else None) or ["text"]
    return {
        "modality": f"{'+'.join(taken)}->{'+'.join(given)}",
        "input_modalities": taken,
        "output_modalities": given,
        "tokenizer": "Other",
        "instruct_type": None,
    }


def _endpoint(relay: Relay, candidate: Candidate) -> dict[str, Any]:
    name = candidate.upstream.name
    model, hosted = relay.knowledge.models.get(name), relay.knowledge.endpoints.get(name)
    report = relay.knowledge.reported.get(name)
    context = (hosted and hosted.context_tokens) or (model.context_tokens if model else None)
    most = (hosted and hosted.max_output_tokens) or (model.max_output_tokens if model else None)
    supported = (hosted and hosted.supported_parameters) or (model.supported_parameters if model else None)
    return {
        "name": name,
        "tag": (hosted and hosted.tag) or name,
        "model_id": candidate.upstream.target.model,
        "model_name": candidate.upstream.target.model,
        "provider_name": candidate.provider,
        "context_length": context or 0,
        "max_completion_tokens": most,
        "max_prompt_tokens": hosted.max_prompt_tokens if hosted else None,
        "pricing": _pricing(relay.knowledge.prices.get(name)),
        "quantization": hosted.quantization if hosted else None,
        "service_tier": None,
        "status": 0 if not relay.health.is_ejected(name) and relay.health.resting_until(name) is None else -2,
        "supported_parameters": _words(supported),
        "supports_implicit_caching": False,
        "supports_diarization": False,
        "supports_tool_choice": dict.fromkeys(("auto", "none", "required", "function"), False),
        "native_tools": {},
        "latency_last_30m": report and report.latency,
        "throughput_last_30m": report and report.throughput,
        "uptime_last_5m": report and report.uptime_5m,
        "uptime_last_30m": report and report.uptime_30m,
        "uptime_last_1d": report and report.uptime_1d,
    }


def _pricing(price: Price | None) -> dict[str, Any]:
    """USD per token, as decimal strings. A price that is not known is -1, as the reference has it."""
    if price is None:
        return {"prompt": "-1", "completion": "-1", "discount": 0}
    written: dict[str, Any] = {}
    for part, sent in SENT_NAMES.items():
        usd = price.base.get(part)
        if usd is not None:
            written[sent] = f"{(usd if part == 'request' else usd / MILLION).normalize():f}"
    return written | {"discount": float(price.discount)}


def _words(listed: str | None) -> list[str]:
    """A list as the store has it: JSON, or words with commas between."""
    if not listed:
        return []
    if listed.startswith("["):
        try:
            return [str(entry) for entry in json.loads(listed)]
        except ValueError:
            return []
    return [entry.strip() for entry in listed.split(",") if entry.strip()]
