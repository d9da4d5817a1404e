"""The live part of the model page: the target, its state and its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Literal

from markupsafe import Markup

from pages.components import formatting, notices, theme
from pages.components.metric import Metric
from pages.components.request_estimate import describe_workload, estimate_seconds, estimate_usd
from pages.components.states import with_tip
from pages.queries import cache
from pages.queries.error_budgets import ErrorBudget, error_budgets
from pages.queries.listed_prices import priced_row
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_history
from pages.queries.time_range import TimeRange
from pages.sections.model_providers import other_prices
from pages.sections.target_state import badge, why_key
from routing.workload import Workload, estimate_request
from stats.error_budget import PERIOD_DAYS
from store.clock import DAY_MS
from store.schema import Model, Probe, Target

CHECKS = {"sum": "fresh sums", "echo": "fresh numbers to repeat"}
MOST_PARAMETERS = 8
LONGEST_BEGINNING = 160


@dataclass(frozen=True)
class View:
    """The data of one target at one location in a range."""

    history: TargetHistory
    model: Model | None
    newest: Probe | None
    rest: tuple[int, str] | None
    """Until when no probe is sent (milliseconds UTC), and why."""
    budget: ErrorBudget | None = None
    """Of the last 30 days; null for a target without an objective."""


def load_view(url: str, target: Target, window: TimeRange, now: int) -> View:
    """Load everything that the live part shows."""
    history = target_history(url, target, window, now)
    model = cache.model_of(target, cache.models(url))
    budget = error_budgets(url, [target], now).get((target.name, target.location))
    return View(history, model, cache.newest_of(url, target), cache.resting(url, target, now), budget)


def header(view: View, colour: str, now: int, zone: str) -> Markup:
    """The head of the page, similar to a router's model page."""
    target, state, model = view.history.target, view.history.state, view.model
    facts = [Markup("<code>{}</code>").format(target.model), *_model_facts(model, now, zone)]
    chips = [f"by {target.provider}"] if target.provider else []
    if model is not None:
        parameters = (model.supported_parameters or "").split(",")[:MOST_PARAMETERS]
        chips = [*(model.input_modalities or "").split(","), *parameters, *chips]
    chips += (target.tags or "").split(",")
    chip = Markup('<span class="u-chip">{}</span>')
    since = f" since {formatting.clock(state.since, zone, now)}" if state.since is not None else ""
    return Markup(
        '<div class="u u-head"><div class="u-name"><h1>{}{}</h1>{}</div><div class="facts">{}</div>{}'
        '<div class="u-chips">{}</div>{}</div>'
    ).format(
        theme.swatch(colour),
        target.name,
        badge(state, target, view.newest, view.rest, since, now, zone),
        Markup().join(Markup("<span>{}</span>").format(fact) for fact in facts),
        _description(model.description) if model is not None and model.description else "",
        Markup().join(chip.format(text.replace("_", " ")) for text in chips if text),
        _rest_note(view.rest, now, zone),
    )


def _description(text: str) -> Markup:
    """The description; a long one is collapsed to its beginning."""
    if len(text) <= LONGEST_BEGINNING:
        return Markup('<div class="u-about-model q">{}</div>').format(text)
    beginning = shorten(text, LONGEST_BEGINNING, placeholder="…")
    return Markup('<details class="u-about-model q"><summary>{}</summary>{}</details>').format(beginning, text)


def _model_facts(model: Model | None, now: int, zone: str) -> Iterator[str]:
    if model is None:
        yield "context and price unknown"
        return
    if model.created_at is not None:
        yield f"created {formatting.day(model.created_at, zone)}"
    if model.context_tokens is not None:
        yield f"{formatting.count(model.context_tokens)} context"
    if model.expires_at is not None:  # the router names a UTC day after which it may remove a model
        verb = "expires on" if now < model.expires_at + DAY_MS else "was due to expire on"
        yield f"{verb} {formatting.short_day(model.expires_at, 'UTC')}"
    yield formatting.prices_in_words(model)
    if model.usd_per_million_input is not None and model.usd_per_million_output is not None:
        yield from other_prices(model)


def _rest_note(rest: tuple[int, str] | None, now: int, zone: str) -> Markup:
    if rest is None:
        return Markup()
    until, why = rest
    return Markup(
        '<div class="q" style="margin-top:8px" role="status">Resting until {}: {}. No probe is sent before then; the '
        "pause counts as a gap.</div>"
    ).format(formatting.until(until, zone, now), why)


