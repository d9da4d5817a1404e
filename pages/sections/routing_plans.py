"""The parts of the routing page: what is asked for, the plans side by side, and how they are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

import streamlit as st

from pages.components import formatting, theme
from pages.components.number_inputs import numeric
from pages.queries import cache, traffic
from pages.queries.time_range import TimeRange
from routing.selection import (
    PARAMETERS,
    Candidate,
    Data,
    EndpointPerformance,
    Plan,
    Rejected,
    RoutingRequest,
    Sort,
    Strategy,
    plan,
)
from stats.routing_inputs import measured, reported
from stats.traffic import first_choices
from store.schema import Endpoint

HEAD = theme.head(
    "Routing",
    "Who would serve this request, in which order, at what cost and after what time. The rules are the router's "
    "documented ones; the numbers are what it reports, beside what our own probes measured",
)
STRATEGIES: dict[str, tuple[Strategy, Sort | None]] = {
    "What a good response costs": ("good_response", None),
    "Price": ("price", None),
    "Sort: cheapest": ("price", "price"),
    "Sort: fastest output": ("price", "throughput"),
    "Sort: first token soonest": ("price", "latency"),
}
STRATEGY_HELP = (
    "**What a good response costs**: price with its cache share, divided by the chance of success, plus the time at "
    "what it is worth to you; the chance to be picked falls with the square of that (the router does not publish its "
    "curve). **Price**: endpoints without a recent outage first, with a chance that falls with the square of the "
    "price. A **sort** switches chance off."
)
DATA: dict[str, Data] = {"Any": "any", "No training on prompts": "no_training", "Keeps nothing": "zero_retention"}


@dataclass(frozen=True)
class RoutingForm:
    """What the controls say."""

    wish: RoutingRequest
    strategy: Strategy
    sort: Sort | None
    usd_per_hour: float


@dataclass(frozen=True)
class PlanCard:
    """One plan and how it is headed."""

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
    """The request's size and needs, in the URL."""
    first, second, third, fourth = st.columns(4)
    with first:
        prompt = numeric(st.number_input, "Prompt, tokens", 0, 10_000_000, 2_000, step=500, key="prompt")
        completion = numeric(st.number_input, "Output, tokens", 0, 1_000_000, 500, step=100, key="output")
    with second:
        cached = numeric(
            st.slider,
            "Of the prompt, from a cache",
            0,
            100,
            0,
            step=5,
            format="%d%%",
            key="cached",
            help="What the provider has seen shortly before costs less where it has a price for that.",
        )
        usd_per_hour = numeric(
            st.number_input,
            "Worth of your time, USD per hour",
            0.0,
            10_000.0,
            0.0,
            step=5.0,
            key="hour",
            help="What an hour of waiting for replies costs you: 0 for a batch at night, a salary for a chat.",
        )
    with third:
        needs = st.multiselect(
            "Needs", [*PARAMETERS, "images"], key="needs", bind="query-params", placeholder="nothing special"
        )
        data = st.selectbox("Data policy", list(DATA), key="data", bind="query-params")
    with fourth:
        dear_in = numeric(
            st.number_input, "At most, USD per million in", 0.0, None, None, key="most_in", placeholder="any"
        )
        dear_out = numeric(
            st.number_input, "At most, USD per million out", 0.0, None, None, key="most_out", placeholder="any"
        )
    chosen = st.segmented_control(
        "Strategy",
        list(STRATEGIES),
        default=next(iter(STRATEGIES)),
        required=True,
        key="strategy",
        bind="query-params",
        help=STRATEGY_HELP,
    )
    strategy, sort = STRATEGIES[chosen or next(iter(STRATEGIES))]
    wish = RoutingRequest(
        prompt_tokens=int(prompt),
        completion_tokens=int(completion),
        cached_share=cached / 100,
        parameters=tuple(PARAMETERS[need] for need in needs if need in PARAMETERS),
        has_images="images" in needs,
        most_usd_per_million_input=dear_in,
        most_usd_per_million_output=dear_out,
        data=DATA[data],
    )
    return RoutingForm(wish, strategy, sort, float(usd_per_hour))


def plans(
    url: str, model: str, endpoints: list[Endpoint], asked: RoutingForm, window: TimeRange, now: int
) -> list[PlanCard]:
    """The plan by the router's own report, and the one by what our probes met in this window."""
    said = {tag: reported(stats) for tag, stats in cache.reported(url, model).items()}
    ours = _measured(url, model, endpoints, window)
    takes = next((m.input_modalities or "" for m in cache.models(url) if m.model == model), "text").split(",")

    def planned(records: dict[str, EndpointPerformance]) -> Plan:
        return plan(
            endpoints,
            records,
            asked.wish,
            now,
            input_modalities=takes,
            strategy=asked.strategy,
            sort=asked.sort,
            usd_per_hour=asked.usd_per_hour,
        )

    none = "" if ours else "; no probe met any of them, so the price alone decides"
    return [
        PlanCard("reported", "By the router's report", "of the last minutes", planned(said)),
        PlanCard("measured", "By our own probes", f"{window.words}{none}", planned(ours)),
    ]


