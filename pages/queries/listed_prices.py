"""The row whose prices a target's requests are billed at."""

from __future__ import annotations

from pages.queries import cache
from store.schema import Endpoint, Model, Target


def priced_row(url: str, target: Target, model: Model | None) -> Model | Endpoint | None:
    """The endpoint of the provider that the target is pinned to, else its `model`."""
    if target.provider is None:
        return model
    listed = cache.endpoints(url, target.model)
    pinned = (row for row in listed if target.provider in (row.provider, row.tag, row.tag.partition("/")[0]))
    return next(pinned, model)
