"""One model: what it is, how it does now, its history in this window, and its last probes."""

import streamlit as st

from pages.shared import (
    access,
    code,
    freshness,
    identity,
    loader,
    looks,
    model_charts,
    model_history,
    model_more,
    model_parts,
    model_routes,
    model_usage,
    screens,
    source,
    window,
)
from pages.shared.numbers import metrics
from pages.shared.samples import SAMPLES, label
from pages.shared.target_history import target_history
from stats.providers import by_provider
from stats.routes import attempts_by_provider, first_choices, routes_of

screens.unless_store()
url = source.store_url()
targets = [target for target in loader.targets(url) if target.state != "removed"]
if not targets:
    screens.empty()
    st.stop()
waiting = {target.name for target in targets if target.state in ("waiting_for_key", "disabled")}
names = sorted({target.name for target in targets}, key=lambda name: (name in waiting, name))
left, right = st.columns([3, 1], vertical_alignment="bottom")
with left:
    name = st.selectbox("Target", names, key="target", bind="query-params", width=460, label_visibility="collapsed")
places = sorted({target.location for target in targets if target.name == name})
with right:
    place = st.selectbox("Location", places, key="location", bind="query-params") if len(places) > 1 else places[0]
target = next(t for t in targets if t.name == name and t.location == place)
number = identity.numbers(url)[name]


@access.fragment(run_every="10s")
def live() -> None:
    """The numbers and the strip follow along."""
    now = window.now_ms()
    chosen = window.current().fresh()
    freshness.banner()
    view = model_parts.view(url, target, chosen, now)
    st.html(model_parts.header(view, identity.variable(number), now, window.zone()))
    if target.state == "waiting_for_key":
        st.info(
            "It is probed as soon as "
            + (f"`{target.api_key_env}` is set" if target.api_key_env else "its key file is there")
            + " where the collector runs.",
            title="This target waits for its key",
            icon=":material/key:",
        )
    if target.state == "disabled":
        st.info(
            "`enabled = false` is set where it is configured: it is not probed, and its history stays.",
            title="This target is disabled",
            icon=":material/pause_circle:",
        )
    metrics(model_parts.numbers(view, identity.variable(number)))
    st.html(model_parts.uptime_card(url, view, chosen, now, window.zone()))
    if len(places) > 1:
        st.html(model_parts.everywhere(url, target, places, chosen, now, window.zone()))


live()
if name in waiting and name not in loader.first_at(url):
    st.stop()  # it was never probed: there is nothing to chart
model_charts.over_time(url, target, number)
model_charts.spread_card(url, target, number)
chosen, zone = window.current(), window.zone()
history = target_history(url, target, chosen, window.now_ms())
since, until = history.since, history.until

routed = loader.routed_model(target, loader.models(url))
endpoints = loader.endpoints(url, target.model)
if endpoints or loader.names_routes(url, name):
    alike = tuple(sorted({other.name for other in targets if other.model == target.model}))
    window_ms = loader.rounded(since), loader.rounded(until) + 5_000
    met = loader.routes(url, alike, *window_ms)
    routes = routes_of(met)
    if endpoints:
        with looks.card("providers", "Providers", "what the router says, beside what our own probes met"):
            st.html(model_more.providers(endpoints, loader.reported(url, target.model), by_provider(met)))
        reports = loader.reports(url, target.model, *window_ms)
        attempts = attempts_by_provider(routes)
        with looks.card("provider_uptime", "Uptime by provider", "as reported, and how our own requests did"):
            st.html(model_routes.uptime_by_provider(endpoints, reports, attempts, since, until, zone))
    with looks.card("fallbacks", "Fallbacks", "who was tried first, and who after it"):
        st.html(model_routes.fallbacks(first_choices(routes)))
if routed is not None:
    model_usage.activity(url, routed, chosen)
    model_usage.apps(url, routed, chosen)
versions = model_more.versions_of(target, loader.versions(url, target.model))
if versions:
    model_history.card(name, versions)

with looks.card("last", "Last probes", f"the newest {model_parts.LAST_PROBES}, of every profile"):
    st.html(model_parts.last_probes(url, target, window.now_ms(), zone))


@access.fragment()
def api() -> None:
    """Sample code; another language draws this card alone."""
    with looks.card("api", "API", "sample code for this model"):
        callee = model_more.callee(target, loader.model_of(target, loader.models(url)))
        kind = st.segmented_control(
            "Language",
            list(SAMPLES),
            default=next(iter(SAMPLES)),
            format_func=lambda sample: label(sample, callee.api),
            required=True,
            key="sample",
            bind="query-params",
            label_visibility="collapsed",
        )
        language, write = SAMPLES[kind or next(iter(SAMPLES))]
        code.show(write(callee), language)


api()
