"""What passed to a model through the relay, beside what probes measured."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from charts import tokens
from pages.components import formatting, theme
from pages.components.ranking import ranking
from pages.components.table import NOTHING, Column, bold, quiet, table
from pages.queries import traffic
from pages.queries.target_history import TargetHistory
from pages.queries.traffic import TrafficView
from stats.samples import Percentiles
from stats.traffic import Chain, ErrorKind, chains, error_kinds, totals
from stats.usage import by_day
from stats.usage import totals as usage_totals
from store.schema import Target, Usage

PARTS = {"By version": "variant", "By app": "app"}
TOP_APPS = 10
MOST_CHAINS = 10
NO_TRAFFIC = NOTHING.format(
    Markup("No request has passed to this target through the relay (<code>python -m collectors relay</code>).")
)


def cards(url: str, target: Target, history: TargetHistory, since: int, until: int) -> None:
    """All of it; a line for a target that has no traffic at all."""
    if target.name not in traffic.targets(url):
        st.html(NO_TRAFFIC)
        return
    view = traffic.view(url, target.name, since, until)
    with theme.card("traffic", "Traffic", "real requests through your relay, at all locations; probes excluded"):
        st.html(comparison(view, history))
    left, right = st.columns([2, 1])
    with (
        left,
        theme.card("own_tokens", "Your tokens", "per day (UTC), through your relay", charts=["own_tokens_chart"]),
    ):
        _tokens(target, view.usage)
    figure = f"Your apps that use {target.name}, by tokens"
    with right, theme.card("own_apps", "Your apps", "by the HTTP-Referer of their requests", figure=figure):
        st.html(apps(view.usage))
    with theme.card("own_fallbacks", "Fallbacks of your requests", "the targets that were tried, in order"):
        st.html(fallbacks(view))
    if kinds := [kind for kind in error_kinds(view.attempts) if kind.target == target.name]:
        with theme.card("own_errors", "Errors in traffic", "attempts at this target, by kind"):
            st.html(errors(kinds))


def comparison(view: TrafficView, history: TargetHistory) -> Markup:
    """The numbers of traffic and those of probes, side by side."""
    counts, probes, profile = view.counts, history.deciding, history.target.profile
    rows = [
        ("Attempts", formatting.count(counts.requests), formatting.count(probes.requests)),
        ("Uptime", _traffic_uptime(view), formatting.percent(history.uptime().share)),
        (
            "Success rate",
            formatting.percent(counts.success_rate().share),
            formatting.percent(history.success_rate().share),
        ),
        ("TTFT p50 / p95", _ms(view.percentiles["ttft_ms"]), _ms(history.percentiles(profile, "ttft_ms"))),
        (
            "Total time p50 / p95",
            _ms(view.percentiles["total_ms"]),
            _ms(history.percentiles(profile, "total_ms")),
        ),
        (
            "Tokens per second p50",
            formatting.rate(view.percentiles["tokens_per_second"].p50),
            formatting.rate(history.percentiles("throughput", "tokens_per_second").p50),
        ),
        ("Cost", formatting.cost(counts.cost_usd), formatting.cost(probes.cost_usd)),
        ("Added by the relay p50 / p99", _added(totals(view.attempts).added_ms), None),
    ]
    return table(
        ("", "Traffic", "Probes"),
        [(bold(label), own, probed) for label, own, probed in rows],
        note="Uptime from traffic is counted as OpenRouter does: the share of minutes with at least 10 attempts in "
        f"which at least 80% of them succeeded. Uptime from probes is about time.{_cut(view)}",
    )


def _traffic_uptime(view: TrafficView) -> str:
    if view.uptime.share is None:
        return formatting.DASH + quiet(" no minute with 10 attempts")
    minutes = formatting.plural(view.uptime.minutes, "minute")
    return formatting.percent(view.uptime.share) + quiet(f" of {minutes}")


def _tokens(target: Target, usage: list[Usage]) -> None:
    chosen = st.segmented_control(
        "By",
        list(PARTS),
        default=next(iter(PARTS)),
        required=True,
        key="own_tokens_by",
        bind="query-params",
        label_visibility="collapsed",
    )
    part = PARTS[chosen or next(iter(PARTS))]
    theme.chart(
        tokens.by_part(by_day(usage, part), theme.palette()),
        key="own_tokens_chart",
        alt=f"Tokens per day of {target.name} through the relay, by {part}",
    )


def apps(usage: list[Usage]) -> Markup:
    """The apps with the most tokens."""
    largest = usage_totals(usage, "app")[:TOP_APPS]
    if not largest:
        return NOTHING.format("No requests in this range.")
    return ranking([(total.name, total.tokens) for total in largest], "Tokens in this range.")


def fallbacks(view: TrafficView) -> Markup:
    """How many requests needed more than one attempt, and the chains."""
    counted, listed = totals(view.attempts), chains(view.attempts)
    if not counted.requests:
        return NOTHING.format("No requests in this range.")
    summary = (
        f"{formatting.plural(counted.requests, 'request')}: {formatting.count(counted.served)} served, "
        f"{formatting.count(counted.fell_back)} of them after a fallback; {formatting.count(counted.failed)} failed, "
        f"{formatting.count(counted.cancelled)} cancelled by their client.{_cut(view)}"
    )
    if not listed:
        return NOTHING.format(summary)
    columns = (
        Column("Tried", "wrap"),
        "Requests",
        "Served",
        Column("Outcome of the first attempt", "left wrap"),
    )
    return table(columns, map(_chain, listed[:MOST_CHAINS]), note=summary)


def _chain(chain: Chain) -> tuple[str, ...]:
    reasons = Markup(", ").join(
        Markup("{} {}").format(formatting.outcome(name), quiet(f"{times}×"))
        for name, times in chain.reasons.most_common()
    )
    return (
        bold(" → ".join(chain.targets)),
        formatting.count(chain.requests),
        formatting.percent(chain.served / chain.requests),
        reasons,
    )


def errors(kinds: list[ErrorKind]) -> Markup:
    """What went wrong, by outcome, status and code."""
    return table(
        ("Outcome", "HTTP", Column("Code", "left"), "Attempts"),
        [
            (
                bold(formatting.outcome(kind.outcome)),
                None if kind.http_status is None else str(kind.http_status),
                kind.code,
                formatting.count(kind.attempts),
            )
            for kind in kinds
        ],
    )


def _cut(view: TrafficView) -> str:
    if not view.is_cut:
        return ""
    return f" Requests are of the newest {formatting.count(traffic.MOST_ATTEMPTS)} attempts of the range."


def _ms(measured: Percentiles) -> str | None:
    if measured.p50 is None:
        return None
    both = f"{formatting.milliseconds(measured.p50)} / {formatting.milliseconds(measured.p95)} ms"
    return Markup("{} {}").format(both, quiet(f"of {formatting.count(measured.count)}"))


def _added(added: Percentiles) -> str | None:
    return None if added.p50 is None or added.p99 is None else f"{added.p50:.1f} / {added.p99:.1f} ms"
