"""The model page's part on what passed to it through the relay, beside what probes measured."""

from __future__ import annotations

from html import escape

import streamlit as st

from charts import tokens
from pages.components import formatting, theme
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


def card(url: str, target: Target, history: TargetHistory, since: int, until: int) -> None:
    """All of it; nothing for a target that nothing ever passed to."""
    if target.name not in traffic.targets(url):
        return
    found = traffic.view(url, target.name, since, until)
    with theme.card("traffic", "Traffic", "real requests through your relay, at all locations; probes are not in it"):
        st.html(comparison(found, history))
    left, right = st.columns([2, 1])
    with left, theme.card("own_tokens", "Your tokens", "per day (UTC), through your relay"):
        _tokens(target, found.usage)
    with right, theme.card("own_apps", "Your apps", "by the HTTP-Referer of their requests"):
        st.html(apps(found.usage))
    with theme.card("own_fallbacks", "Fallbacks of your requests", "who was tried, one after the other"):
        st.html(fallbacks(found))
    if kinds := [kind for kind in error_kinds(found.attempts) if kind.target == target.name]:
        with theme.card("own_errors", "Errors in traffic", "attempts at this target, by kind"):
            st.html(errors(kinds))


def comparison(found: TrafficView, history: TargetHistory) -> str:
    """The numbers of traffic and those of probes, side by side."""
    counts, probes, profile = found.counts, history.deciding, history.target.profile
    served = totals(found.attempts)
    rows = [
        ("Requests", f"{formatting.count(counts.requests)} {_quiet('attempts')}", formatting.probes(probes.requests)),
        ("Uptime", _traffic_uptime(found), _or_dash(history.uptime().share)),
        ("Success rate", _or_dash(counts.success_rate().share), _or_dash(history.success_rate().share)),
        ("TTFT p50 / p95", _ms(counts.percentiles("ttft_ms")), _ms(history.percentiles(profile, "ttft_ms"))),
        ("Total time p50 / p95", _ms(counts.percentiles("total_ms")), _ms(history.percentiles(profile, "total_ms"))),
        (
            "Tokens per second p50",
            _rate(counts.percentiles("tokens_per_second")),
            _rate(history.percentiles("throughput", "tokens_per_second")),
        ),
        ("Cost", formatting.cost(counts.cost_usd), formatting.cost(probes.cost_usd)),
        ("Time that the relay added, p50 / p99", _added(served.added_ms), formatting.DASH),
    ]
    body = "".join(f"<tr><td><b>{label}</b></td><td>{own}</td><td>{probed}</td></tr>" for label, own, probed in rows)
    head = "<tr><th></th><th>Traffic</th><th>Probes</th></tr>"
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead>'
        f'<tbody>{body}</tbody></table><div class="q" style="margin-top:8px">Uptime from traffic is counted as '
        "OpenRouter does: the share of minutes in which at least 80% of the attempts succeeded, of minutes with 10 or "
        f"more. Uptime from probes is about time.{_cut(found)}</div></div>"
    )


def _traffic_uptime(found: TrafficView) -> str:
    uptime = found.uptime
    if uptime.share is None:
        return f"{formatting.DASH} {_quiet('no minute with 10 attempts')}"
    return f"{formatting.percent(uptime.share)} {_quiet(f'of {formatting.count(uptime.minutes)} minutes')}"


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


def apps(usage: list[Usage]) -> str:
    """The apps with the most tokens."""
    found = usage_totals(usage, "app")[:TOP_APPS]
    if not found:
        return '<div class="u q">No request in this range.</div>'
    most = max(total.tokens for total in found) or 1
    lines = "".join(
        f'<div class="u-rank"><span>{number}. {escape(total.name)}</span>'
        f'<span class="bar"><i style="width:{total.tokens / most * 100:.1f}%"></i></span>'
        f"<span>{formatting.large(total.tokens)}</span></div>"
        for number, total in enumerate(found, 1)
    )
    return f'<div class="u">{lines}<div class="q" style="margin-top:8px">Tokens in this range.</div></div>'


def fallbacks(found: TrafficView) -> str:
    """How many requests needed more than one attempt, and the chains."""
    counted, listed = totals(found.attempts), chains(found.attempts)
    if not counted.requests:
        return '<div class="u q">No request in this range.</div>'
    said = (
        f"{formatting.plural(counted.requests, 'request')}: {formatting.count(counted.served)} served, "
        f"{formatting.count(counted.fell_back)} of them after a fallback; {formatting.count(counted.failed)} failed, "
        f"{formatting.count(counted.cancelled)} cancelled by their client.{_cut(found)}"
    )
    if not listed:
        return f'<div class="u q">{said}</div>'
    body = "".join(_chain(chain) for chain in listed[:MOST_CHAINS])
    head = "<tr><th>Tried</th><th>Requests</th><th>Served</th><th>The first attempt ended with</th></tr>"
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead><tbody>{body}</tbody></table>'
        f'<div class="q" style="margin-top:8px">{said}</div></div>'
    )


def _chain(chain: Chain) -> str:
    names = " → ".join(escape(name) for name in chain.targets)
    reasons = ", ".join(
        f"{escape(formatting.outcome(name))} {_quiet(f'{times}×')}" for name, times in chain.reasons.most_common()
    )
    return (
        f'<tr><td class="wrap"><b>{names}</b></td><td>{formatting.count(chain.requests)}</td>'
        f'<td>{formatting.percent(chain.served / chain.requests)}</td><td class="left wrap">{reasons}</td></tr>'
    )


def errors(kinds: list[ErrorKind]) -> str:
    """What went wrong, by outcome, status and code."""
    body = "".join(
        f"<tr><td><b>{escape(formatting.outcome(kind.outcome))}</b></td>"
        f"<td>{formatting.DASH if kind.http_status is None else kind.http_status}</td>"
        f'<td class="left">{escape(kind.code or formatting.DASH)}</td><td>{formatting.count(kind.attempts)}</td></tr>'
        for kind in kinds
    )
    head = '<tr><th>Outcome</th><th>HTTP</th><th class="left">Code</th><th>Attempts</th></tr>'
    return f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _cut(found: TrafficView) -> str:
    if not found.is_cut:
        return ""
    return f" Requests are of the newest {formatting.count(traffic.MOST_ATTEMPTS)} attempts of the range."


def _ms(found: Percentiles) -> str:
    if found.p50 is None:
        return formatting.DASH
    both = f"{formatting.milliseconds(found.p50)} / {formatting.milliseconds(found.p95)} ms"
    return f"{both} {_quiet(f'of {formatting.count(found.count)}')}"


def _added(found: Percentiles) -> str:
    if found.p50 is None or found.p99 is None:
        return formatting.DASH
    return f"{found.p50:.1f} / {found.p99:.1f} ms"


def _rate(found: Percentiles) -> str:
    return formatting.DASH if found.p50 is None else formatting.rate(found.p50)


def _or_dash(share: float | None) -> str:
    return formatting.DASH if share is None else formatting.percent(share)


def _quiet(text: str) -> str:
    return f'<span class="q">{escape(text)}</span>'
