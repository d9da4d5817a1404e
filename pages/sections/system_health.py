"""The health of the collectors and of the store: is what is shown fresh and complete, and how large is it?"""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from markupsafe import Markup

from pages.components import formatting
from pages.components.metric import Metric
from pages.components.states import state
from pages.components.status_bars import status_bars
from pages.components.table import NOTHING, Cell, Column, below, bold, moment, table
from pages.queries import cache, traffic
from settings.addresses import certificate_host
from stats.collector_health import Activity, activities, run_bars
from store.clock import DAY_MS, HOUR_MS
from store.outcomes import CONFIGURATION
from store.rests import resting_until
from store.schema import LAG_LIMIT_MS, RELAY, RateLimit
from store.staleness import last_seen, stale_since

BARS = 48
MOST_ERRORS = 20
EXPIRES_SOON_MS = 14 * DAY_MS
NEARLY_FULL = 0.9
"""From this share on a budget is marked as nearly used up."""
PACKAGES = ("streamlit", "pandas", "plotly", "requests", "apsw", "clickhouse-connect")


def metrics(url: str, now: int) -> list[Metric]:
    """The four numbers on top."""
    stopped = stale_since(cache.newest(url), cache.last_runs(url), cache.targets(url), now)
    last = last_seen(cache.newest(url), cache.last_runs(url), now)
    by_day = cache.probes_by_day(url, cache.rounded(now, 600_000) + DAY_MS)
    midnight = now - now % DAY_MS
    week = [by_day.get(day, (0, 0)) for day in range(midnight - 7 * DAY_MS, midnight, DAY_MS)]
    return [
        Metric(
            "Collector",
            "stopped" if stopped is not None else "running" if last is not None else formatting.DASH,
            "",
            f"last activity {formatting.ago(last, now)}" if last is not None else "no activity recorded yet",
        ),
        _runs(url, now),
        _store(url, sum(count for count, _ in by_day.values()), [count for count, _ in week if count]),
        _lag(cache.lags(url, cache.rounded(now - HOUR_MS, 60_000)), [*week, by_day.get(midnight, (0, 0))]),
    ]


def _runs(url: str, now: int) -> Metric:
    since = cache.rounded(now - DAY_MS, 60_000)
    runs = [run for run in cache.runs(url, since) if run.collector != RELAY]
    failed = sum(run.count for run in runs if run.error is not None)
    broken = len(cache.internal_errors(url, since))
    return Metric(
        "Runs in the last 24 h",
        formatting.count(sum(run.count for run in runs)),
        "",
        f"{formatting.plural(failed, 'run')} with an error, "
        f"{formatting.plural(sum(run.skipped for run in runs), 'probe')} skipped"
        + (f", {formatting.plural(broken, 'probe')} failed in Uptoken itself" if broken else ""),
        "skipped",
        tone="down" if broken else "",
    )


def _store(url: str, total: int, by_day: list[int]) -> Metric:
    """Its growth is known from completed days: a store of minutes would seem to double every day."""
    size = cache.size_bytes(url)
    growth = ""
    if by_day and size is not None:
        growth = f", about {formatting.size(round(sum(by_day) / len(by_day) * size / total))} more per day"
    return Metric(
        "Store",
        formatting.size(size) if size is not None else formatting.DASH,
        "",
        f"{formatting.probes(total)}{growth}" if total else "empty",
    )


def _lag(lags: list[float], by_day: list[tuple[int, int]]) -> Metric:
    """The last hour's lag; beside it the share of probes that were excluded for it in 8 days."""
    probes, lagged = (sum(counts) for counts in zip(*by_day, strict=True))
    note = f"{formatting.percent(lagged / probes)} of probes excluded in 8 days" if probes else "no probes in 8 days"
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


def configuration(url: str, now: int, zone: str) -> Markup:
    """The locations whose collector keeps an older configuration because the file is wrong now; empty when there are
    none.
    """
    runs = cache.runs(url, cache.rounded(now - DAY_MS, 60_000))
    newest = [each.last for each in activities(run for run in runs if run.collector == CONFIGURATION)]
    wrong = [run for run in newest if run.error is not None]
    if not wrong:
        return Markup()
    return table(
        (Column("Location", "wrap"), "Noticed"),
        [
            (state("down", "wrong") + " " + bold(run.location) + below(run.error), moment(run.started_at, now, zone))
            for run in wrong
        ],
    )


