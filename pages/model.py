"""One model: its description, state and metrics in a range, and tabs with details."""

import streamlit as st

from pages.components import notices
from pages.components.metric import metrics
from pages.queries import cache, series_colours, source
from pages.sections import model_actions, model_header, model_tabs, model_uptime, why
from pages.shell import empty_states, sign_in, time_range, workload
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
targets = [target for target in cache.targets(url) if target.state != "removed"]
if not targets:
    empty_states.empty()
    st.stop()
waiting = {target.name for target in targets if target.state in ("waiting_for_key", "disabled")}
names = sorted({target.name for target in targets}, key=lambda name: (name in waiting, name))
bar = st.container(horizontal=True, vertical_alignment="center", key="model_bar")
with bar:
    asked = empty_states.unknown_target(names)
    name = st.selectbox(
        "Target",
        names,
        index=None if asked else 0,
        placeholder="Choose a target",
        key="target",
        bind="query-params",
        width=400,
        label_visibility="collapsed",
    )
if name is None:
    empty_states.no_such_target(asked or "", asked in {target.name for target in cache.targets(url)})
    st.stop()
st.set_page_config(page_title=f"{name} · Uptoken")
places = sorted({target.location for target in targets if target.name == name})
with bar:
    model_actions.neighbours(names, name)
    asked_place = st.query_params.get("location") if "location" not in st.session_state else None
    place = (
        st.selectbox("Location", places, key="location", bind="query-params", width=200, label_visibility="collapsed")
        if len(places) > 1
        else places[0]
    )
    target = next(t for t in targets if t.name == name and t.location == place)
    model_actions.compare_link(url, name)
    model_actions.copies(target, time_range.current())
    workload.control()
number = series_colours.numbers(url)[name]
why.explain_asked(url)
empty_states.unknown_location(name, asked_place, places)


@sign_in.fragment(run_every="10s")
def live() -> None:
    """The metrics and the status bars, refreshed every 10 seconds."""
    now = now_ms()
    chosen = time_range.current().fresh()
    view = model_header.load_view(url, target, chosen, now)
    st.html(model_header.header(view, series_colours.variable(number), now, time_range.zone()))
    retiring = notices.retirement(view.model, now)
    if retiring:
        st.warning(retiring, icon=":material/event_busy:")
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


live()
if name not in waiting or name in cache.first_at(url):  # a target that was never probed has nothing to show
    model_tabs.adopt_links()
    model_tabs.tabs(model_tabs.Shown(url, target, number))
