"""One model: what it is, how it does now, its history in this window, and its last probes."""

import plotly.graph_objects as go
import streamlit as st

from charts import history, spread, times, tokens
from pages.shared import (
    code,
    freshness,
    identity,
    loader,
    looks,
    model_more,
    model_parts,
    model_routes,
    model_usage,
    screens,
    source,
    window,
)
from pages.shared.numbers import metrics
from pages.shared.past import THROUGHPUT, past_of
from pages.shared.samples import SAMPLES
from stats.changes import changes, steps
from stats.distribution import by_hour_of_week, histogram
from stats.providers import by_provider
from stats.routes import attempts_by_provider, first_choices, routes_of
from stats.shifts import Shift

screens.unless_store()
url = source.store_url()
targets = [target for target in loader.targets(url) if target.state != "removed"]
if not targets:
    screens.empty()
    st.stop()
waiting = {target.name for target in targets if target.state == "waiting_for_key"}
names = sorted({target.name for target in targets}, key=lambda name: (name in waiting, name))
left, right = st.columns([3, 1], vertical_alignment="bottom")
with left:
    name = st.selectbox("Target", names, key="target", bind="query-params", width=460, label_visibility="collapsed")
places = sorted({target.location for target in targets if target.name == name})
with right:
    place = st.selectbox("Location", places, key="location", bind="query-params") if len(places) > 1 else places[0]
target = next(t for t in targets if t.name == name and t.location == place)
number = identity.numbers(url)[name]


@st.fragment(run_every="10s")
def live() -> None:
    """The numbers and the strip follow along; the charts below stay as they are, so that a zoom survives."""
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
    metrics(model_parts.numbers(view, identity.variable(number)))
    st.html(model_parts.uptime_card(view, chosen, now, window.zone()))
    if len(places) > 1:
        st.html(model_parts.everywhere(url, target, places, chosen, now, window.zone()))


live()
if name in waiting and name not in loader.first_at(url):
    st.stop()  # it was never probed: there is nothing to chart
chosen = window.current()
past = past_of(url, target, chosen, window.now_ms())
zone, palette = window.zone(), looks.palette()
colour = palette.of(number)
since, until = past.since, past.until


def over_time(profile: str, column: str, unit: str, changed: list[Shift]) -> go.Figure:
    """The percentile bands of one measured column in this window, with its change points, failures on the floor."""
    table, failures = past.bands(profile, column), past.failures(profile)
    return times.bands(
        table, failures, past.charted_since, until, palette, unit=unit, zone=zone, colour=colour, shifts=changed
    )


changed = past.shifts(target.profile, "ttft_ms")
wide, narrow = st.columns([2, 1])
with wide, looks.card("ttft", "Time to first token", "median, p25 to p75, p5 to p95; failures on the floor"):
    looks.chart(
        over_time(target.profile, "ttft_ms", "ms", changed),
        key="ttft_chart",
        alt=f"Time to first token of {name} {chosen.words}, in milliseconds, as percentile bands over time",
    )
with narrow, looks.card("tokens", "Tokens per day", "used by the probes"):
    looks.chart(
        tokens.per_day(past.tokens_per_day(zone), palette),
        key="tokens_chart",
        alt=f"Prompt and completion tokens that probes of {name} used, by day",
    )
if changed:
    st.html(model_more.shifts_list("TTFT", "ms", changed, zone))
left, right = st.columns(2)
with left, looks.card("total", "Total time", "to the last token of a ping"):
    looks.chart(
        over_time(target.profile, "total_ms", "ms", past.shifts(target.profile, "total_ms")),
        key="total_chart",
        alt=f"Total time of replies of {name} {chosen.words}, in milliseconds, as percentile bands over time",
    )
with right, looks.card("speed", "Output speed", "tokens per second after the first token, from throughput probes"):
    looks.chart(
        over_time(
            THROUGHPUT,
            "tokens_per_second",
            "tok/s",
            past.shifts(THROUGHPUT, "tokens_per_second"),
        ),
        key="speed_chart",
        alt=f"Output speed of {name} {chosen.words}, in tokens per second, as percentile bands over time",
    )

with looks.card("spread", "How it is spread", "of all good replies in this window; medians by the hour of the week"):
    measure = st.segmented_control(
        "Of",
        list(model_parts.MEASURES),
        default=next(iter(model_parts.MEASURES)),
        required=True,
        key="spread",
        bind="query-params",
        label_visibility="collapsed",
    )
    of = model_parts.MEASURES[measure or next(iter(model_parts.MEASURES))]
    profile = of.profile or target.profile
    left, right = st.columns(2)
    with left:
        looks.chart(
            spread.histogram(histogram(past.counts(profile, of.column)), palette, unit=of.unit, colour=colour),
            key="histogram_chart",
            alt=f"How often which {measure} of {name} was measured {chosen.words}",
        )
    with right:
        looks.chart(
            spread.hours_of_week(
                by_hour_of_week(past.hour_rows(profile), of.column, zone), palette, unit=of.unit, colour=colour
            ),
            key="week_chart",
            alt=f"Median {measure} of {name} by weekday and hour of the day",
        )

routed = loader.routed_model(target, loader.models(url))
endpoints = loader.endpoints(url, target.model)
if endpoints:
    alike = tuple(sorted({other.name for other in targets if other.model == target.model}))
    window_ms = loader.rounded(since), loader.rounded(until) + 5_000
    met = loader.routes(url, alike, *window_ms)
    routes = routes_of(met)
    with looks.card("providers", "Providers", "what the router says, beside what our own probes met"):
        st.html(model_more.providers(endpoints, loader.reported(url, target.model), by_provider(met)))
    with looks.card("provider_uptime", "Uptime by provider", "as reported, and how our own requests did"):
        reports = loader.reports(url, target.model, *window_ms)
        st.html(model_routes.uptime_by_provider(endpoints, reports, attempts_by_provider(routes), since, until, zone))
    with looks.card("fallbacks", "Fallbacks", "who was tried first, and who after it"):
        st.html(model_routes.fallbacks(first_choices(routes)))
if routed is not None:
    model_usage.activity(url, routed, chosen)
    model_usage.apps(url, routed, chosen)
versions = model_more.versions_of(target, loader.versions(url, target.model))
if versions:
    with looks.card("history", "History", "price and context size, as they were told, with each change"):
        now = window.now_ms()
        prices = {
            "in": steps(versions, "usd_per_million_input", now),
            "out": steps(versions, "usd_per_million_output", now),
        }
        context = {"context": steps(versions, "context_tokens", now)}
        left, right = st.columns(2)
        with left:
            looks.chart(
                history.step_lines(prices, palette, unit="USD per million", zone=zone),
                key="price_chart",
                alt=f"Price of {name} in USD per million tokens since it is known",
            )
        with right:
            looks.chart(
                history.step_lines(context, palette, unit="tokens", zone=zone),
                key="context_chart",
                alt=f"Context size of {name} in tokens since it is known",
            )
        st.html(model_more.changes_list(changes(versions), zone))

with looks.card("last", "Last probes", f"the newest {model_parts.LAST_PROBES}, of every profile"):
    st.html(model_parts.last_probes(url, target, window.now_ms(), zone))

with looks.card("api", "API", "sample code for this model"):
    callee = model_more.callee(target, loader.model_of(target, loader.models(url)))
    kind = st.segmented_control(
        "Language",
        list(SAMPLES),
        default=next(iter(SAMPLES)),
        required=True,
        key="sample",
        bind="query-params",
        label_visibility="collapsed",
    )
    language, write = SAMPLES[kind or next(iter(SAMPLES))]
    code.show(write(callee), language)
