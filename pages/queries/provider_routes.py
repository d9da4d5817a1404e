"""A target's probes by provider behind a router: measurements, attempts and fallbacks."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.queries import cache
from stats.providers import ProviderMeasurement, by_provider
from stats.routes import Attempts, FirstChoice, attempts_by_provider, first_choices, routes_of


@dataclass(frozen=True)
class ProviderView:
    """By provider, its measurements and how its attempts ended; and which provider was tried first."""

    measured: dict[str, ProviderMeasurement]
    attempts: dict[str, Attempts]
    choices: list[FirstChoice]


# not copied for each viewer: nobody changes it
@st.cache_resource(ttl=300, max_entries=16, show_spinner=False)
def provider_view(url: str, names: tuple[str, ...], since: int, until: int) -> ProviderView:
    """The view of these targets' probes at all locations, in a range (milliseconds UTC)."""
    probes = cache.read_routes(url, names, since, until)
    routes = routes_of(probes)
    return ProviderView(by_provider(probes), attempts_by_provider(routes), first_choices(routes))
