"""Tokens really processed: a model's activity by version, the public apps, and the user's own account."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from charts import tokens
from pages.components import formatting, theme
from pages.components.ranking import ranking
from pages.components.table import NOTHING, table
from pages.queries import cache
from pages.queries.time_range import TimeRange
from stats.usage import ACCOUNT, PUBLIC_APPS, PUBLIC_MODELS, by_day, shares, totals
from store.clock import DAY_MS
from store.schema import ALL_TOGETHER, Model, Usage

AT_LEAST_DAYS = 30
TOP_APPS = 10
PUBLIC, OWN = "Everyone", "Your account"
TOKENS, SHARE = "Tokens", "Share"
SOURCE = Markup(
    'Source: <a href="https://openrouter.ai/rankings" target="_blank" rel="noopener">OpenRouter rankings</a>, '
    '<a href="https://creativecommons.org/licenses/by/4.0/" target="_blank" rel="noopener">CC BY 4.0</a>.'
)
NO_ACCOUNT = Markup(
    "To see your own usage, set <code>OPENROUTER_MANAGEMENT_KEY</code> where the collector runs. OpenRouter reports "
    "the last 30 completed days; Uptoken keeps what it has recorded."
)


UNLISTED = Markup("OpenRouter publishes only each day's 50 largest model variants; this model was not one of them. ")


def load_usage(url: str, model: str, window: TimeRange) -> list[Usage]:
    """The usage of a model (or of `all`) by day, of the range or at least of the last 30 days."""
    until = window.until - window.until % DAY_MS + DAY_MS
    since = min(window.since - window.since % DAY_MS, until - (AT_LEAST_DAYS + 1) * DAY_MS)
    return cache.usage(url, model, since, until)


def activity(url: str, model: Model, window: TimeRange) -> None:
    """Tokens per day by version or provider, as bars or as shares."""
    rows = load_usage(url, model.canonical_slug or model.model, window)
    with theme.card(
        "activity", "Activity", "tokens processed per day (UTC), probes excluded", charts=["activity_chart"]
    ):
        with st.container(horizontal=True):
            is_own = _switch("Whose", (PUBLIC, OWN), key="activity_of") == OWN
            as_share = _switch("As", (TOKENS, SHARE), key="activity_as") == SHARE
        source, part = (ACCOUNT, "provider") if is_own else (PUBLIC_MODELS, "variant")
        usage = by_day([row for row in rows if row.source == source], part)
        if usage.days:
            theme.chart(
                tokens.by_part(shares(usage) if as_share else usage, theme.palette(), as_share=as_share),
                key="activity_chart",
                alt=f"Tokens per day of {model.name or model.model}, by {part}",
            )
        st.html(NOTHING.format(_note(is_own, not usage.days)))


def _switch(label: str, options: tuple[str, str], *, key: str) -> str | None:
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )


def _note(is_own: bool, is_empty: bool) -> str:
    if is_own:
        return NO_ACCOUNT if is_empty else "By provider, as OpenRouter's activity report states it for this account."
    if is_empty:
        return UNLISTED + SOURCE
    return Markup("By version. On days without a bar the model was not among the 50 largest. ") + SOURCE


def apps(url: str, model: Model, window: TimeRange) -> None:
    """OpenRouter's largest apps over all models, beside the user's own use of this model."""
    left, right = st.columns(2)
    public = [row for row in load_usage(url, ALL_TOGETHER, window) if row.source == PUBLIC_APPS]
    own = [row for row in load_usage(url, model.canonical_slug or model.model, window) if row.source == ACCOUNT]
    note = "OpenRouter's largest, over all models: it does not report them by model"
    with left, theme.card("apps", "Apps", note, figure="OpenRouter's largest apps, by tokens"):
        st.html(_apps(public))
    with right, theme.card("own", "Your use of this model", "by provider, as OpenRouter reports it for your account"):
        st.html(_own(own))


def _apps(rows: list[Usage]) -> Markup:
    largest = totals(rows, "app")[:TOP_APPS]
    if not largest:
        return NOTHING.format(Markup("No data for this period.<br>") + SOURCE)
    note = Markup("Tokens over {}. {}").format(_days(rows), SOURCE)
    return ranking([(total.name, total.tokens) for total in largest], note)


def _own(rows: list[Usage]) -> Markup:
    providers = totals(rows, "provider")
    if not providers:
        return NOTHING.format(NO_ACCOUNT)
    return table(
        ("Provider", "Tokens", "Requests", "Cost"),
        [
            (
                total.name,
                formatting.large(total.tokens),
                formatting.count(total.requests),
                None if total.cost_usd is None else formatting.money(total.cost_usd),
            )
            for total in providers
        ],
        note=f"Over {_days(rows)}.",
    )


def _days(rows: list[Usage]) -> str:
    return formatting.plural(len({row.day for row in rows}), "day")