def _measured(url: str, model: str, endpoints: list[Endpoint], window: TimeRange) -> dict[str, EndpointPerformance]:
    names = tuple(sorted({target.name for target in cache.targets(url) if target.model == model}))
    met = measured(cache.routes(url, names, cache.rounded(window.since), cache.rounded(window.until) + 5_000))
    return {row.tag: met[row.provider] for row in endpoints if row.provider in met}


def drawn(found: Plan) -> str:
    """What the request costs and takes on average, and the endpoints in their order."""
    if not found.offers:
        return '<div class="u">Nobody would serve this request.</div>'
    seconds = found.expected_seconds
    takes = f"{formatting.seconds(seconds)} until the reply is over" if seconds is not None else "its time is not known"
    when = "at the first attempt" if found.is_sure else "on average at the first attempt"
    heads = ("Provider", "Rank" if found.is_sure else "Chance", "This request", "Takes", "Good response", "Succeeds")
    head = "".join(f"<th>{text}</th>" for text in heads)
    rows = "".join(_row(number, offer) for number, offer in enumerate(found.offers, 1))
    return (
        f'<div class="u"><b>{formatting.cost(found.expected_usd)}</b> and {takes}, {when}<div class="u-scroll" '
        f'style="margin-top:8px"><table class="u-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></div>"
    )


def _row(number: int, offer: Candidate) -> str:
    record, endpoint = offer.record, offer.endpoint
    outage = '<span class="more">an outage just now</span>' if record.had_outage else ""
    name = f"<b>{escape(endpoint.provider or endpoint.tag)}</b> {_quiet(endpoint.quantization or '')}{outage}"
    cells = (
        f"{number}." if offer.chance is None else formatting.percent(offer.chance),
        formatting.cost(offer.cost_usd),
        formatting.seconds(offer.seconds) if offer.seconds is not None else _quiet("not known"),
        formatting.cost(offer.good_response_usd),
        formatting.percent(record.success) if record.success is not None else _quiet("not known"),
    )
    return f"<tr><td>{name}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def relayed(url: str, model: str, plans: list[PlanCard], window: TimeRange) -> str:
    """What the relay did with this model's targets beside what the rules say; nothing where nothing passed to them."""
    targets = {target.name: target for target in cache.targets(url) if target.model == model}
    since, until = cache.rounded(window.since), cache.rounded(window.until) + 5_000
    found = [one for one in traffic.attempts(url, since, until) if one.target in targets]
    chances = {offer.endpoint.provider or "": offer.chance for card in plans[:1] for offer in card.plan.offers}
    chances |= {offer.endpoint.tag: offer.chance for card in plans[:1] for offer in card.plan.offers}
    served = Counter((one.route, one.target) for one in found if one.served)
    body = ""
    for route, choices in first_choices(found).items():
        total = sum(choices.values())
        for name, times in choices.items():
            chance = chances.get(targets[name].provider or "")
            body += (
                f"<tr><td><b>{escape(route)}</b></td><td>{escape(name)}</td>"
                f"<td>{formatting.percent(times / total)} {_quiet(f'· {formatting.count(times)}')}</td>"
                f"<td>{formatting.count(served[route, name])}</td>"
                f"<td>{formatting.percent(chance) if chance is not None else formatting.DASH}</td></tr>"
            )
    if not body:
        return ""
    head = "<tr><th>Asked for</th><th>Target</th><th>Tried first</th><th>Served</th><th>Chance by the rules</th></tr>"
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead><tbody>{body}</tbody></table>'
        '<div class="q" style="margin-top:8px">Your own requests in this range. The chance is that of the first plan '
        "above, for targets that are pinned to a provider; a route may have another strategy.</div></div>"
    )


def excluded(found: Plan) -> str:
    """The endpoints that may not serve it, each with its reasons."""
    rows = "".join(_out(out) for out in found.excluded)
    return (
        f'<div class="u u-card"><div class="u-title">Left out</div><div class="u-scroll">'
        f'<table class="u-table"><tbody>{rows}</tbody></table></div></div>'
    )


def _out(out: Rejected) -> str:
    name = f"<b>{escape(out.endpoint.provider or out.endpoint.tag)}</b> {_quiet(out.endpoint.quantization or '')}"
    return f'<tr class="out"><td>{name}</td><td class="left wrap">{escape("; ".join(out.reasons))}</td></tr>'


def _quiet(text: str) -> str:
    return f'<span class="q">{escape(text)}</span>'
