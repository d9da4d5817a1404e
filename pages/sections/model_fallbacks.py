"""The model page's parts on who serves it: uptime by provider, and fallbacks from the recorded routes."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from pages.components import formatting, theme
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
) -> str:
    """One row an endpoint: what was reported of it over the window as a strip, and how our own requests did there."""
    rows = "".join(_row(endpoint, reports, attempts, since, until, zone) for endpoint in endpoints)
    head = "<tr><th>Provider</th><th>Reported over this window</th><th>1 day, says</th><th>Our requests there</th></tr>"
    return (
        f'<div class="u u-scroll"><table class="u-table strips"><thead>{head}</thead><tbody>{rows}</tbody></table>'
        '<div class="q" style="margin-top:8px">Reported: the share of minutes in which at least 80% of all attempts '
        "succeeded, of minutes with 10 or more. Ours: every attempt that a probe's route names, fallbacks included."
        "</div></div>"
    )


def _row(
    endpoint: Endpoint,
    reports: list[EndpointStats],
    attempts: dict[str, Attempts],
    since: int,
    until: int,
    zone: str,
) -> str:
    mine = [report for report in reports if report.tag == endpoint.tag]
    newest = max(mine, key=lambda report: report.seen_at, default=None)
    strip = theme.strip(reported_bars(mine, since, until), zone, unit="report")
    said = formatting.percent(newest.uptime_1d) if newest is not None else formatting.DASH
    quiet = f'<span class="q">{escape(endpoint.quantization or "")}</span>'
    name = f"<b>{escape(endpoint.provider or endpoint.tag)}</b> {quiet}"
    ours = _attempts(attempts.get(endpoint.provider or ""))
    return f'<tr><td>{name}</td><td class="strip">{strip}</td><td>{said}</td><td>{ours}</td></tr>'


def _attempts(seen: Attempts | None) -> str:
    if seen is None:
        return '<span class="q">none went there</span>'
    total = seen.answered + seen.failed + seen.limited
    limited = f", {seen.limited} rate limited" if seen.limited else ""
    note = f"{formatting.count(seen.answered)} of {formatting.count(total)}{limited}"
    return f'{formatting.percent(seen.success)} <span class="q">· {note}</span>'


def fallbacks(choices: list[FirstChoice]) -> str:
    """How often each provider was tried first, and who came after it when it did not answer."""
    total = sum(choice.times for choice in choices)
    if not total:
        return (
            '<div class="u q">No route was recorded in this window. The router tells it for targets with its base URL '
            "that no <code>provider</code> pins.</div>"
        )
    rows = "".join(
        f"<tr><td><b>{escape(choice.provider)}</b></td>"
        f'<td>{formatting.percent(choice.times / total)} <span class="q">· {formatting.count(choice.times)}</span></td>'
        f"<td>{formatting.percent(choice.answered / choice.times)}</td><td>{_then(choice)}</td></tr>"
        for choice in choices
    )
    head = "<tr><th>Tried first</th><th>Of all requests</th><th>Answered</th><th>Else it fell back to</th></tr>"
    again = sum(sum(choice.fell_back_to.values()) for choice in choices)
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead>{head}</thead><tbody>{rows}</tbody></table>'
        f'<div class="q" style="margin-top:8px">{formatting.percent(again / total)} of {formatting.count(total)} '
        "routed requests were not answered by the provider that was tried first.</div></div>"
    )


def _then(choice: FirstChoice) -> str:
    return (
        ", ".join(
            f'{escape(name)} <span class="q">{times}×</span>' for name, times in choice.fell_back_to.most_common()
        )
        or '<span class="q">never</span>'
    )
