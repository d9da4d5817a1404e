"""Routing: the form for a request, and the plans that would serve it, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.number_inputs import numeric
from pages.components.old_links import adopt_renamed
from pages.components.table import NOTHING, Column, below, bold, provider, quiet, table
from pages.queries import cache, traffic
from pages.queries.time_range import TimeRange
from pages.shell import workload
from routing.selection import (
    PARAMETERS,
    Candidate,
    Data,
    EndpointPerformance,
    Plan,
    RoutingRequest,
    Sort,
    Strategy,
    plan,
)
from stats.capabilities import SEVERAL_TESTS_MS
from stats.routing_inputs import lacking_by_tag, measured_performance, reported_performance
from stats.traffic import first_choices
from store.clock import HOUR_MS
from store.schema import Endpoint

HEAD = theme.head(
    "Routing",
    "Which endpoints would serve this request, in which order, at what cost and how fast. The rules are those the "
    "router documents; the numbers are what it reports, next to your own measurements.",
)
STRATEGIES: dict[str, tuple[Strategy, Sort | None]] = {
    "Effective cost": ("good_response", None),
    "Price": ("price", None),
    "Lowest price": ("price", "price"),
    "Fastest output": ("price", "throughput"),
    "Lowest latency": ("price", "latency"),
}
STRATEGY_HELP = (
    "**Effective cost**: the price including its cached share, divided by the success rate, plus the value of your "
    "time; the probability of an endpoint falls with the square of that (the router does not publish its formula). "
    "**Price**: endpoints without a recent outage first; the probability falls with the square of the price. **Lowest "
    "price**, **fastest output** and **lowest latency** are a fixed order."
)
DATA: dict[str, Data] = {"Any": "any", "No training on prompts": "no_training", "Zero data retention": "zero_retention"}

CAPABILITIES = {"Claimed": False, "Measured": True}
CAPABILITIES_HELP = (
    "**Claimed**: an endpoint has the features that its catalog lists. **Measured**: it is also skipped where your own "
    "capability tests show that it lacks one that is required; what was not tested counts as claimed."
)
NO_TESTS = (
    "No test reached an endpoint of this model. `capabilities = true` in the `[[target]]` section of a target that is "
    "pinned to a provider tests that provider daily."
)

DEFAULT_ROUTING = NOTHING.format(
    Markup("<b>Default routing</b>: such a request needs no <code>provider</code> object.")
)

RENAMED = {
    "Sort: cheapest": "Lowest price",
    "Sort: fastest output": "Fastest output",
    "Sort: first token soonest": "Lowest latency",
    "Keeps nothing": "Zero data retention",
}


@dataclass(frozen=True)
class RoutingForm:
    """What the form contains."""

    request: RoutingRequest
    strategy: Strategy
    sort: Sort | None
    usd_per_hour: float
    trusts_tests: bool


@dataclass(frozen=True)
class PlanCard:
    """One plan and its heading."""

    key: str
    heading: str
    note: str
    plan: Plan


def models(url: str) -> list[str]:
    """The models whose endpoints are known: those of the targets first."""
    counts = cache.endpoint_counts(url)
    probed = {target.model for target in cache.targets(url) if target.state != "removed"}
    return sorted(counts, key=lambda name: (name not in probed, name))


def controls() -> RoutingForm:
    """The request's size and requirements, in the URL."""
    for key in ("strategy", "data"):
        adopt_renamed(key, RENAMED)
    costs, needs, limits = st.columns(3, vertical_alignment="bottom")
    with costs:
        usd_per_hour = numeric(
            st.number_input,
            "Value of your time (USD/hour)",
            0.0,
            10_000.0,
            0.0,
            step=5.0,
            key="hour",
            help="The cost of waiting for responses: 0 for a nightly batch, a salary for a chat.",
        )
        size = workload.control(always=True) or workload.USUAL
    with needs:
        features = st.multiselect(
            "Required features", [*PARAMETERS, "images"], key="needs", bind="query-params", placeholder="none"
        )
        data = st.selectbox("Data policy", list(DATA), key="data", bind="query-params")
    with limits:
        most_in = numeric(st.number_input, "Max input price (USD/M)", 0.0, None, None, key="most_in", placeholder="Any")
        most_out = numeric(
            st.number_input, "Max output price (USD/M)", 0.0, None, None, key="most_out", placeholder="Any"
        )
    strategy, sort = STRATEGIES[_segments("Strategy", list(STRATEGIES), "strategy", STRATEGY_HELP)]
    trusts_tests = CAPABILITIES[_segments("Capabilities", list(CAPABILITIES), "capabilities", CAPABILITIES_HELP)]
    request = replace(
        size.request,
        parameters=tuple(PARAMETERS[feature] for feature in features if feature in PARAMETERS),
        has_images="images" in features,
        most_usd_per_million_input=most_in,
        most_usd_per_million_output=most_out,
        data=DATA[data],
    )
    return RoutingForm(request, strategy, sort, float(usd_per_hour), trusts_tests)


