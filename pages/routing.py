"""Who would serve a request: the endpoints in the order in which they would be tried, and why others would not."""

import json

import streamlit as st

from pages.shared import code, loader, looks, routing_parts, screens, source, window
from routing.selection import provider_object

screens.unless_store()
url = source.store_url()
st.html(routing_parts.HEAD)
names = routing_parts.models(url)
if not names:
    screens.no_endpoints()
    st.stop()
model = st.selectbox("Model", names, key="model", bind="query-params", width=460)
with st.container(border=True, key="card_request"):
    asked = routing_parts.controls()
endpoints = loader.endpoints(url, model)
plans = routing_parts.plans(url, model, endpoints, asked, window.current(), window.now_ms())
for plan, part in zip(plans, st.columns(len(plans)), strict=True):
    with part, looks.card(plan.key, plan.heading, plan.note):
        st.html(routing_parts.drawn(plan.plan))
if plans[0].plan.excluded:
    st.html(routing_parts.excluded(plans[0].plan))

with looks.card("ask", "Ask for it", "the provider object of a request that says the same"):
    fixed = st.toggle(
        "Fix this order: exactly these endpoints, one after the other",
        key="fixed",
        bind="query-params",
        help="Without it the router decides by its own numbers of that moment, which are not all told.",
    )
    order = [offer.endpoint.tag for offer in plans[0].plan.offers] if fixed else []
    code.show(json.dumps({"provider": provider_object(asked.wish, asked.sort, order)}, indent=2), "json")
    if asked.wish.data == "no_training":
        st.caption(
            "Who collects prompts is not told by the router's API, so nobody is left out above; the router will do it."
        )
