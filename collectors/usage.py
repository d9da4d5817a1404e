"""Tokens processed by day: the router's public figures by model and by app, and the account's own activity.

The public figures need a key and allow 30 requests a minute and 500 a day; a run makes about ten. They list the 50
largest model variants of a day and `other`, so a small model may never appear. They are licensed CC BY 4.0, and every
page that shows them names their source. A day that is read again is replaced, not added to.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from pydantic import BaseModel

from collectors.contract import CollectorContext, Job, PartlyError, Result, unless_bad
from collectors.http.get_json import get_json
from collectors.http.redaction import root_cause, safe_error
from collectors.router import key_header
from collectors.sources import openrouter
from collectors.sources.openrouter import STANDARD, SentActivity, SentApp, SentRanking, midnight, without_variant
from settings.targets import Config
from store.schema import ALL_TOGETHER, Usage

MODELS, APPS, ACCOUNT = "openrouter_models", "openrouter_apps", "openrouter_account"
OTHER = "other"
DAYS = 30
NEW_APP_DAYS = 8
"""Apps are totals over the requested days, so each day costs a request; missing days are filled over a few runs."""
UNSETTLED_DAYS = 2
"""The newest days are read again: their figures may still grow."""
APPS_A_DAY = 50

Sent = TypeVar("Sent", bound=BaseModel)


def every_s(config: Config) -> float | None:
    """Where there is a key."""
    return config.collector.usage_every if key_header(config) or config.management_key is not None else None


def plan_jobs(context: CollectorContext) -> list[Job]:
    """Two jobs for the public figures when a target has a key, and one for the account with its management key."""
    headers, management_key = key_header(context.config), context.config.management_key
    base_url = context.config.openrouter.base_url
    newest = datetime.fromtimestamp(context.now / 1_000, UTC).date() - timedelta(days=1)
    jobs = []
    if headers:
        days = app_days(newest, context.known_days(APPS, midnight(newest - timedelta(days=DAYS))))
        jobs.append(Job("models", lambda _stop: _convert(models_of, _fetch_rankings(base_url, headers, newest))))
        jobs.append(Job("apps", lambda stop: _fetch_apps(base_url, headers, days, stop)))
    if management_key is not None:
        key = {"Authorization": f"Bearer {management_key}"}
        jobs.append(
            Job("account", lambda _stop: _convert(account_of, _fetch(SentActivity, f"{base_url}/activity", key)))
        )
    return jobs


def app_days(newest: date, known: set[int]) -> list[date]:
    """The days to ask for: the newest ones again, and some of those of the last month that are missing."""
    days = [newest - timedelta(days=back) for back in range(DAYS)]
    missing = [day for day in days[UNSETTLED_DAYS:] if midnight(day) not in known]
    return days[:UNSETTLED_DAYS] + missing[:NEW_APP_DAYS]


def _fetch_rankings(base_url: str, headers: dict[str, str], newest: date) -> tuple[list[SentRanking], int]:
    since = newest - timedelta(days=DAYS - 1)
    return _fetch(SentRanking, f"{base_url}/datasets/rankings-daily?start_date={since}&end_date={newest}", headers)


def _fetch_apps(base_url: str, headers: dict[str, str], days: Iterable[date], stop: threading.Event) -> list[Result]:
    results: list[Result] = []
    all_bad = 0
    for day in days:
        if stop.is_set():
            break
        query = f"start_date={day}&end_date={day}&limit={APPS_A_DAY}"
        try:
            sent, bad = _fetch(SentApp, f"{base_url}/datasets/app-rankings?{query}", headers)
        except (OSError, ValueError) as problem:  # the days that came are kept
            raise PartlyError(f"{day}: {safe_error(root_cause(problem))}", results) from problem
        results += [Result(row) for row in apps_of(day, sent)]
        all_bad += bad
    return unless_bad(results, all_bad)


def _fetch(kind: type[Sent], url: str, headers: dict[str, str]) -> tuple[list[Sent], int]:
    return openrouter.validate(kind, openrouter.entries(get_json(url, headers), "data"))


def _convert(convert: Callable[[list[Sent]], list[Usage]], response: tuple[list[Sent], int]) -> list[Result]:
    sent, bad = response
    return unless_bad([Result(row) for row in convert(sent)], bad)


# -- pure


def models_of(sent: Iterable[SentRanking]) -> list[Usage]:
    """The rows of a ranking of models: a row a day and variant, and one a day for all others."""
    rows = []
    for entry in sent:
        model, variant = without_variant(entry.model_permaslug)
        if entry.model_permaslug == OTHER:
            variant = ALL_TOGETHER
        rows.append(Usage(MODELS, midnight(entry.date), model=model, variant=variant, tokens=entry.total_tokens))
    return rows


def apps_of(day: date, sent: Iterable[SentApp]) -> list[Usage]:
    """The rows of a day's ranking of apps; two apps of one name are shown as one, so they count together."""
    tokens: dict[str, int] = defaultdict(int)
    counts: dict[str, int | None] = {}
    for entry in sent:
        tokens[entry.app_name] += entry.total_tokens
        before = counts.get(entry.app_name, 0)
        known = before is not None and entry.total_requests is not None
        counts[entry.app_name] = (before or 0) + (entry.total_requests or 0) if known else None
    return [Usage(APPS, midnight(day), app=name, tokens=total, requests=counts[name]) for name, total in tokens.items()]


def account_of(sent: Iterable[SentActivity]) -> list[Usage]:
    """The rows of an account's activity: its endpoints' figures added up by provider. The cost is what the router took
    plus what was paid to a provider with a key of one's own.
    """
    groups: dict[tuple[date, str, str, str], list[SentActivity]] = defaultdict(list)
    for entry in sent:
        model, variant = without_variant(entry.model_permaslug)
        if variant == STANDARD:
            _, variant = without_variant(entry.model)
        groups[entry.date, model, variant, entry.provider_name].append(entry)
    return [
        Usage(
            ACCOUNT,
            midnight(day),
            model=model,
            variant=variant,
            provider=provider,
            tokens=sum(entry.prompt_tokens + entry.completion_tokens for entry in same),
            prompt_tokens=sum(entry.prompt_tokens for entry in same),
            completion_tokens=sum(entry.completion_tokens for entry in same),
            reasoning_tokens=sum(entry.reasoning_tokens for entry in same),
            cached_tokens=sum(entry.cached_tokens for entry in same),
            requests=sum(entry.requests for entry in same),
            cost_usd=float(sum(Decimal(str(usd)) for e in same for usd in (e.usage, e.byok_usage_inference))),
        )
        for (day, model, variant, provider), same in groups.items()
    ]
