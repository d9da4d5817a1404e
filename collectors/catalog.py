"""The router's catalog: every model it lists, and the endpoints of those that are probed or watched.

A row is written only when something changed, so that two years of daily runs stay small and every price and context
size that was ever seen has its date. What is no longer listed is closed, not deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

from collectors.http.get_json import GoneError, get_json
from collectors.scheduler.context import CollectorContext, Job, Plan, Result, unless_bad
from collectors.scheduler.prices import is_routed
from collectors.scheduler.schedule import TickWindow
from collectors.sources import openrouter
from collectors.sources.openrouter import SOURCE, SentEndpoint, SentModel
from settings.targets import Config
from store.schema import ENDPOINTS, MODELS, Endpoint, Model

Listed = TypeVar("Listed", Model, Endpoint)
ANSWER_WITHIN_S = 75.0
"""Longer than any list may take to come."""


def collect(scene: CollectorContext, window: TickWindow) -> Plan:
    """All models in one errand, and one for the endpoints of each model that is probed or watched."""
    wanted = routed_models(scene.config)
    if not wanted:
        return Plan()
    is_due, next_at = scene.periodic("catalog", scene.config.collector.catalog_every, window)
    if not is_due:
        return Plan(next_at=next_at)
    base_url, headers = scene.config.openrouter.base_url, key_header(scene.config)
    open_models = [Model(*row) for row in scene.open_rows(MODELS)]
    open_endpoints = [Endpoint(*row) for row in scene.open_rows(ENDPOINTS)]
    keeps_nothing = ZeroRetention(base_url, headers)

    def all_models(_stop: threading.Event) -> list[Result]:
        sent, bad = openrouter.validated(SentModel, openrouter.entries(get_json(f"{base_url}/models", headers), "data"))
        if not sent:
            raise ValueError("the router lists no model: that is a broken answer, so nothing was changed")
        rows = models_of(sent, window.now)
        # an entry that could not be read is still listed, so nothing is taken for gone then
        return unless_bad(_found([*rows, *([] if bad else gone(open_models, rows, window.now))]), bad)

    def endpoints(name: str) -> Job:
        def go(_stop: threading.Event) -> list[Result]:
            mine = [row for row in open_endpoints if row.model == name]
            try:
                answer = get_json(endpoints_url(base_url, name), headers)
            except GoneError:
                return _found(gone(mine, [], window.now))
            sent, bad = openrouter.validated(SentEndpoint, openrouter.entries(answer, "data", "endpoints"))
            known = {row.tag: row.zero_retention for row in mine}
            keep_nothing = {entry.tag: keeps_nothing.says_of(entry, known.get(entry.tag)) for entry in sent}
            rows = [replace(row, zero_retention=keep_nothing[row.tag]) for row in endpoints_of(name, sent, window.now)]
            return unless_bad(_found([*rows, *([] if bad else gone(mine, rows, window.now))]), bad)

        return Job(name, go)

    errands = [Job("models", all_models), Job("zero retention", keeps_nothing.fetch)]
    return Plan([*errands, *(endpoints(name) for name in wanted)], next_at=next_at)


class ZeroRetention:
    """Which endpoints keep nothing of a prompt: one list for all models, fetched while their own are."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self._url = f"{base_url}/endpoints/zdr"
        self._headers = headers
        self._fetched = threading.Event()
        self._listed: set[tuple[str | None, str]] = set()
        self._is_whole = False

    def fetch(self, _stop: threading.Event) -> list[Result]:
        """An errand of its own. When the list does not come, what was known of an endpoint stays."""
        try:
            answer = get_json(self._url, self._headers)
            sent, bad = openrouter.validated(SentEndpoint, openrouter.entries(answer, "data"))
            self._listed, self._is_whole = {(entry.model_id, entry.tag) for entry in sent}, not bad
            return unless_bad([], bad)
        except GoneError:
            return []  # a router without such a list
        finally:
            self._fetched.set()

    def says_of(self, endpoint: SentEndpoint, known: bool | None) -> bool | None:
        """Whether an endpoint keeps nothing; `known` where it is not told now."""
        self._fetched.wait(ANSWER_WITHIN_S)
        if (endpoint.model_id, endpoint.tag) in self._listed:
            return True
        return False if self._is_whole else known


def routed_models(config: Config) -> list[str]:
    """The models whose endpoints are wanted: of the router's targets that have their key, and the watched ones."""
    probed = [target.model for target in config.targets if is_routed(target, config) and not target.waits_for_key]
    return list(dict.fromkeys([*probed, *config.openrouter.watch]))


def key_header(config: Config) -> dict[str, str]:
    """The first key that a routed target has; the catalog can be read without one."""
    keys = (target.key for target in config.targets if is_routed(target, config) and target.key)
    return next(({"Authorization": f"Bearer {key}"} for key in keys), {})


def endpoints_url(base_url: str, model: str) -> str:
    """Where a model's endpoints are listed."""
    return f"{base_url}/models/{quote(model, safe='/:')}/endpoints"


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


def gone(known: Iterable[Listed], listed: Iterable[Listed], now: int) -> list[Listed]:
    """The open rows of what is no longer listed, closed at `now`."""
    names = {_name(row) for row in listed}
    return [replace(row, valid_to=now) for row in known if row.source == SOURCE and _name(row) not in names]


def _name(row: Model | Endpoint) -> tuple[str, ...]:
    return (row.model, row.tag) if isinstance(row, Endpoint) else (row.model,)


def _found(rows: Iterable[Model | Endpoint]) -> list[Result]:
    return [Result(row) for row in rows]
