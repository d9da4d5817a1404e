"""Which endpoints would serve a request: in the order in which they would be tried, and why others would not."""

import json

import streamlit as st

from pages.components import code_block, theme
from pages.queries import cache, source
from pages.sections import routing_plans
from pages.shell import empty_states, time_range
from routing.selection import provider_object, test_reasons
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
    form = routing_plans.controls()
endpoints = cache.endpoints(url, model)
lacks = routing_plans.tested_lacks(url, model, endpoints, now_ms()) if form.trusts_tests else {}
plans = routing_plans.plans(url, model, endpoints, form, time_range.current(), now_ms(), lacks)
with theme.card("plans", "Endpoints", "in the order in which they would be tried, by the reported numbers"):
    st.html(routing_plans.plans_table(plans))
if form.trusts_tests and not lacks:
    st.caption(routing_plans.NO_TESTS)
if plans[0].plan.excluded:
    st.html(routing_plans.skipped_endpoints(plans[0].plan))

if choices := routing_plans.relay_choices(url, model, plans, time_range.current()):
    with theme.card("relayed", "What your relay did", "which target was tried first, beside what the rules say"):
        st.html(choices)

with theme.card("ask", "Request this", "the equivalent provider object of a request"):
    fixed = st.toggle(
        "Fix this order: exactly these endpoints, in sequence",
        key="fixed",
        bind="query-params",
        help="Otherwise the router decides by its own current numbers, not all of which it publishes.",
    )
    order = [offer.endpoint.tag for offer in plans[0].plan.offers] if fixed else []
    ignored = [tag for tag, missing in lacks.items() if test_reasons(missing, form.request)]
    if wanted := provider_object(form.request, form.sort, order, ignored):
        code_block.show(json.dumps({"provider": wanted}, indent=2), "json")
    else:
        st.html(routing_plans.DEFAULT_ROUTING)
    if form.request.data == "no_training":
        st.caption(
            "The router's API does not report which providers collect prompts, so none are skipped above; the router "
            "skips them itself."
        )
