"""Uptime by provider, and fallbacks, from the recorded routes of the probes."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from pages.components import formatting
from pages.components.status_bars import status_bars
from pages.components.table import NOTHING, Column, bold, provider, quiet, table
from stats.reported_uptime import reported_bars
from stats.routes import Attempts, FirstChoice
from store.schema import Endpoint, EndpointStats


def uptime_by_provider(
    endpoints: Iterable[Endpoint],
    reports: list[EndpointStats],
    attempts: dict[str, Attempts],
    since: int,
    until: int,
    zone: str,
) -> Markup:
    """One row an endpoint: its reported uptime in the range, and how the probes' requests did there."""

    def cells(endpoint: Endpoint) -> list[str]:
        own = [report for report in reports if report.tag == endpoint.tag]
        newest = max(own, key=lambda report: report.seen_at, default=None)
        return [
            provider(endpoint),
            status_bars(reported_bars(own, since, until), zone, unit="report"),
            formatting.percent(newest.uptime_1d if newest is not None else None),
            _attempts(attempts.get(endpoint.provider or "")),
        ]

    return table(
        ("Provider", Column("Reported in this range", "strip"), "1 d (reported)", "Your probes' requests"),
        map(cells, endpoints),
        kind="strips",
        region="Uptime by provider",
        most_px=240,
        note="Reported: the share of minutes with at least 10 attempts in which at least 80% of them succeeded. Your "
        "probes' requests: every attempt that a probe's route names, fallbacks included.",
    )


def _attempts(attempts: Attempts | None) -> str:
    if attempts is None:
        return quiet("no requests")
    total = attempts.answered + attempts.failed + attempts.limited
    limited = f", {attempts.limited} rate limited" if attempts.limited else ""
    return formatting.percent(attempts.success) + quiet(f" · {formatting.share_of(attempts.answered, total)}{limited}")


def fallbacks(choices: list[FirstChoice]) -> Markup:
    """How often each provider was tried first, and which came next when it failed."""
    total = sum(choice.times for choice in choices)
    if not total:
        return NOTHING.format(
            Markup(
                "No route was recorded in this range. The router reports routes for targets with its base URL that do "
                "not pin a <code>provider</code>."
            )
        )
    failed = sum(sum(choice.fell_back_to.values()) for choice in choices)
    return table(
        ("Tried first", "Share of requests", "Responded", "Fell back to"),
        [
            (
                bold(choice.provider),
                formatting.percent(choice.times / total) + quiet(f" · {formatting.count(choice.times)}"),
                formatting.percent(choice.answered / choice.times),
                _next_choices(choice),
            )
            for choice in choices
        ],
        region="Fallbacks",
        most_px=200,
        note=f"{formatting.percent(failed / total)} of {formatting.count(total)} routed requests were not answered by "
        "the provider that was tried first.",
    )


def _next_choices(choice: FirstChoice) -> Markup:
    each = [name + " " + quiet(f"{times}×") for name, times in choice.fell_back_to.most_common()]
    return Markup(", ").join(each) if each else quiet("never")