def _segments(label: str, options: list[str], key: str, help_text: str) -> str:
    """A choice of one, kept in the address."""
    chosen = st.segmented_control(
        label, options, default=options[0], required=True, key=key, bind="query-params", help=help_text
    )
    return chosen or options[0]


def tested_lacks(url: str, model: str, endpoints: list[Endpoint], now: int) -> dict[str, frozenset[str]]:
    """What tests show that each endpoint lacks, by its tag; without those that no test reached."""
    targets = [target for target in cache.targets(url) if target.model == model]
    if not targets:
        return {}
    names = tuple(sorted({target.name for target in targets}))
    tests = cache.capability_tests(url, names, since=cache.rounded(now - SEVERAL_TESTS_MS, HOUR_MS))
    pinned = {target.name: target.provider for target in targets if target.provider}
    return lacking_by_tag(endpoints, tests, pinned)


def plans(
    url: str,
    model: str,
    endpoints: list[Endpoint],
    form: RoutingForm,
    window: TimeRange,
    now: int,
    lacks: Mapping[str, frozenset[str]],
) -> list[PlanCard]:
    """The plan by what the router reports, and the one by what the probes measured in the range. `lacks`: by tag, what
    is held against endpoints.
    """
    theirs = {tag: reported_performance(stats) for tag, stats in cache.reported(url, model).items()}
    ours = _measured(url, model, endpoints, window)
    takes = next((m.input_modalities or "" for m in cache.models(url) if m.model == model), "text").split(",")

    def plan_by(records: dict[str, EndpointPerformance]) -> Plan:
        return plan(
            endpoints,
            records,
            form.request,
            now,
            input_modalities=takes,
            strategy=form.strategy,
            sort=form.sort,
            usd_per_hour=form.usd_per_hour,
            lacks=lacks,
        )

    note = "" if ours else "; no endpoint was probed, so only the price counts"
    return [
        PlanCard("reported", "Reported by the router", "in the last minutes", plan_by(theirs)),
        PlanCard("measured", "Measured by your probes", f"{window.words}{note}", plan_by(ours)),
    ]


def _measured(url: str, model: str, endpoints: list[Endpoint], window: TimeRange) -> dict[str, EndpointPerformance]:
    names = tuple(sorted({target.name for target in cache.targets(url) if target.model == model}))
    by_name = measured_performance(
        cache.routes(url, names, cache.rounded(window.since), cache.rounded(window.until) + 5_000)
    )
    return {row.tag: by_name[row.provider] for row in endpoints if row.provider in by_name}