def budgets(url: str, now: int, zone: str) -> Markup:
    """What each collector may still use today."""
    rows = cache.budgets(url, now - now % DAY_MS)
    if not rows:
        return NOTHING.format("No probes today (UTC).")
    columns = (
        "Location",
        Column("Spent today", "left"),
        "limit",
        "remaining",
        Column("Free requests", "left"),
        "limit",
        "remaining",
        "Updated",
    )
    return table(
        columns,
        [
            (
                bold(each.location),
                _meter(each.usd, each.usd_per_day, formatting.money(each.usd)),
                formatting.money(each.usd_per_day),
                formatting.money(max(0.0, each.usd_per_day - each.usd)),
                _meter(each.free_requests, each.free_requests_per_day, formatting.count(each.free_requests)),
                formatting.count(each.free_requests_per_day),
                formatting.count(max(0, each.free_requests_per_day - each.free_requests)),
                moment(each.updated_at, now, zone),
            )
            for each in sorted(rows, key=lambda each: each.location)
        ],
    )


def _meter(used: float, limit: float, text: str) -> Markup:
    share = min(1.0, used / limit) if limit else 0.0
    return Markup('<span class="u-meter{}"><span><i style="width:{:.1%}"></i></span>{}</span>').format(
        " full" if share > NEARLY_FULL else "", share, text
    )


def rate_limits(url: str, now: int, zone: str) -> Markup:
    """What each target may still send, as its server reports, and which rest; empty where no server reports it."""
    current = {(t.name, t.location) for t in cache.targets(url) if t.state != "removed"}
    known = [row for row in cache.rate_limits(url) if (row.target, row.location) in current]
    each = [(row, resting_until(row.updated_at, row.rests_until, now)) for row in known]
    shown = [(row, until) for row, until in each if until is not None or _is_reported(row, now)]
    if not shown:
        return Markup()
    say_location = len({row.location for row, _ in shown}) > 1
    columns = (
        Column("Target", "wrap"),
        Column("Requests remaining", "left"),
        "reset",
        Column("Tokens remaining", "left"),
        "reset",
        "Updated",
    )
    ordered = sorted(shown, key=lambda pair: (pair[1] is None, pair[0].target, pair[0].location))
    return table(columns, [_limits(row, until, now, zone, say_location) for row, until in ordered])


def _is_reported(row: RateLimit, now: int) -> bool:
    has_remaining = row.requests_remaining is not None or row.tokens_remaining is not None
    return has_remaining and now - row.updated_at < DAY_MS


def _limits(row: RateLimit, until: int | None, now: int, zone: str, say_location: bool) -> list[str | Cell | None]:
    name = bold(row.target) + below(row.location if say_location else "")
    if until is not None:  # beside the target: on a phone a column of its own is out of sight
        resting = state("not_counted", f"resting until {formatting.until(until, zone, now)}")
        name += Markup("<br>") + resting + below(row.reason)
    return [
        name,
        *_remaining(row.requests_remaining, row.requests_limit, row.requests_reset_at, now, zone),
        *_remaining(row.tokens_remaining, row.tokens_limit, row.tokens_reset_at, now, zone),
        moment(row.updated_at, now, zone),
    ]


def _remaining(
    remaining: int | None, limit: int | None, reset_at: int | None, now: int, zone: str
) -> tuple[str | None, str | Cell | None]:
    """Two cells: what is left, and when it is reset."""
    if remaining is None:
        return None, None
    text = formatting.share_of(remaining, limit) if limit is not None else formatting.count(remaining)
    meter = _meter(max(0, limit - remaining), limit, text) if limit else text
    if reset_at is None:
        return meter, None
    when = f"in {formatting.duration((reset_at - now) / 1_000)}" if reset_at > now else "by now"
    return meter, Cell(when, formatting.exact(reset_at, zone))


def certificates(url: str, now: int, zone: str) -> Markup:
    """When the TLS certificate of each host expires, the first one on top; empty where no target is reached by TLS."""
    current = {certificate_host(t.base_url) for t in cache.targets(url) if t.state != "removed"}
    known = sorted((row for row in cache.certificates(url) if row.host in current), key=lambda row: row.expires_at)
    if not known:
        return Markup()
    return table(
        (Column("Host", "wrap"), "Expires", Column("Issuer", "left wrap"), "Location", "Last seen"),
        [
            (
                bold(row.host),
                _expiry(row.expires_at, now, zone),
                row.issuer,
                row.location,
                moment(row.seen_at, now, zone),
            )
            for row in known
        ],
        note="As shown when a probe made a connection, at most once an hour. Behind a proxy that opens TLS it is the "
        "proxy's own.",
    )


