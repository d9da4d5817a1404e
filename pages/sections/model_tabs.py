"""The model page's tabs. Only the open tab runs its queries and draws its charts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from pages.components import old_links, theme
from pages.components.table import NOTHING
from pages.queries import cache
from pages.queries.provider_routes import provider_view
from pages.queries.target_history import target_history
from pages.sections import (
    model_capabilities,
    model_events,
    model_fallbacks,
    model_identity,
    model_prices,
    model_probes,
    model_providers,
    model_sample,
    model_traffic,
    model_trends,
    model_uptime,
    model_usage,
    model_workloads,
)
from pages.shell import sign_in, time_range
from store.clock import now_ms
from store.schema import Target


@dataclass(frozen=True)
class Shown:
    """The target at one location, and the number of its colour."""

    url: str
    target: Target
    number: int

    def window_ms(self) -> tuple[int, int]:
        """The chosen range, rounded so that results can be cached."""
        chosen = time_range.current()
        return cache.rounded(chosen.since), cache.rounded(chosen.until) + 5_000


def _performance(shown: Shown) -> None:
    model_trends.performance(shown.url, shown.target, shown.number)
    model_workloads.workloads_card(shown.url, shown.target, shown.number)


def _providers(shown: Shown) -> None:
    url, target = shown.url, shown.target
    endpoints = cache.endpoints(url, target.model)
    if endpoints or cache.names_routes(url, target.name):
        window = time_range.steady(cache.first_at(url).get(target.name, 0))
        since, until = window.since, window.until
        alike = tuple(sorted({t.name for t in cache.targets(url) if t.model == target.model and t.state != "removed"}))
        view = provider_view(url, alike, since, until)
        if endpoints:
            with theme.card("providers", "Providers", "reported by the router, next to your own measurements"):
                st.html(model_providers.providers(endpoints, cache.reported(url, target.model), view.measured))
            note = "reported by the router, next to your probes' requests"
            figure = f"Uptime of {target.model} by provider"
            with theme.card("provider_uptime", "Uptime by provider", note, figure=figure):
                reports = cache.reports(url, target.model, since, until)
                bars = (time_range.current().since, time_range.current().until, time_range.zone())
                st.html(model_fallbacks.uptime_by_provider(endpoints, reports, view.attempts, *bars))
    else:
        view = None
        st.html(NOTHING.format("No router lists providers of this model, and its responses name none."))
    versions = model_providers.versions_of(target.name, cache.versions(url, target.model))
    left, right = st.columns(2) if view and versions else (st.container(), st.container())
    if view:
        with left, theme.card("fallbacks", "Fallbacks", "which provider was tried first, and which one next"):
            st.html(model_fallbacks.fallbacks(view.choices))
    if versions:
        with right:
            model_prices.history_card(target.name, versions)


def _usage(shown: Shown) -> None:
    routed = cache.routed_model(shown.target, cache.models(shown.url))
    if routed is None:
        st.html(NOTHING.format("No router lists this model, so its usage is not reported."))
        return
    model_usage.activity(shown.url, routed, time_range.current())
    model_usage.apps(shown.url, routed, time_range.current())


def _traffic(shown: Shown) -> None:
    history = target_history(shown.url, shown.target, time_range.current(), now_ms())
    model_traffic.cards(shown.url, shown.target, history, *shown.window_ms())


def _reliability(shown: Shown) -> None:
    url, target = shown.url, shown.target
    places = sorted({t.location for t in cache.targets(url) if t.name == target.name and t.state != "removed"})
    if len(places) > 1:
        model_uptime.all_locations_card(url, target, places)
    model_events.events_card(url, target)
    with theme.card("last", "Last probes", f"the newest {model_probes.SHOWN}, all profiles"):
        st.html(model_probes.last_probes(url, target, now_ms(), time_range.zone()))


def _checks(shown: Shown) -> None:
    model_identity.identity_card(shown.url, shown.target)
    model_capabilities.capabilities_card(shown.url, shown.target)


def _api(shown: Shown) -> None:
    model_sample.sample_card(shown.target, cache.model_of(shown.target, cache.models(shown.url)))


TABS: dict[str, Callable[[Shown], None]] = {
    "Performance": _performance,
    "Providers": _providers,
    "Usage": _usage,
    "Traffic": _traffic,
    "Reliability": _reliability,
    "Checks": _checks,
    "API": _api,
}
TAB_OF_OLD_LINKS = {
    "spread": "Performance",
    "activity_of": "Usage",
    "activity_as": "Usage",
    "own_tokens_by": "Traffic",
    "event_kinds": "Reliability",
    "sample": "API",
}
"""The tab of each parameter in links from before there were tabs."""


@sign_in.fragment()
def tabs(shown: Shown) -> None:
    """The tabs, as a fragment: choosing another tab runs only this part of the page."""
    for label, tab in zip(TABS, st.tabs(list(TABS), key="tab", bind="query-params"), strict=True):
        if tab.open:
            with tab:
                TABS[label](shown)


def adopt_links() -> None:
    """Read a tab in any case (`?tab=api`) and parameters of old links. Call it before the tabs are drawn."""
    old_links.adopt_renamed("tab", {label.lower(): label for label in TABS})
    old_links.adopt_renamed("metric", {label.lower(): label for label in model_trends.METRICS})
    old_links.adopt_renamed("spread", model_trends.OLD_MEASURES, into="metric")
    if "tab" not in st.session_state and "tab" not in st.query_params:
        found = [tab for name, tab in TAB_OF_OLD_LINKS.items() if name in st.query_params]
        if found:
            st.session_state["tab"] = found[0]
