"""The model page's parts on tokens really processed: activity by version, apps, and one's own account."""

from __future__ import annotations

from html import escape

import streamlit as st

from charts import tokens
from pages.components import formatting, theme
from pages.queries import cache
from pages.queries.time_range import TimeRange
from stats.usage import ACCOUNT, PUBLIC_APPS, PUBLIC_MODELS, by_day, shares, totals
from store.clock import DAY_MS
from store.schema import ALL_TOGETHER, Model, Usage

AT_LEAST_DAYS = 30
TOP_APPS = 10
PUBLIC, OWN = "Everybody", "Your account"
TOKENS, SHARE = "Tokens", "Share"
SOURCE = (
    'Source: <a href="https://openrouter.ai/rankings" target="_blank" rel="noopener">OpenRouter rankings</a>, '
    '<a href="https://creativecommons.org/licenses/by/4.0/" target="_blank" rel="noopener">CC BY 4.0</a>.'
)


def told(url: str, model: str, window: TimeRange) -> list[Usage]:
    """The usage of a model (or of `all`) by day, of the window or at least of the last 30 days."""
    until = window.until - window.until % DAY_MS + DAY_MS
    since = min(window.since - window.since % DAY_MS, until - (AT_LEAST_DAYS + 1) * DAY_MS)
    return cache.usage(url, model, since, until)


def activity(url: str, model: Model, window: TimeRange) -> None:
    """Tokens per day by version or provider, as bars or as shares."""
    rows = told(url, model.canonical_slug or model.model, window)
    with theme.card("activity", "Activity", "tokens really processed per day (UTC), probes are not in it"):
        with st.container(horizontal=True):
            whose = st.segmented_control(
                "Whose",
                [PUBLIC, OWN],
                default=PUBLIC,
                required=True,
                key="activity_of",
                bind="query-params",
                label_visibility="collapsed",
            )
            shown_as = st.segmented_control(
                "As",
                [TOKENS, SHARE],
                default=TOKENS,
                required=True,
                key="activity_as",
                bind="query-params",
                label_visibility="collapsed",
            )
        wanted, part = (ACCOUNT, "provider") if whose == OWN else (PUBLIC_MODELS, "variant")
        found = by_day([row for row in rows if row.source == wanted], part)
        theme.chart(
            tokens.by_part(shares(found) if shown_as == SHARE else found, theme.palette(), as_share=shown_as == SHARE),
            key="activity_chart",
            alt=f"Tokens per day of {model.name or model.model}, by {part}",
        )
        st.html(f'<div class="u q">{_note(whose == OWN, not found.days)}</div>')


def _note(own: bool, empty: bool) -> str:
    if own and empty:
        return (
            "One's own use is told to who has a management key: set <code>OPENROUTER_MANAGEMENT_KEY</code> where the "
            "collector runs. The router tells the last 30 completed days; what is kept here stays."
        )
    if own:
        return "By provider, as the router's activity tells it of this account."
    if empty:
        return f"The router tells the 50 largest versions of a day; this model was not among them. {SOURCE}"
    return f"By version. A day without a bar is one on which it was not among the 50 that are told. {SOURCE}"


def apps(url: str, model: Model, window: TimeRange) -> None:
    """The router's largest apps, which it tells for all models together, beside one's own use of this model."""
    left, right = st.columns(2)
    public = [row for row in told(url, ALL_TOGETHER, window) if row.source == PUBLIC_APPS]
    own = [row for row in told(url, model.canonical_slug or model.model, window) if row.source == ACCOUNT]
    with left, theme.card("apps", "Apps", "the router's largest, over all models: it does not tell them for one"):
        st.html(_apps(public))
    with right, theme.card("own", "Your use of this model", "by provider, as the router tells your account"):
        st.html(_own(own))


def _apps(rows: list[Usage]) -> str:
    found = totals(rows, "app")[:TOP_APPS]
    if not found:
        return f'<div class="u q">Nothing was told of this time.<br>{SOURCE}</div>'
    most = max(total.tokens for total in found) or 1
    days = len({row.day for row in rows})
    lines = "".join(
        f'<div class="u-rank"><span>{number}. {escape(total.name)}</span>'
        f'<span class="bar"><i style="width:{total.tokens / most * 100:.1f}%"></i></span>'
        f"<span>{formatting.large(total.tokens)}</span></div>"
        for number, total in enumerate(found, 1)
    )
    return f'<div class="u">{lines}<div class="q" style="margin-top:8px">Tokens over {days} days. {SOURCE}</div></div>'


def _own(rows: list[Usage]) -> str:
    found = totals(rows, "provider")
    if not found:
        return f'<div class="u q">{_note(True, True)}</div>'
    body = "".join(
        f"<tr><td>{escape(total.name)}</td><td>{formatting.large(total.tokens)}</td>"
        f"<td>{formatting.DASH if total.requests is None else formatting.count(total.requests)}</td>"
        f"<td>{formatting.DASH if total.cost_usd is None else formatting.money(total.cost_usd)}</td></tr>"
        for total in found
    )
    head = "<tr><th>Provider</th><th>Tokens</th><th>Requests</th><th>Cost</th></tr>"
    days = len({row.day for row in rows})
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead><tbody>{body}</tbody></table>'
        f'<div class="q" style="margin-top:8px">Over {days} days.</div></div>'
    )
