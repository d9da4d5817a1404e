"""One model: what it is, how it does now, its history in this window, and its last probes."""

import streamlit as st

from pages.components import code_block, theme
from pages.components.metric import metrics
from pages.components.sample_code import SAMPLES, label
from pages.queries import cache, series_colours, source
from pages.queries.target_history import target_history
from pages.sections import (
    model_fallbacks,
    model_header,
    model_prices,
    model_providers,
    model_traffic,
    model_trends,
    model_usage,
)
from pages.shell import empty_states, sign_in, time_range
from stats.providers import by_provider
from stats.routes import attempts_by_provider, first_choices, routes_of
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
targets = [target for target in cache.targets(url) if target.state != "removed"]
if not targets:
    empty_states.empty()
    st.stop()
waiting = {target.name for target in targets if target.state in ("waiting_for_key", "disabled")}
names = sorted({target.name for target in targets}, key=lambda name: (name in waiting, name))
left, right = st.columns([3, 1], vertical_alignment="bottom")
with left:
    asked = empty_states.unknown_target(names)
    name = st.selectbox(
        "Target",
        names,
        index=None if asked else 0,
        placeholder="Choose a target",
        key="target",
        bind="query-params",
        width=460,
        label_visibility="collapsed",
    )
if name is None:
    empty_states.no_such_target(asked or "", asked in {target.name for target in cache.targets(url)})
    st.stop()
st.set_page_config(page_title=f"{name} · Uptoken")
places = sorted({target.location for target in targets if target.name == name})
with right:
    asked_place = st.query_params.get("location") if "location" not in st.session_state else None
    place = st.selectbox("Location", places, key="location", bind="query-params") if len(places) > 1 else places[0]
target = next(t for t in targets if t.name == name and t.location == place)
number = series_colours.numbers(url)[name]
empty_states.unknown_location(name, asked_place, places)


@sign_in.fragment(run_every="10s")
def live() -> None:
    """The numbers and the strip follow along."""
    now = now_ms()
    chosen = time_range.current().fresh()
    view = model_header.view(url, target, chosen, now)
    st.html(model_header.header(view, series_colours.variable(number), now, time_range.zone()))
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
    metrics(model_header.numbers(view, series_colours.variable(number)))
    st.html(model_header.uptime_card(url, view, chosen, now, time_range.zone()))
    if len(places) > 1:
        st.html(model_header.everywhere(url, target, places, chosen, now, time_range.zone()))


live()
if name in waiting and name not in cache.first_at(url):
    st.stop()  # it was never probed: there is nothing to chart
model_trends.over_time(url, target, number)
model_trends.spread_card(url, target, number)
chosen, zone = time_range.current(), time_range.zone()
history = target_history(url, target, chosen, now_ms())
since, until = history.since, history.until

model_traffic.card(url, target, history, cache.rounded(since), cache.rounded(until) + 5_000)

routed = cache.routed_model(target, cache.models(url))
endpoints = cache.endpoints(url, target.model)
if endpoints or cache.names_routes(url, name):
    alike = tuple(sorted({other.name for other in targets if other.model == target.model}))
    window_ms = cache.rounded(since), cache.rounded(until) + 5_000
    met = cache.routes(url, alike, *window_ms)
    routes = routes_of(met)
    if endpoints:
        with theme.card("providers", "Providers", "what the router says, beside what our own probes met"):
            st.html(model_providers.providers(endpoints, cache.reported(url, target.model), by_provider(met)))
        reports = cache.reports(url, target.model, *window_ms)
        attempts = attempts_by_provider(routes)
        with theme.card("provider_uptime", "Uptime by provider", "as reported, and how our own requests did"):
            st.html(model_fallbacks.uptime_by_provider(endpoints, reports, attempts, since, until, zone))
    with theme.card("fallbacks", "Fallbacks", "who was tried first, and who after it"):
        st.html(model_fallbacks.fallbacks(first_choices(routes)))
if routed is not None:
    model_usage.activity(url, routed, chosen)
    model_usage.apps(url, routed, chosen)
versions = model_providers.versions_of(target, cache.versions(url, target.model))
if versions:
    model_prices.card(name, versions)

with theme.card("last", "Last probes", f"the newest {model_header.LAST_PROBES}, of every profile"):
    st.html(model_header.last_probes(url, target, now_ms(), zone))


@sign_in.fragment()
def api() -> None:
    """Sample code; another language draws this card alone."""
    with theme.card("api", "API", "sample code for this model"):
        callee = model_providers.callee(target, cache.model_of(target, cache.models(url)))
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
        code_block.show(write(callee), language)


api()
