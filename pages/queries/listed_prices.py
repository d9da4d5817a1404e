"""The row whose prices a target's requests are billed at."""

from __future__ import annotations

from pages.queries import cache
from routing.prices import is_of_provider
from store.schema import Endpoint, Model, Target


def priced_row(url: str, target: Target, model: Model | None) -> Model | Endpoint | None:
    """The endpoint of the provider that the target is pinned to, else its `model`."""
    provider = target.provider
    if provider is None:
        return model
    listed = cache.endpoints(url, target.model)
    return next((row for row in listed if row.provider == provider or is_of_provider(row.tag, provider)), model)
