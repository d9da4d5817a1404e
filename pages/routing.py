"""Who would serve a request: the endpoints in the order in which they would be tried, and why others would not."""

import json

import streamlit as st

from pages.components import code_block, theme
from pages.queries import cache, source
from pages.sections import routing_plans
from pages.shell import empty_states, time_range
from routing.selection import provider_object
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
st.html(routing_plans.HEAD)
names = routing_plans.models(url)
if not names:
    empty_states.no_endpoints()
    st.stop()
model = st.selectbox("Model", names, key="model", bind="query-params", width=460)
with st.container(border=True, key="card_request"):
    asked = routing_plans.controls()
endpoints = cache.endpoints(url, model)
plans = routing_plans.plans(url, model, endpoints, asked, time_range.current(), now_ms())
for plan, part in zip(plans, st.columns(len(plans)), strict=True):
    with part, theme.card(plan.key, plan.heading, plan.note):
        st.html(routing_plans.drawn(plan.plan))
if plans[0].plan.excluded:
    st.html(routing_plans.excluded(plans[0].plan))

if did := routing_plans.relayed(url, model, plans, time_range.current()):
    with theme.card("relayed", "What your relay did", "which target was tried first, beside what the rules say"):
        st.html(did)

with theme.card("ask", "Ask for it", "the provider object of a request that says the same"):
    fixed = st.toggle(
        "Fix this order: exactly these endpoints, one after the other",
        key="fixed",
        bind="query-params",
        help="Without it the router decides by its own numbers of that moment, which are not all told.",
    )
    order = [offer.endpoint.tag for offer in plans[0].plan.offers] if fixed else []
    code_block.show(json.dumps({"provider": provider_object(asked.wish, asked.sort, order)}, indent=2), "json")
    if asked.wish.data == "no_training":
        st.caption(
            "Who collects prompts is not told by the router's API, so nobody is left out above; the router will do it."
        )
