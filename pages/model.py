"""One model: what it is, its state, its history in a range, and its last probes."""

import streamlit as st

from pages.components import notices, theme
from pages.components.metric import metrics
from pages.queries import cache, series_colours, source
from pages.queries.target_history import target_history
from pages.sections import (
    model_events,
    model_fallbacks,
    model_header,
    model_prices,
    model_probes,
    model_providers,
    model_sample,
    model_traffic,
    model_trends,
    model_uptime,
    model_usage,
)
from pages.shell import empty_states, sign_in, time_range, workload
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
with right:
    workload.control()
places = sorted({target.location for target in targets if target.name == name})
with right:
    asked_place = st.query_params.get("location") if "location" not in st.session_state else None
    place = st.selectbox("Location", places, key="location", bind="query-params") if len(places) > 1 else places[0]
target = next(t for t in targets if t.name == name and t.location == place)
number = series_colours.numbers(url)[name]
empty_states.unknown_location(name, asked_place, places)


@sign_in.fragment(run_every="10s")
def live() -> None:
    """The numbers and the status bars follow along."""
    now = now_ms()
    chosen = time_range.current().fresh()
    view = model_header.load_view(url, target, chosen, now)
    st.html(model_header.header(view, series_colours.variable(number), now, time_range.zone()))
    retiring = notices.retirement(view.model, now)
    if retiring:
        st.warning(retiring, title="This model retires", icon=":material/event_busy:")
    if target.state == "waiting_for_key":
        st.info(
            "Probing starts as soon as "
            + (f"`{target.api_key_env}` is set" if target.api_key_env else "its key file exists")
            + " where the collector runs.",
            title="This target is waiting for its key",
            icon=":material/key:",
        )
    if target.state == "disabled":
        st.info(
            "Its configuration has `enabled = false`: it is not probed, and its history is kept.",
            title="This target is disabled",
            icon=":material/pause_circle:",
        )
    metrics(model_header.numbers(view, series_colours.variable(number), workload.current(), now))
    st.html(model_uptime.uptime_card(view.history, chosen, now, time_range.zone()))
    if len(places) > 1:
        st.html(model_uptime.all_locations(url, target, places, chosen, now, time_range.zone()))


live()
if name in waiting and name not in cache.first_at(url):
    st.stop()  # it was never probed: there is nothing to chart
model_trends.trends(url, target, number)
model_trends.distribution_card(url, target, number)
chosen, zone = time_range.current(), time_range.zone()
history = target_history(url, target, chosen, now_ms())
since, until = history.since, history.until

model_traffic.cards(url, target, history, cache.rounded(since), cache.rounded(until) + 5_000)

routed = cache.routed_model(target, cache.models(url))
endpoints = cache.endpoints(url, target.model)
if endpoints or cache.names_routes(url, name):
    alike = tuple(sorted({other.name for other in targets if other.model == target.model}))
    window_ms = cache.rounded(since), cache.rounded(until) + 5_000
    routed_probes = cache.routes(url, alike, *window_ms)
    routes = routes_of(routed_probes)
    if endpoints:
        with theme.card("providers", "Providers", "as reported by the router, beside what your probes measured"):
            st.html(model_providers.providers(endpoints, cache.reported(url, target.model), by_provider(routed_probes)))
        reports = cache.reports(url, target.model, *window_ms)
        attempts = attempts_by_provider(routes)
        with theme.card("provider_uptime", "Uptime by provider", "as reported, and as your probes' requests did"):
            st.html(model_fallbacks.uptime_by_provider(endpoints, reports, attempts, since, until, zone))
    with theme.card("fallbacks", "Fallbacks", "which provider was tried first, and which next"):
        st.html(model_fallbacks.fallbacks(first_choices(routes)))
if routed is not None:
    model_usage.activity(url, routed, chosen)
    model_usage.apps(url, routed, chosen)
versions = model_providers.versions_of(target.name, cache.versions(url, target.model))
if versions:
    model_prices.history_card(name, versions)

model_events.events_card(url, target)
with theme.card("last", "Last probes", f"the newest {model_probes.SHOWN}, of every profile"):
    st.html(model_probes.last_probes(url, target, now_ms(), zone))

model_sample.sample_card(target, cache.model_of(target, cache.models(url)))