def numbers(view: View, colour: str, size: Workload | None, now: int) -> list[Metric]:
    """The metrics below the head; `size` is that of the viewer's request, if set."""
    history = view.history
    success, answers = history.success_rate(), history.answers()
    speed = history.percentiles(THROUGHPUT, "tokens_per_second")
    checked = CHECKS.get(history.target.answer_check or "sum", "checked answers")
    return [
        _uptime(history),
        *_error_budget(view.budget),
        _ttft(history, colour),
        *_first_answer(history),
        Metric(
            "Output speed, median",
            formatting.rate(speed.p50),
            "tok/s",
            formatting.plural(speed.count, "throughput probe"),
            "output speed",
            trend=history.median_line(THROUGHPUT, "tokens_per_second"),
            colour=colour,
        ),
        *_request(view, speed.p50, size, now),
        Metric(
            "Success rate",
            formatting.percent(success.share),
            "",
            formatting.share_of(success.ok, success.ok + success.failed),
            "success rate",
        ),
        Metric(
            "Correct answers",
            formatting.percent(answers.share),
            "",
            f"{formatting.share_of(answers.right, answers.checked)} {checked}",
            "correct answers",
        ),
    ]


def _uptime(history: TargetHistory) -> Metric:
    uptime = history.uptime()
    bounds, note = "", formatting.uptime_note(uptime)
    if uptime.share is not None:
        low, high = (formatting.percent(share) for share in uptime.strict)
        bounds = f"If all undecided time was down: {low}; if it was up: {high}."
        interval, coverage = formatting.bounds(uptime.interval), formatting.percent(uptime.coverage)
        note = f"{interval} (95%), {formatting.probes(uptime.probes)}, coverage {coverage}"
    number = with_tip(formatting.percent(uptime.share), "Why this uptime?", why_key(history.target, "uptime"))
    return Metric("Uptime", number, "", note, "uptime", bounds)


def _error_budget(budget: ErrorBudget | None) -> list[Metric]:
    if budget is None:
        return []
    number, _, unit = notices.budget_in_words(budget.left).rpartition(" ")
    if budget.left < 0:
        number, unit = unit, "overspent"
    used = f"{formatting.duration(budget.down_s)} down of {formatting.duration(budget.allowed_s)}"
    note = f"{used} that {budget.slo:g}% allows, last {PERIOD_DAYS} d"
    tone: Literal["", "down"] = "down" if budget.left < 0 else ""
    return [Metric("Error budget", number, unit, note, "error budget", tone=tone)]


def _ttft(history: TargetHistory, colour: str) -> Metric:
    profile = history.target.profile
    ttft = history.percentiles(profile, "ttft_ms")
    p95 = f"/ {formatting.milliseconds(ttft.p95)}" if ttft.p95 is not None else ""
    excluded = f", {ttft.skipped} excluded (this machine was overloaded)" if ttft.skipped else ""
    small = "small sample: " if ttft.is_small and ttft.count else ""
    return Metric(
        "TTFT, p50 and p95",
        formatting.milliseconds(ttft.p50),
        f"{p95} ms",
        f"{small}{formatting.probes(ttft.count)}{excluded}",
        "TTFT",
        trend=history.median_line(profile, "ttft_ms"),
        colour=colour,
    )


def _request(view: View, tokens_per_second: float | None, size: Workload | None, now: int) -> list[Metric]:
    """One request of the viewer's workload; empty while none is set."""
    if size is None:
        return []
    target = view.history.target
    ttft_ms = view.history.percentiles(target.profile, "ttft_ms").p50
    estimate = estimate_request(size, ttft_ms, tokens_per_second, priced_row(view.history.url, target, view.model), now)
    return [
        Metric(
            "Your request",
            estimate_seconds(estimate),
            f"/ {estimate_usd(estimate)}",
            f"{describe_workload(size)}; from medians in this range and the current list price",
        )
    ]


def _first_answer(history: TargetHistory) -> list[Metric]:
    """The time to visible text, for a model that reasons first."""
    percentiles = history.first_answer()
    if percentiles is None:
        return []
    return [
        Metric(
            "Time to first answer token",
            formatting.milliseconds(percentiles.p50),
            f"/ {formatting.milliseconds(percentiles.p95)} ms",
            f"p50 and p95, {formatting.probes(percentiles.count)}{history.newest_note}",
            "time to first answer token",
        )
    ]
