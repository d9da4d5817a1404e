"""The system page's parts: is what I see fresh and complete, and how much room does it take?"""

from __future__ import annotations

import platform
import sys
from html import escape
from importlib.metadata import PackageNotFoundError, version

from pages.components import formatting, theme
from pages.components.metric import Metric
from pages.queries import cache, traffic
from stats.collector_health import Activity, activities, strip_of_runs
from store.clock import DAY_MS, HOUR_MS
from store.rests import resting_until
from store.schema import LAG_LIMIT_MS, RELAY, RateLimit
from store.staleness import last_seen, stale_since

BARS = 48
MOST_ERRORS = 20
NEARLY = 0.9
"""From this share on a budget is shown as nearly used up."""
PACKAGES = ("streamlit", "pandas", "plotly", "requests", "apsw", "clickhouse-connect")


def metrics(url: str, now: int) -> list[Metric]:
    """The four numbers on top."""
    newest, targets, runs = cache.newest(url), cache.targets(url), cache.last_runs(url)
    stopped = stale_since(newest, runs, targets, now)
    last = last_seen(newest, runs, now)
    today = [run for run in cache.runs(url, cache.rounded(now - DAY_MS, 60_000)) if run.collector != RELAY]
    failed = sum(run.count for run in today if run.error is not None)
    left_out = sum(run.skipped for run in today)
    broken = len(cache.internal_errors(url, cache.rounded(now - DAY_MS, 60_000)))
    by_day = cache.probes_by_day(url, cache.rounded(now, 600_000) + DAY_MS)
    midnight = now - now % DAY_MS
    week = {day: by_day.get(day, (0, 0)) for day in range(midnight - 7 * DAY_MS, midnight, DAY_MS)}
    seen = [count for count, _ in week.values() if count]
    a_day = sum(seen) / len(seen) if seen else None
    total = sum(count for count, _ in by_day.values())
    size = cache.size_bytes(url)
    recent = [*week.values(), by_day.get(midnight, (0, 0))]
    lagged, probes = sum(pair[1] for pair in recent), sum(pair[0] for pair in recent)
    return [
        Metric(
            "Collector",
            "stopped" if stopped is not None else "running" if last is not None else formatting.DASH,
            "",
            f"last recorded something {formatting.ago(last, now)}" if last is not None else "nothing was recorded yet",
        ),
        Metric(
            "Runs in the last 24 h",
            formatting.count(sum(run.count for run in today)),
            "",
            f"{formatting.plural(failed, 'run')} with an error, {formatting.plural(left_out, 'probe')} left out"
            + (f", {formatting.plural(broken, 'probe')} failed in Uptoken itself" if broken else ""),
            "left out",
            tone="down" if broken else "",
        ),
        Metric(
            "Store",
            formatting.size(size) if size is not None else formatting.DASH,
            "",
            f"{formatting.probes(total)}{_growth(size, total, a_day)}" if total else "empty",
        ),
        _lag(cache.lags(url, cache.rounded(now - HOUR_MS, 60_000)), lagged, probes),
    ]


def _lag(lags: list[float], lagged: int, probes: int) -> Metric:
    """The last hour's lag; beside it how much was not believed for it in eight days."""
    note = (
        f"{formatting.percent(lagged / probes)} of the probes of 8 days not believed"
        if probes
        else "no probe in 8 days"
    )
    if not lags:
        return Metric("Lag in the last hour", formatting.DASH, "", note, "lag")
    middle, p95 = lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 95 // 100)]
    return Metric(
        "Lag in the last hour, p50 and p95",
        formatting.milliseconds(middle),
        f"/ {formatting.milliseconds(p95)} ms",
        note,
        "lag",
        tone="down" if p95 > LAG_LIMIT_MS else "",
    )


