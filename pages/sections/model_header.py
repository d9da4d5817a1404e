"""The live part of the model page: what its target is, its state, and its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.metric import Metric
from pages.queries import cache
from pages.queries.target_history import THROUGHPUT, Gaps, target_history
from pages.queries.time_range import TimeRange
from pages.sections.model_providers import other_prices
from pages.sections.target_state import badge
from stats.correctness import Answers
from stats.incidents import Incident, TargetState
from stats.samples import Percentiles
from stats.status_bars import Bar
from stats.uptime import SuccessRate, Uptime
from store.clock import DAY_MS
from store.schema import Model, Probe, Target

CHECKS = {"sum": "fresh sums", "echo": "fresh numbers to repeat"}
MOST_PARAMETERS = 8


@dataclass(frozen=True)
class View:
    """What is known of one target at one location in a range."""

    target: Target
    model: Model | None
    state: TargetState
    since: int
    until: int
    uptime: Uptime
    success: SuccessRate
    bars: list[Bar]
    incidents: list[Incident]
    ttft: Percentiles
    ttft_line: list[float | None]
    speed: Percentiles
    speed_line: list[float | None]
    answers: Answers
    rest: tuple[int, str] | None = None
    """Until when it rests (milliseconds UTC), and why."""
    newest: Probe | None = None
    first_answer: Percentiles | None = None
    newest_note: str = ""
    gaps: Gaps | None = None


def load_view(url: str, target: Target, window: TimeRange, now: int) -> View:
    """Ask for everything that the live part shows."""
    history = target_history(url, target, window, now)
    return View(
        target=target,
        model=cache.model_of(target, cache.models(url)),
        state=history.state,
        since=history.since,
        until=history.until,
        uptime=history.uptime(),
        success=history.success_rate(),
        bars=history.bars_with_errors(),
        incidents=history.incidents,
        ttft=history.percentiles(target.profile, "ttft_ms"),
        ttft_line=history.median_line(target.profile, "ttft_ms"),
        speed=history.percentiles(THROUGHPUT, "tokens_per_second"),
        speed_line=history.median_line(THROUGHPUT, "tokens_per_second"),
        answers=history.answers(),
        rest=cache.resting(url, target, now),
        newest=cache.newest_of(url, target),
        first_answer=history.first_answer(),
        newest_note=history.newest_note,
        gaps=history.gaps(),
    )


def header(view: View, colour: str, now: int, zone: str) -> Markup:
    """The head of the page, in the manner of a router's model page."""
    target, model = view.target, view.model
    facts = [Markup("<code>{}</code>").format(target.model), *_model_facts(model, now, zone)]
    chips = [f"by {target.provider}"] if target.provider else []
    if model is not None:
        parameters = (model.supported_parameters or "").split(",")[:MOST_PARAMETERS]
        chips = [*(model.input_modalities or "").split(","), *parameters, *chips]
    chips += (target.tags or "").split(",")
    chip = Markup('<span class="u-chip">{}</span>')
    about = Markup('<div style="margin-top:10px;max-width:76ch" class="q">{}</div>')
    since = f" since {formatting.clock(view.state.since, zone, now)}" if view.state.since is not None else ""
    return Markup(
        '<div class="u u-head"><h1>{}{}</h1><div class="facts">{}</div>{}<div class="u-chips">{}{}</div>{}</div>'
    ).format(
        theme.swatch(colour),
        target.name,
        Markup().join(Markup("<span>{}</span>").format(fact) for fact in facts),
        about.format(model.description) if model is not None and model.description else "",
        Markup().join(chip.format(text.replace("_", " ")) for text in chips if text),
        badge(view.state, target, view.newest, view.rest, since, now, zone),
        _rest_note(view.rest, now, zone),
    )


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


def numbers(view: View, colour: str) -> list[Metric]:
    """The numbers below the head."""
    success, answers = view.success, view.answers
    checked = CHECKS.get(view.target.answer_check or "sum", "checked answers")
    return [
        _uptime(view.uptime),
        _ttft(view.ttft, view.ttft_line, colour),
        *_first_answer(view),
        Metric(
            "Output speed, median",
            formatting.rate(view.speed.p50),
            "tok/s",
            formatting.plural(view.speed.count, "throughput probe"),
            "output speed",
            trend=view.speed_line,
            colour=colour,
        ),
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


def _uptime(uptime: Uptime) -> Metric:
    bounds, note = "", formatting.uptime_note(uptime)
    if uptime.share is not None:
        low, high = (formatting.percent(share) for share in uptime.strict)
        bounds = f"If all undecided time was down: {low}; if all of it was up: {high}."
        interval, coverage = formatting.bounds(uptime.interval), formatting.percent(uptime.coverage)
        note = f"{interval} (95%), {formatting.probes(uptime.probes)}, coverage {coverage}"
    return Metric("Uptime", formatting.percent(uptime.share), "", note, "uptime", bounds)


def _ttft(ttft: Percentiles, trend: list[float | None], colour: str) -> Metric:
    p95 = f"/ {formatting.milliseconds(ttft.p95)}" if ttft.p95 is not None else ""
    excluded = f", {ttft.skipped} excluded (this machine was overloaded)" if ttft.skipped else ""
    small = "small sample: " if ttft.is_small and ttft.count else ""
    return Metric(
        "TTFT, p50 and p95",
        formatting.milliseconds(ttft.p50),
        f"{p95} ms",
        f"{small}{formatting.probes(ttft.count)}{excluded}",
        "TTFT",
        trend=trend,
        colour=colour,
    )


def _first_answer(view: View) -> list[Metric]:
    """The wait for visible text, of a model that reasons first."""
    percentiles = view.first_answer
    if percentiles is None:
        return []
    return [
        Metric(
            "Time to first answer token",
            formatting.milliseconds(percentiles.p50),
            f"/ {formatting.milliseconds(percentiles.p95)} ms",
            f"p50 and p95, {formatting.probes(percentiles.count)}{view.newest_note}",
            "time to first answer token",
        )
    ]