def plans_table(plans: list[PlanCard]) -> Markup:
    """Each endpoint in both plans, side by side, in the order of the first; above them what to expect from each."""
    reported, measured = (card.plan for card in plans)
    if not reported.offers:
        return Markup('<div class="u">No endpoint can serve this request.</div>')
    by_tag = {offer.endpoint.tag: (place, offer) for place, offer in enumerate(measured.offers, 1)}
    share = "Rank" if reported.is_sure else "Probability"
    facts = (share, "TTFT", "Output speed", "Duration", "Effective cost", "Success rate")
    rows = [
        _row(place, offer, *by_tag.get(offer.endpoint.tag, (0, None))) for place, offer in enumerate(reported.offers, 1)
    ]
    return Markup().join(_expected(card) for card in plans) + table(
        ("Provider", "This request", *(("reported", "measured") * len(facts))),
        rows,
        kind="pairs",
        groups=[("", 2), *((fact, 2) for fact in facts)],
    )


def _expected(card: PlanCard) -> Markup:
    """The expected cost and duration of the request under one plan."""
    plan, seconds = card.plan, card.plan.expected_seconds
    duration = f"{formatting.seconds(seconds)} for the response" if seconds is not None else "duration unknown"
    when = "at the first attempt" if plan.is_sure else "on average at the first attempt"
    return Markup('<div class="u" style="margin-bottom:4px">{} {}: {} and {}, {}</div>').format(
        card.heading, quiet(card.note), bold(formatting.cost(plan.expected_usd)), duration, when
    )


def _row(place: int, offer: Candidate, other_place: int, other: Candidate | None) -> list[str | None]:
    pairs = zip(_facts(place, offer), _facts(other_place, other), strict=True)
    return [provider(offer.endpoint), formatting.cost(offer.cost_usd), *(cell for pair in pairs for cell in pair)]


def _facts(place: int, offer: Candidate | None) -> list[str | None]:
    """One plan's facts about an endpoint, in the order of the columns; null where unknown."""
    if offer is None:
        return [None] * 6
    record = offer.record
    share = f"{place}." if offer.chance is None else formatting.percent(offer.chance)
    return [
        share + below("recent outage" if record.had_outage else ""),
        None if record.ttft_ms is None else formatting.latency(record.ttft_ms),
        None if record.tokens_per_second is None else formatting.speed(record.tokens_per_second),
        None if offer.seconds is None else formatting.seconds(offer.seconds),
        formatting.cost(offer.good_response_usd),
        None if record.success is None else formatting.percent(record.success),
    ]


def relay_choices(url: str, model: str, plans: list[PlanCard], window: TimeRange) -> Markup:
    """Which of this model's targets the relay tried first, beside what the rules say; empty without traffic."""
    targets = {target.name: target for target in cache.targets(url) if target.model == model}
    since, until = cache.rounded(window.since), cache.rounded(window.until) + 5_000
    attempts = [one for one in traffic.attempts(url, since, until) if one.target in targets]
    offers = plans[0].plan.offers if plans else ()
    chances = {name: offer.chance for offer in offers for name in (offer.endpoint.provider, offer.endpoint.tag) if name}
    served = Counter((one.route, one.target) for one in attempts if one.served)
    rows = [
        (
            bold(route),
            name,
            formatting.percent(times / sum(choices.values())) + quiet(f" · {formatting.count(times)}"),
            formatting.count(served[route, name]),
            formatting.percent(chances.get(targets[name].provider or "")),
        )
        for route, choices in first_choices(attempts).items()
        for name, times in choices.items()
    ]
    if not rows:
        return Markup()
    return table(
        ("Requested", "Target", "Tried first", "Served", "Probability by the rules"),
        rows,
        note="Your own requests in this range. The probability is that of the first plan above, for targets that are "
        "pinned to a provider; a route may have another strategy.",
    )


def skipped_endpoints(plan: Plan) -> Markup:
    """The endpoints that cannot serve the request, each with its reasons."""
    rows = [(provider(rejected.endpoint), "; ".join(rejected.reasons)) for rejected in plan.excluded]
    reasons = table(("", Column("", "left wrap")), rows, kind="out")
    return Markup('<div class="u-card"><div class="u u-title">Skipped</div>{}</div>').format(reasons)