def budgets(url: str, now: int, zone: str) -> str:
    """What each collector may still use today."""
    found = cache.budgets(url, now - now % DAY_MS)
    if not found:
        return '<div class="u q">No probe was sent today (UTC).</div>'
    heads = ("Location", "Spent today", "of", "left", "Free requests", "of", "left", "Known since")
    head = "".join(
        f'<th class="{"left" if text in ("Spent today", "Free requests") else ""}">{text}</th>' for text in heads
    )
    body = "".join(
        f"<tr><td><b>{escape(each.location)}</b></td>"
        f'<td class="left">{_meter(each.usd, each.usd_per_day, formatting.money(each.usd))}</td>'
        f"<td>{formatting.money(each.usd_per_day)}</td>"
        f"<td>{formatting.money(max(0.0, each.usd_per_day - each.usd))}</td>"
        f'<td class="left">'
        f"{_meter(each.free_requests, each.free_requests_per_day, formatting.count(each.free_requests))}</td>"
        f"<td>{formatting.count(each.free_requests_per_day)}</td>"
        f"<td>{formatting.count(max(0, each.free_requests_per_day - each.free_requests))}</td>"
        f'<td data-tip="{formatting.exact(each.updated_at, zone)}">{formatting.ago(each.updated_at, now)}</td></tr>'
        for each in sorted(found, key=lambda each: each.location)
    )
    return (
        '<div class="u u-scroll"><table class="u-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _meter(used: float, limit: float, said: str) -> str:
    share = min(1.0, used / limit) if limit else 0.0
    kind = " full" if share > NEARLY else ""
    return f'<span class="u-meter{kind}"><span><i style="width:{share:.1%}"></i></span>{said}</span>'


def rate_limits(url: str, now: int, zone: str) -> str:
    """What each target may still send, as its server says, and which rest; nothing where no server says so."""
    current = {(t.name, t.location) for t in cache.targets(url) if t.state != "removed"}
    rows = [row for row in cache.rate_limits(url) if (row.target, row.location) in current]
    each = [(row, resting_until(row.updated_at, row.rests_until, now)) for row in rows]
    found = [(row, until) for row, until in each if until is not None or _says_left(row, now)]
    if not found:
        return ""
    heads = ("Target", "Requests left", "full again", "Tokens left", "full again", "Known since")
    head = "".join(f'<th class="{"left" if " left" in text else ""}">{text}</th>' for text in heads)
    places = len({row.location for row, _ in found})
    body = "".join(_limited(row, until, now, zone, places > 1) for row, until in sorted(found, key=_by_rest))
    return (
        '<div class="u u-scroll"><table class="u-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _by_rest(pair: tuple[RateLimit, int | None]) -> tuple[bool, str, str]:
    return pair[1] is None, pair[0].target, pair[0].location


def _says_left(row: RateLimit, now: int) -> bool:
    is_told = row.requests_remaining is not None or row.tokens_remaining is not None
    return is_told and now - row.updated_at < DAY_MS


def _limited(row: RateLimit, until: int | None, now: int, zone: str, say_location: bool) -> str:
    said = f"<b>{escape(row.target)}</b>"
    said += f'<span class="more">{escape(row.location)}</span>' if say_location else ""
    if until is not None:  # beside the target: on a phone a column of its own is out of sight
        state = theme.state("not_counted", f"rests until {formatting.until(until, zone, now)}")
        said += f'<br>{state}<span class="more">{escape(row.reason or "")}</span>'
    return (
        f'<tr><td class="wrap">{said}</td>'
        f"{_left(row.requests_remaining, row.requests_limit, row.requests_reset_at, now, zone)}"
        f"{_left(row.tokens_remaining, row.tokens_limit, row.tokens_reset_at, now, zone)}"
        f'<td data-tip="{formatting.exact(row.updated_at, zone)}">{formatting.ago(row.updated_at, now)}</td></tr>'
    )


def _left(remaining: int | None, limit: int | None, reset_at: int | None, now: int, zone: str) -> str:
    """Two cells: what is left, and when all of it is there again."""
    if remaining is None:
        return f'<td class="left">{formatting.DASH}</td><td>{formatting.DASH}</td>'
    of = f" of {formatting.count(limit)}" if limit is not None else ""
    said = f"{formatting.count(remaining)}{of}"
    meter = _meter(max(0, limit - remaining), limit, said) if limit else said
    if reset_at is None:
        return f'<td class="left">{meter}</td><td>{formatting.DASH}</td>'
    again = f"in {formatting.duration((reset_at - now) / 1_000)}" if reset_at > now else "by now"
    return f'<td class="left">{meter}</td><td data-tip="{formatting.exact(reset_at, zone)}">{again}</td>'


def _growth(size: int | None, probes: int, a_day: float | None) -> str:
    """From the days that are over; a store of minutes would be said to grow by all of itself a day."""
    if a_day is None:
        return ""
    return f", about {formatting.size(round(a_day * size / probes))} more a day" if size is not None else ""


def collectors(url: str, now: int, zone: str) -> str:
    """A row for each collector at each location: its last day."""
    since = cache.rounded(now - DAY_MS, 60_000)
    found = activities(run for run in cache.runs(url, since) if run.collector != RELAY)
    if not found:
        return '<div class="u q">No collector ran in the last 24 hours.</div>'
    heads = ("Collector", "Runs of the last 24 h", "Last run", "Took", "Rows", "Left out", "Errors")
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(_row(each, since, now, zone) for each in found)
    return (
        '<div class="u u-scroll"><table class="u-table strips">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(each: Activity, since: int, now: int, zone: str) -> str:
    bars = strip_of_runs(each.runs, since, now + 1, BARS)
    failed = each.failed
    last_error = ""
    if failed:
        when = formatting.ago(failed[-1].started_at, now)
        last_error = f'<span class="more">{when}: {escape(failed[-1].error or "")}</span>'
    return (
        f"<tr><td><b>{escape(each.collector.replace('_', ' '))}</b>"
        f'<span class="more">{escape(each.location)}</span></td>'
        f'<td class="strip">{theme.strip(bars, zone, unit="run")}</td>'
        f'<td data-tip="{formatting.exact(each.last.ended_at, zone)}">{formatting.ago(each.last.ended_at, now)}</td>'
        f"<td>{formatting.seconds(each.took_s)}</td><td>{formatting.count(each.rows)}</td><td>{formatting.count(each.left_out)}</td>"
        f'<td class="wrap">{formatting.count(each.failed_count)}{last_error}</td></tr>'
    )


def relays(url: str, now: int, zone: str) -> str:
    """How each location's relay records, and the time that it adds; nothing where none recorded anything in a day."""
    found = traffic.relays(url, cache.rounded(now, 60_000))
    if not found:
        return ""
    heads = ("Location", "Last recorded", "Rows", "Dropped", "Longest queue", "Added time p50", "p99", "Last error")
    head = "".join(f'<th class="{"left" if text == "Last error" else ""}">{text}</th>' for text in heads)
    body = "".join(
        f"<tr><td><b>{escape(each.location)}</b></td>"
        f'<td data-tip="{formatting.exact(each.last_at, zone)}">{formatting.ago(each.last_at, now)}</td>'
        f"<td>{formatting.count(each.written)}</td>"
        f"<td>{theme.state('down', formatting.count(each.dropped)) if each.dropped else 0}</td>"
        f"<td>{formatting.count(each.longest_queue)}</td>"
        f"<td>{_added(each.added_ms.p50)}</td><td>{_added(each.added_ms.p99)}</td>"
        f'<td class="left wrap">{escape(each.error or formatting.DASH)}</td></tr>'
        for each in found
    )
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        '<div class="q" style="margin-top:8px">Rows are attempts of the last 24 hours, in minutes that are over; the '
        "added time is the relay's own, of the last hour's requests.</div></div>"
    )


def _added(ms: float | None) -> str:
    return formatting.DASH if ms is None else f"{ms:.1f} ms"


def internal_errors(url: str, now: int, zone: str) -> str:
    """The probes of the last day in which Uptoken itself failed, newest first; nothing when there was none."""
    found = cache.internal_errors(url, cache.rounded(now - DAY_MS, 60_000))
    if not found:
        return ""
    body = "".join(
        f'<tr><td class="wrap">{theme.state("down", "error")} <b>{escape(probe.target)}</b>'
        f'<span class="more">{escape(probe.error or "")}</span></td>'
        f"<td>{escape(probe.location)}</td><td>{escape(probe.profile)}</td>"
        f'<td data-tip="{formatting.exact(probe.started_at, zone)}">{formatting.ago(probe.started_at, now)}</td></tr>'
        for probe in found[:MOST_ERRORS]
    )
    head = "".join(f"<th>{text}</th>" for text in ("While probing", "Location", "Profile", "When"))
    more = f" The newest {MOST_ERRORS} of {formatting.count(len(found))}." if len(found) > MOST_ERRORS else ""
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        '<div class="q" style="margin-top:8px">This is a bug in Uptoken; please report it with the traceback that the '
        f"collector wrote to standard error.{more}</div></div>"
    )


def from_the_future(url: str) -> str:
    """How many rows are from the future, and what to do; nothing when there are none."""
    found = cache.from_the_future(url)
    if not found:
        return ""
    rows = ", ".join(f"{formatting.count(count)} in {escape(name)}" for name, count in found.items())
    return (
        f'<div class="u">{rows}. A clock was ahead when they were recorded, or the clock of this machine is behind. '
        "Health, budgets and schedules leave them aside. <code>python -m collectors remove-future</code> shows them "
        "and removes them.</div>"
    )


def versions() -> str:
    """What this dashboard runs on."""
    found = [("Python", sys.version.split()[0]), ("System", f"{platform.system()} {platform.machine()}")]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    chips = "".join(f'<span class="u-chip">{escape(name)} {escape(number)}</span>' for name, number in found)
    return f'<div class="u"><div class="u-chips" style="margin-top:0">{chips}</div></div>'
