"""What a server that is not behind the router states about its model: the context size, from `GET /v1/models`. Its
price is the configured one, else that of the `genai-prices` list where the server is a well-known provider's.

`created` in the list is the moment of the request, so it is not used as the model's date.
"""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

from collectors.contract import CollectorContext, Job, Result
from collectors.http.get_json import GoneError, get_json
from collectors.prices import is_routed
from collectors.request import list_url, own_headers
from collectors.sources.known_prices import KnownPrice, known_prices
from collectors.sources.model_lists import find_model, served_models
from settings.targets import Config, ProbeTarget
from store.schema import Model


def every_s(config: Config) -> float | None:
    """Where a target is not behind the router."""
    return config.collector.local_servers_every if _local_targets(config) else None


def plan_jobs(context: CollectorContext) -> list[Job]:
    """One request to each target that is not behind the router."""
    return [_job(context, target) for target in _local_targets(context.config)]


def _local_targets(config: Config) -> list[ProbeTarget]:
    return [target for target in config.targets if not is_routed(target, config) and not target.waits_for_key]


def _job(context: CollectorContext, target: ProbeTarget) -> Job:
    served = context.served_models.get(target.name)
    is_priced = context.price(target) is not None and not target.is_free_variant

    def fetch(_stop: threading.Event) -> list[Result]:
        rows = models_of(_fetch_models(target), target, context.now, served, is_priced=is_priced)
        return [Result(row) for row in rows]

    return Job(target.name, fetch)


def _fetch_models(target: ProbeTarget) -> Any:
    """The response to `GET {base_url}/models`. Raises requests.RequestException, ValueError."""
    url = list_url(target)
    try:
        return {"data": []} if url is None else get_json(url, own_headers(target))
    except GoneError:
        return {"data": []}  # a server without such a list states nothing about its models: no error


def models_of(
    response: Any, target: ProbeTarget, now: int, served_model: str | None = None, *, is_priced: bool = False
) -> list[Model]:
    """The row for `target` in a server's list of models; none when the list does not name its model. A deployment that
    its owner named (Azure) costs what the `served_model` of its responses costs.

    Raises ValueError when the response is not a list of models.
    """
    found = find_model(served_models(response), target.model)
    own_price = target.usd_per_million_input is not None and target.usd_per_million_output is not None
    known = [] if own_price or target.is_loopback else known_prices(target.base_url, target.model, now)
    if not known and served_model and not own_price and not target.is_loopback:
        known = known_prices(target.base_url, served_model, now)
    if not known and (found is None or (is_priced and served_model is None and not own_price)):
        return []  # a price that was found by what was served stays while nothing is
    row = Model(
        source=target.name,
        model=target.model,
        valid_from=now,
        name=target.name,
        context_tokens=(found and found.context_tokens) or (known[-1].context_tokens if known else None),
        max_output_tokens=found.max_output_tokens if found else None,
        usd_per_million_input=_text(target.usd_per_million_input),
        usd_per_million_output=_text(target.usd_per_million_output),
        usd_per_request=_text(target.usd_per_request) if own_price else None,
        more_prices=_own_cached_price(target) if own_price else None,
        input_modalities=",".join(found.input_modalities) or None if found else None,
        output_modalities=",".join(found.output_modalities) or None if found else None,
    )
    return [*_earlier(target, known, now), _priced(row, known[-1])] if known else [row]


def _priced(row: Model, price: KnownPrice) -> Model:
    return replace(
        row,
        usd_per_million_input=price.usd_per_million_input,
        usd_per_million_output=price.usd_per_million_output,
        usd_per_request=price.usd_per_request,
        more_prices=price.more_prices,
    )


def _earlier(target: ProbeTarget, known: list[KnownPrice], now: int) -> list[Model]:
    """What the price was before it was first asked for, where its date is known: closed rows, so a second run that
    brings them again changes nothing.
    """
    return [
        _priced(
            Model(
                source=target.name,
                model=target.model,
                valid_from=price.valid_from,
                valid_to=price.valid_to or now,
                name=target.name,
                context_tokens=price.context_tokens,
            ),
            price,
        )
        for price in known
        if price.valid_from is not None
    ]


def _own_cached_price(target: ProbeTarget) -> str | None:
    """In the router's shape: USD per token."""
    if target.usd_per_million_cached is None:
        return None
    return json.dumps({"input_cache_read": f"{(target.usd_per_million_cached / 1_000_000).normalize():f}"})


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
