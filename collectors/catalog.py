"""The router's catalog: every model it lists, and the endpoints of those that are probed or watched.

A row is written only when something changed, so that two years of daily runs stay small and every price and context
size that was ever seen has its date. What is no longer listed is closed, not deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from collectors.contract import CollectorContext, Job, Result, unless_bad
from collectors.http.get_json import GoneError, get_json
from collectors.router import endpoints_url, key_header, routed_models
from collectors.sources import openrouter
from collectors.sources.openrouter import SOURCE, SentEndpoint, SentModel
from settings.targets import Config
from store.schema import ENDPOINTS, MODELS, Endpoint, Model

ModelOrEndpoint = TypeVar("ModelOrEndpoint", Model, Endpoint)
RESPONSE_WITHIN_S = 75.0
"""Longer than any request for a list may take."""


def every_s(config: Config) -> float | None:
    """Where a model is behind the router."""
    return config.collector.catalog_every if routed_models(config) else None


def plan_jobs(context: CollectorContext) -> list[Job]:
    """One job for all models, one for zero data retention, and one for the endpoints of each model."""
    base_url, headers, now = context.config.openrouter.base_url, key_header(context.config), context.now
    open_models = [Model(*row) for row in context.open_rows(MODELS)]
    open_endpoints = [Endpoint(*row) for row in context.open_rows(ENDPOINTS)]
    zero_retention = ZeroRetention(base_url, headers)

    def all_models(_stop: threading.Event) -> list[Result]:
        sent, bad = openrouter.validate(SentModel, openrouter.entries(get_json(f"{base_url}/models", headers), "data"))
        if not sent:
            raise ValueError("the router's list of models is empty, which must be a mistake: nothing was changed")
        rows = models_of(sent, now)
        # an entry that could not be read is still listed, so nothing is closed then
        return unless_bad(_results([*rows, *([] if bad else close_unlisted(open_models, rows, now))]), bad)

    def endpoints(name: str) -> Job:
        def fetch(_stop: threading.Event) -> list[Result]:
            known = [row for row in open_endpoints if row.model == name]
            try:
                response = get_json(endpoints_url(base_url, name), headers)
            except GoneError:
                return _results(close_unlisted(known, [], now))
            sent, bad = openrouter.validate(SentEndpoint, openrouter.entries(response, "data", "endpoints"))
            before = {row.tag: row.zero_retention for row in known}
            retention = {entry.tag: zero_retention.lookup(entry, before.get(entry.tag)) for entry in sent}
            rows = [replace(row, zero_retention=retention[row.tag]) for row in endpoints_of(name, sent, now)]
            return unless_bad(_results([*rows, *([] if bad else close_unlisted(known, rows, now))]), bad)

        return Job(name, fetch)

    jobs = [Job("models", all_models), Job("zero retention", zero_retention.fetch)]
    return [*jobs, *(endpoints(name) for name in routed_models(context.config))]


class ZeroRetention:
    """Which endpoints have zero data retention: one list for all models, fetched at the same time as theirs."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self._url = f"{base_url}/endpoints/zdr"
        self._headers = headers
        self._fetched = threading.Event()
        self._listed: set[tuple[str | None, str]] = set()
        self._is_complete = False

    def fetch(self, _stop: threading.Event) -> list[Result]:
        """A job of its own. When the request fails, what was known about an endpoint stays."""
        try:
            response = get_json(self._url, self._headers)
            sent, bad = openrouter.validate(SentEndpoint, openrouter.entries(response, "data"))
            self._listed, self._is_complete = {(entry.model_id, entry.tag) for entry in sent}, not bad
            return unless_bad([], bad)
        except GoneError:
            return []  # a router without such a list
        finally:
            self._fetched.set()

    def lookup(self, endpoint: SentEndpoint, known: bool | None) -> bool | None:
        """Whether an endpoint has zero data retention; `known` when the list did not come or could not be read."""
        self._fetched.wait(RESPONSE_WITHIN_S)
        if (endpoint.model_id, endpoint.tag) in self._listed:
            return True
        return False if self._is_complete else known


def models_of(sent: Iterable[SentModel], now: int) -> list[Model]:
    """The rows of a list of models."""
    return [
        Model(
            source=SOURCE,
            model=entry.id,
            valid_from=now,
            name=entry.name,
            created_at=entry.created * 1_000 if entry.created is not None else None,
            description=entry.description or None,
            context_tokens=entry.context_length or entry.top_provider.context_length,
            max_output_tokens=entry.top_provider.max_completion_tokens,
            usd_per_million_input=openrouter.usd_per_million(entry.pricing.get("prompt")),
            usd_per_million_output=openrouter.usd_per_million(entry.pricing.get("completion")),
            usd_per_request=openrouter.usd_per_request(entry.pricing.get("request")),
            input_modalities=openrouter.joined(entry.architecture.input_modalities),
            output_modalities=openrouter.joined(entry.architecture.output_modalities),
            supported_parameters=openrouter.joined(entry.supported_parameters),
            canonical_slug=entry.canonical_slug,
            more_prices=openrouter.more_prices(entry.pricing),
            expires_at=openrouter.midnight(entry.expiration_date) if entry.expiration_date else None,
        )
        for entry in sent
    ]


def endpoints_of(model: str, sent: Iterable[SentEndpoint], now: int) -> list[Endpoint]:
    """The rows of a model's endpoints; of two with the same tag the first counts."""
    rows = {
        entry.tag: Endpoint(
            source=SOURCE,
            model=model,
            tag=entry.tag,
            valid_from=now,
            provider=entry.provider_name,
            quantization=entry.quantization,
            context_tokens=entry.context_length,
            max_output_tokens=entry.max_completion_tokens,
            max_prompt_tokens=entry.max_prompt_tokens,
            usd_per_million_input=openrouter.usd_per_million(entry.pricing.get("prompt")),
            usd_per_million_output=openrouter.usd_per_million(entry.pricing.get("completion")),
            usd_per_request=openrouter.usd_per_request(entry.pricing.get("request")),
            supported_parameters=openrouter.joined(entry.supported_parameters),
            more_prices=openrouter.more_prices(entry.pricing),
        )
        for entry in reversed(list(sent))
    }
    return list(reversed(rows.values()))


def close_unlisted(
    known: Iterable[ModelOrEndpoint], listed: Iterable[ModelOrEndpoint], now: int
) -> list[ModelOrEndpoint]:
    """The open rows of what is no longer listed, closed at `now`."""
    names = {_name(row) for row in listed}
    return [replace(row, valid_to=now) for row in known if row.source == SOURCE and _name(row) not in names]


def _name(row: Model | Endpoint) -> tuple[str, ...]:
    return (row.model, row.tag) if isinstance(row, Endpoint) else (row.model,)


def _results(rows: Iterable[Model | Endpoint]) -> list[Result]:
    return [Result(row) for row in rows]
