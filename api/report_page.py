"""A target's month as HTML to print, without scripts and without anything from another server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from markupsafe import Markup

from api import status_page
from api.bars_svg import bars_svg, legend
from api.incidents import TargetIncident
from api.report import Objective, Report
from pages.components import formatting
from stats.samples import Percentiles

MOST_INCIDENTS = 200
UTC = "UTC"


@cache
def css() -> str:
    """The style sheet: the status page's, and rules for tables."""
    return status_page.css() + Path(__file__).with_suffix(".css").read_text(encoding="utf-8").replace("\n", "")


def policy() -> str:
    """The page's Content-Security-Policy, which allows only its style sheet."""
    return status_page.policy_of(css())


def page(report: Report, links: Sequence[tuple[str, str]]) -> Markup:
    """The document. `links` are other months and their addresses."""
    target = report.targets[0]
    title = f"{target.name}, {_month_in_words(report)}"
    parts = [
        _section("Uptime", _uptime(report)),
        *([_section("Objective", _objective(report.objective, report))] if report.objective else []),
        _section("Incidents", _incidents(report)),
        _section("Latency and speed", _latency(report)),
        _section("Requests, tokens and cost", _usage(report)),
    ]
    other = Markup(" · ").join(Markup('<a href="{}">{}</a>').format(address, month) for month, address in links)
    head = Markup(
        '<header><h1>{}</h1><p class="q"><code>{}</code>{} · {}</p><p class="q noprint">{}</p></header>'
    ).format(title, target.model, _places(report), _period(report), other)
    foot = Markup(
        '<footer class="q"><p>Measured by Uptoken; created {}. Times are in UTC; each bar is a day. Percentiles '
        "are of successful probes while the collector's machine was not overloaded, accurate to 1%.</p></footer>"
    ).format(formatting.exact(report.at, UTC))
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>{}</title><style>{}</style></head>'
        "<body>{}<main>{}</main>{}</body></html>"
    ).format(title, Markup(css()), head, Markup().join(parts), foot)  # nosec B704: files of this package, and colours


def _month_in_words(report: Report) -> str:
    return formatting.day(report.month.since, UTC).partition(" ")[2]


def _places(report: Report) -> str:
    places = ", ".join(target.location for target in report.targets)
    return f" · probed from {places}" if places else ""


def _period(report: Report) -> str:
    if report.until < report.month.until:
        return f"until {formatting.clock(report.until, UTC)}; the month is not over"
    if report.first_at > report.month.since:
        return f"probed since {formatting.clock(report.first_at, UTC)}"
    return "the complete month"


def _section(heading: str, body: Markup) -> Markup:
    return Markup("<section><h2>{}</h2>{}</section>").format(heading, body)


def _facts(rows: Iterable[tuple[str, str]]) -> Markup:
    lines = (Markup("<tr><th scope=row>{}</th><td>{}</td></tr>").format(label, text) for label, text in rows)
    return Markup('<table class="facts">{}</table>').format(Markup().join(lines))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = Markup().join(Markup("<th scope=col>{}</th>").format(text) for text in heads)
    body = Markup().join(
        Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(cell) for cell in row)) for row in rows
    )
    return Markup('<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        head, body
    )


def _uptime(report: Report) -> Markup:
    uptime = report.uptime
    coverage = formatting.percent(uptime.coverage)
    if uptime.share is None:
        number, interval = "not enough data", f"coverage is {coverage}, below 50%"
    else:
        number = formatting.percent(uptime.share)
        interval = f"{formatting.bounds(uptime.interval)}% (Wilson, {formatting.probes(uptime.probes)})"
    low, high = (formatting.percent(share) for share in uptime.strict)
    return Markup('<div class="card">{}</div>{}{}').format(
        bars_svg(report.bars, is_big=True),
        legend(),
        _facts(
            [
                ("Uptime", number),
                ("95% confidence interval", interval),
                ("Coverage", f"{coverage} of {formatting.duration(uptime.window_s)} was decided by a probe"),
                ("Down", formatting.duration(uptime.down_s)),
                ("If all undecided time was down / up", f"{low} / {high}"),
            ]
        ),
    )