def _expiry(at: int, now: int, zone: str) -> Cell:
    left = formatting.duration(abs(at - now) / 1_000)
    text = f"in {left}" if at > now else f"expired {left} ago"
    return Cell(state("down", text) if at - now < EXPIRES_SOON_MS else text, formatting.exact(at, zone))


def collectors(url: str, now: int, zone: str) -> Markup:
    """A row for each collector at each location: its last day."""
    since = cache.rounded(now - DAY_MS, 60_000)
    last_day = activities(run for run in cache.runs(url, since) if run.collector != RELAY)
    if not last_day:
        return NOTHING.format("No collector ran in the last 24 hours.")
    columns = (
        "Collector",
        Column("Runs in the last 24 h", "strip"),
        "Last run",
        "Duration",
        "Rows",
        "Skipped",
        Column("Errors", "wrap"),
    )
    return table(columns, [_activity(each, since, now, zone) for each in last_day], kind="strips")


def _activity(each: Activity, since: int, now: int, zone: str) -> list[str | Cell]:
    failed = each.failed
    last_error = ""
    if failed and each.collector != CONFIGURATION:  # which has a card of its own as long as the file is wrong
        last_error = f"{formatting.ago(failed[-1].started_at, now)}: {failed[-1].error or ''}"
    return [
        bold(each.collector.replace("_", " ")) + below(each.location),
        status_bars(run_bars(each.runs, since, now + 1, BARS), zone, unit="run"),
        moment(each.last.ended_at, now, zone),
        formatting.seconds(each.duration_s),
        formatting.count(each.rows),
        formatting.count(each.skipped),
        formatting.count(each.failed_count) + below(last_error),
    ]


def relays(url: str, now: int, zone: str) -> Markup:
    """How each location's relay records, and the time that it adds; empty where none recorded anything in a day."""
    listed = traffic.relays(url, cache.rounded(now, 60_000))
    if not listed:
        return Markup()
    columns = (
        "Location",
        "Last recorded",
        "Rows",
        "Dropped",
        "Longest queue",
        "Added time p50",
        "p99",
        Column("Last error", "left wrap"),
    )
    return table(
        columns,
        [
            (
                bold(each.location),
                moment(each.last_at, now, zone),
                formatting.count(each.written),
                state("down", formatting.count(each.dropped)) if each.dropped else "0",
                formatting.count(each.longest_queue),
                _added(each.added_ms.p50),
                _added(each.added_ms.p99),
                each.error,
            )
            for each in listed
        ],
        note="Rows are attempts, in minutes that are over. The added time is the relay's own, of the last hour's "
        "requests.",
    )


def _added(ms: float | None) -> str | None:
    return None if ms is None else f"{ms:.1f} ms"


def internal_errors(url: str, now: int, zone: str) -> Markup:
    """The probes of the last day in which Uptoken itself failed, newest first; empty when there were none."""
    probes = cache.internal_errors(url, cache.rounded(now - DAY_MS, 60_000))
    if not probes:
        return Markup()
    more = f" The newest {MOST_ERRORS} of {formatting.count(len(probes))}." if len(probes) > MOST_ERRORS else ""
    return table(
        (Column("While probing", "wrap"), "Location", "Profile", "When"),
        [
            (
                state("down", "error") + " " + bold(probe.target) + below(probe.error),
                probe.location,
                probe.profile,
                moment(probe.started_at, now, zone),
            )
            for probe in probes[:MOST_ERRORS]
        ],
        note="This is a bug in Uptoken; please report it with the traceback that the collector wrote to standard "
        f"error.{more}",
    )


def from_the_future(url: str) -> Markup:
    """How many rows are from the future, and what to do; empty when there are none."""
    late = cache.from_the_future(url)
    if not late:
        return Markup()
    rows = ", ".join(f"{formatting.count(count)} in {name}" for name, count in late.items())
    return Markup(
        '<div class="u">{}. A clock was ahead when they were recorded, or the clock of this machine is behind. Health, '
        "budgets and schedules ignore them. <code>python -m collectors remove-future</code> lists and removes them."
        "</div>"
    ).format(rows)


def versions() -> Markup:
    """What this dashboard runs on."""
    known = [("Python", sys.version.split()[0]), ("System", f"{platform.system()} {platform.machine()}")]
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            known.append((name, version(name)))
    chips = Markup().join(Markup('<span class="u-chip">{} {}</span>').format(*pair) for pair in known)
    return Markup('<div class="u"><div class="u-chips" style="margin-top:0">{}</div></div>').format(chips)
