"""Requests to the router of the configuration: for which models, with which key."""

from __future__ import annotations

from urllib.parse import quote

from collectors.prices import is_routed
from settings.targets import Config


def routed_models(config: Config) -> list[str]:
    """The models whose endpoints are read: those of the router's targets that have their key, and the watched ones."""
    probed = [target.model for target in config.targets if is_routed(target, config) and not target.waits_for_key]
    return list(dict.fromkeys([*probed, *config.openrouter.watch]))


def key_header(config: Config) -> dict[str, str]:
    """The first key that a routed target has; the catalog can be read without one."""
    keys = (target.key for target in config.targets if is_routed(target, config) and target.key)
    return next(({"Authorization": f"Bearer {key}"} for key in keys), {})


def endpoints_url(base_url: str, model: str) -> str:
    """Where a model's endpoints are listed."""
    return f"{base_url}/models/{quote(model, safe='/:')}/endpoints"