def _objective(objective: Objective | None, report: Report) -> Markup:
    if objective is None:
        return Markup()
    share = report.uptime.share
    verdict = "not enough data" if share is None else "met" if share * 100 >= objective.slo else "missed"
    left = "unknown" if objective.left is None else formatting.percent(max(0.0, objective.left)) + " left"
    if objective.left is not None and objective.left < 0:
        left = f"overspent by {formatting.percent(-objective.left)}"
    used = f"{formatting.duration(objective.down_s)} of {formatting.duration(objective.allowed_s)} used"
    return _facts([("Objective", f"{objective.slo:g}%: {verdict}"), ("Error budget of this month", f"{used}, {left}")])


def _incidents(report: Report) -> Markup:
    listed = report.incidents
    if not listed:
        return Markup('<p class="q">No incidents in this month.</p>')
    several = len(report.targets) > 1
    heads = ["Began", "Ended", "In this month", "Cause", "Failed probes", "First error"]
    rows = [_incident(each, report) for each in listed[:MOST_INCIDENTS]]
    if several:
        heads.insert(2, "Location")
        for row, each in zip(rows, listed, strict=False):
            row.insert(2, each.target.location)
    total_s = sum(each.incident.duration_s(report.month.since, report.until) for each in listed)
    note = f"{formatting.plural(len(listed), 'incident')}, {formatting.duration(total_s)} in total"
    note += ", counted at each location" if several else ""
    note += f"; the first {MOST_INCIDENTS} are listed" if len(listed) > MOST_INCIDENTS else ""
    return _table(heads, rows) + Markup('<p class="q">{}.</p>').format(note)


def _incident(each: TargetIncident, report: Report) -> list[str]:
    incident = each.incident
    if incident.ended_at is not None:
        ended = formatting.clock(incident.ended_at, UTC)
    elif incident.is_known_now:
        ended = "still down"
    else:
        ended = f"unknown after {formatting.clock(incident.seen_until, UTC)}"
    return [
        formatting.clock(incident.began_at, UTC),
        ended,
        formatting.duration(incident.duration_s(report.month.since, report.until)),
        formatting.outcome(incident.cause),
        formatting.count(incident.probes),
        incident.error or "",
    ]


def _latency(report: Report) -> Markup:
    rows = [_percentiles(*measured) for measured in report.latency]
    return _table(("", "p50", "p75", "p90", "p95", "p99", "Probes"), rows)


def _percentiles(what: str, unit: str, known: Percentiles) -> list[str]:
    write = formatting.rate if unit == "tok/s" else formatting.milliseconds
    values = (known.p50, known.p75, known.p90, known.p95, known.p99)
    skipped = f" ({known.skipped} excluded: this machine was overloaded)" if known.skipped else ""
    return [f"{what}, {unit}", *map(write, values), formatting.count(known.count) + skipped]


def _usage(report: Report) -> Markup:
    total, success, answers = report.total, report.total.success_rate(), report.answers.answers()
    unpriced = total["unpriced"]
    cost = formatting.money(total.cost_usd) if total.cost_usd is not None else formatting.UNKNOWN
    counted = formatting.share_of(success.ok, success.ok + success.failed)
    return _facts(
        [
            ("Probes", formatting.count(total.requests)),
            ("Success rate", f"{formatting.percent(success.share)} ({counted})"),
            ("Not counted", formatting.count(success.not_counted)),
            (
                "Correct answers",
                f"{formatting.percent(answers.share)} ({formatting.share_of(answers.right, answers.checked)})",
            ),
            (
                "Tokens",
                f"{formatting.count(total['prompt_tokens'])} prompt, "
                f"{formatting.count(total['completion_tokens'])} completion",
            ),
            ("Cost", cost + (f", and {formatting.probes(unpriced)} at unknown cost" if unpriced else "")),
        ]
    )
