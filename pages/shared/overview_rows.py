"""The overview's rows: what is asked of the statistics for each target, and how a row is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from statistics import median
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from pages.shared import glossary, identity, loader, looks, words
from pages.shared.model_parts import RESTING_WORDS, last_seen
from pages.shared.numbers import Metric
from pages.shared.past import DAY_MS, HOUR_MS, INCIDENTS_SINCE_MS
from pages.shared.window import Window, in_link, now_ms, zone
from stats import rollups
from stats.incidents import Standing, kept, standing, standing_of, standing_unprobed
from stats.latency import Percentiles, median_line, percentiles
from stats.strip import Bar, strip, strip_began
from stats.uptime import Uptime, uptime
from store.rows import Incident, Model, Probe, Target


@dataclass(frozen=True)
class Course:
    """How a target did over the window: its strip, and its medians."""

    bars: list[Bar]
    ttft_line: list[float | None]
    speed_line: list[float | None]


@dataclass(frozen=True)
class Row:
    """What one target's row says."""

    target: Target
    model: Model | None
    standing: Standing
    uptime: Uptime
    ttft: Percentiles
    speed: Percentiles
    last_at: int | None
    newest: Probe | None
    course: Callable[[], Course]
    """Asked of the rows that are drawn alone."""


@dataclass(frozen=True)
class Wish:
    """Which targets are looked for: a part of their name, model or tags; whether only those that are not up; whether
    all of them, or the first `MOST_ROWS`.
    """

    text: str = ""
    only_troubled: bool = False
    everything: bool = False

    def fits(self, row: Row) -> bool:
        """Whether a row is wanted."""
        target = row.target
        said = f"{target.name} {target.model} {target.provider or ''} {target.tags or ''}".lower()
        return all(part in said for part in self.text.lower().split()) and not (
            self.only_troubled and row.standing.word == "up"
        )


@dataclass(frozen=True)
class Shown:
    """What the live part shows, ready to be sent; `is_new` when no target was ever probed."""

    is_new: bool
    rows: list[Row]
    metrics: list[Metric]
    table: str


MOST_ROWS = 30
"""Those that are down come first; the rest is a click, or a search, away."""
SLOT_MS = 10_000
"""So long the live part is the same for all who look at the same range."""


def shown(url: str, window: Window, wish: Wish) -> Shown:
    """The live part's content: made once in `SLOT_MS`, however many look at it."""
    since = None if window.is_live else window.since
    asked = (since, window.until - window.since, window.words, wish.text, wish.only_troubled, wish.everything)
    return _shown(url, *asked, zone(), tuple(in_link().items()), loader.rounded(now_ms(), SLOT_MS))


@st.cache_resource(ttl=60, max_entries=16, show_spinner=False)  # not copied for each viewer: nobody changes it
def _shown(
    url: str,
    since: int | None,
    span: int,
    said: str,
    text: str,
    only_troubled: bool,
    everything: bool,
    zone: str,
    link: tuple[tuple[str, str], ...],
    slot: int,
) -> Shown:
    now = now_ms()
    window = Window(now - span, now, True, said) if since is None else Window(since, since + span, False, said)
    found = rows(url, [target for target in loader.targets(url) if target.state != "removed"], window, now)
    if all(row.last_at is None for row in found):
        return Shown(True, [], [], "")
    wish = Wish(text, only_troubled)
    wanted = [row for row in found if wish.fits(row)]
    rows_html = table(url, wanted, now, zone, dict(link), everything=everything)
    return Shown(False, wanted, summary(url, wanted, window, now), rows_html)


LONG_MS = 28 * DAY_MS
"""From here on an overview is told in whole days (UTC), and says so: the hours of its first day would be three quarters
of all rows."""
RAW_AT_MOST = 50_000
"""Probes in a window up to which the raw ones are read: their strips have finer bars, and it takes 0.1 s."""


def rows(url: str, targets: list[Target], window: Window, now: int) -> list[Row]:
    """A row for each target at each location, as configured: those that are down first, then by name."""
    told = _from_probes if _is_raw(url, targets, window) else _from_rollups
    found = told(url, targets, window, now)
    order = {"down": 0, "not_counted": 1, "stale": 2, "waiting": 4, "disabled": 5}
    return sorted(found, key=lambda row: order.get(row.standing.word, 3))


def _is_raw(url: str, targets: list[Target], window: Window) -> bool:
    began = max(window.since, min(loader.first_at(url).values(), default=0))
    return loader.raw_is_cheap(targets, window.until - began, RAW_AT_MOST)


def _from_rollups(url: str, targets: list[Target], window: Window, now: int) -> list[Row]:
    """The same from what the probes came to by hour and day; the window begins with an hour, a long one with a day."""
    until = window.until if not window.is_live else now
    since = loader.rounded(window.since, DAY_MS if until - window.since > LONG_MS else HOUR_MS)
    by_series: dict[tuple[str, str], dict[str, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
    step_ms = DAY_MS if window.is_live else HOUR_MS  # nothing lies behind now, so today may be told as a day
    ends = loader.rounded(until, step_ms) + step_ms
    for row in loader.coarse_rollups(url, since, ends):
        by_series[row[0], row[1]][row[2]].append(row)
    incidents: dict[tuple[str, str, str], list[Incident]] = defaultdict(list)
    for incident in loader.incidents(url, (), since - INCIDENTS_SINCE_MS, ends):
        incidents[incident.target, incident.location, incident.profile].append(incident)
    models, first_at = loader.models(url), loader.first_at(url)
    newest = {(p.target, p.location, p.profile): p for p in loader.newest(url)}
    found = []
    for target in targets:
        mine = by_series[target.name, target.location]
        series = (target.name, target.location, target.profile)
        pings, rates = mine[target.profile], mine["throughput"]
        began = max(since, first_at.get(target.name, now))
        summed = rollups.summaries(pings, ("ttft_ms",)).get(series, rollups.Summary())
        speed = rollups.summaries(rates, ("tokens_per_second",)).get((*series[:2], "throughput"), rollups.Summary())
        last = newest.get(series)
        state = standing_of(last, kept(incidents[series]), until, target.every_s)
        found.append(
            Row(
                target=target,
                model=loader.model_of(target, models),
                standing=standing_unprobed(target.state) or state,
                uptime=summed.uptime(began, until),
                ttft=summed.percentiles("ttft_ms"),
                speed=speed.percentiles("tokens_per_second"),
                last_at=last.started_at if last is not None else None,
                newest=last,
                course=partial(_course, pings, rates, since, until, target.every_s),
            )
        )
    return found


def _course(pings: list[rollups.Row], rates: list[rollups.Row], since: int, until: int, every_s: float) -> Course:
    return Course(
        rollups.strip(pings, since, until, every_s),
        rollups.median_line(pings, "ttft_ms"),
        rollups.median_line(rates, "tokens_per_second"),
    )


def _from_probes(url: str, targets: list[Target], window: Window, now: int) -> list[Row]:
    since, until = loader.rounded(window.since), window.until if not window.is_live else loader.rounded(now) + 5_000
    probes = loader.probes(url, (), since, until)
    by_series = dict(iter(probes.groupby(["target", "location"])))
    models, first_at = loader.models(url), loader.first_at(url)
    newest = {(p.target, p.location): p for p in loader.newest(url) if p.profile != "throughput"}
    found = []
    for target in targets:
        mine = by_series.get((target.name, target.location), probes.iloc[:0])
        began = first_at.get(target.name, now)
        found.append(_row(target, mine, loader.model_of(target, models), window, now, began, newest))
    return found


def _row(
    target: Target,
    probes: pd.DataFrame,
    model: Model | None,
    window: Window,
    now: int,
    began: int,
    newest: dict[tuple[str, str], Probe],
) -> Row:
    pings = probes[probes["profile"] == target.profile]
    until = now if window.is_live else window.until
    # a target that is younger than the window is not held to the time before it was there
    asked_since = max(window.since, began)
    strip_since = strip_began(window.since, until, began, target.every_s)
    state = standing_unprobed(target.state) or standing(pings, until, target.every_s)
    last = newest.get((target.name, target.location))
    return Row(
        target=target,
        model=model,
        standing=state,
        uptime=uptime(pings, asked_since, until),
        ttft=percentiles(pings, "ttft_ms"),
        speed=percentiles(probes[probes["profile"] == "throughput"], "tokens_per_second"),
        last_at=last.started_at if last is not None else None,
        newest=last,
        course=lambda: Course(
            strip(pings, strip_since, until, target.every_s),
            median_line(pings, "ttft_ms", window.since, window.until),
            median_line(probes, "tokens_per_second", window.since, window.until),
        ),
    )


def summary(url: str, found: list[Row], window: Window, now: int) -> list[Metric]:
    """The four numbers on top."""
    judged = [row for row in found if row.standing.word in ("up", "down", "not_counted", "stale")]
    up = [row for row in judged if row.standing.word == "up"]
    down = [row for row in judged if row.standing.word == "down"]
    if down:
        longest = min(down, key=lambda row: row.standing.since or 0)
        for_s = (now - (longest.standing.since or longest.last_at or now)) / 1_000
        note = f"{len(down)} down, {longest.target.name} for {words.duration(for_s)}"
    else:
        waiting = sum(row.standing.word == "waiting" for row in found)
        note = f"{waiting} waiting for a key" if waiting else "none is down"
    medians = [row.ttft.p50 for row in found if row.ttft.p50 is not None]
    middle = median(medians) if medians else None
    probes = sum(row.uptime.probes for row in found)
    day = now - now % 86_400_000
    spent = loader.spending(url, day, day + 86_400_000)
    requests = sum(spending.requests for spending in spent)
    usd = sum(spending.cost_usd for spending in spent)
    unpriced = sum(spending.unpriced_requests for spending in spent)
    unknown = f", {unpriced} of them at an unknown price" if unpriced else ""
    covered = [row.uptime.coverage for row in judged]
    coverage = words.percent(sum(covered) / len(covered)) if covered else words.DASH
    targets = [row.target for row in found]
    days = ", whole days (UTC)" if window.until - window.since > LONG_MS and not _is_raw(url, targets, window) else ""
    return [
        Metric("Targets up", str(len(up)), f"of {len(judged)}", note, tone="down" if down else ""),
        Metric(
            "Median time to first token",
            words.milliseconds(middle),
            "ms",
            f"over {words.plural(len(medians), 'target')} {window.words}",
            "TTFT",
        ),
        Metric(
            f"Probes {window.words}", words.count(probes), "", f"{coverage} of the time is covered{days}", "coverage"
        ),
        Metric(
            "Spent today (UTC)",
            words.money(usd),
            "",
            f"{words.count(requests)} requests{unknown}{_month(url, now)}",
            "spent",
        ),
    ]


def _month(url: str, now: int) -> str:
    """This month's cost so far, and what it will come to."""
    found = loader.costs(url, loader.rounded(now, 300_000))
    so_far, in_all = sum(cost.month_usd for cost in found), sum(cost.projected_usd for cost in found)
    return f"; this month {words.money(so_far)}, at this pace {words.money(in_all)}" if in_all else ""


def table(url: str, found: list[Row], now: int, zone: str, link: dict[str, str], *, everything: bool = True) -> str:
    """The first `MOST_ROWS` as HTML, or all. `link` is what a link to a target's page carries along."""
    if not found:
        return '<div class="u u-card q">No target is like that. Clear the search above.</div>'
    shown = [(row, row.course()) for row in (found if everything else found[:MOST_ROWS])]
    widths = {course.bars[0].until - course.bars[0].since for _, course in shown}
    each = words.duration(min(widths) / 1_000) if len(widths) == 1 else f"{words.duration(min(widths) / 1_000)} or more"
    head = (
        f'<div class="u-row head"><div>{glossary.term("target", "Target")}</div>'
        f"<div>{glossary.term('uptime', 'Uptime')}, each bar {each}</div>"
        f"<div>{glossary.term('TTFT', 'Time to first token')}</div>"
        f"<div>{glossary.term('output speed', 'Output speed')}</div>"
        f"<div>{glossary.term('context', 'Context')}, {glossary.term('price', 'price per M')}</div>"
        '<div class="last">Last probe</div></div>'
    )
    places, numbers = len({row.target.location for row in found}), identity.numbers(url)
    body = "".join(
        _html(
            row,
            course,
            now,
            zone,
            places > 1,
            numbers.get(row.target.name, 0),
            link,
            loader.resting(url, row.target, now),
        )
        for row, course in shown
    )
    return f'<div class="u u-list">{head}{body}</div>'


def _html(
    row: Row,
    course: Course,
    now: int,
    zone: str,
    say_location: bool,
    number: int,
    carried: dict[str, str],
    rest: tuple[int, str] | None,
) -> str:
    target, colour = row.target, identity.variable(number)
    where = f" · {escape(target.location)}" if say_location else ""
    link = escape(f"model?{urlencode({'target': target.name} | carried)}", quote=True)
    last = words.exact(row.last_at, zone) if row.last_at is not None else ""
    return (
        f'<div class="u-row{" off" if row.standing.word == "disabled" else ""}">'
        f'<div class="wide"><a href="{link}" target="_self" data-target="{escape(target.name, quote=True)}">'
        f"{looks.swatch(colour)}{escape(target.name)}</a><br><code>{escape(target.model)}</code>{where}<br>"
        f"{_state(row, now, zone, rest)}</div>"
        f'<div class="wide">{looks.strip(course.bars, zone)}<div style="margin-top:5px"><b>'
        f'{words.percent(row.uptime.share) if row.uptime.share is not None else ""}</b> <span class="q">'
        f"{words.uptime_note(row.uptime) if row.standing.word != 'waiting' else 'not probed'}</span></div></div>"
        f"<div>{_number(row.ttft, words.milliseconds, 'ms', True)}{looks.spark(course.ttft_line, colour)}</div>"
        f"<div>{_number(row.speed, words.rate, 'tok/s', False)}{looks.spark(course.speed_line, colour)}</div>"
        f"<div>{_facts(row.model)}</div>"
        f'<div class="last" data-tip="{last}"><span class="only-narrow">last probe</span>'
        f"{words.ago(row.last_at, now)}</div></div>"
    )


def _state(row: Row, now: int, zone: str, rest: tuple[int, str] | None) -> str:
    standing = row.standing
    if rest is not None:
        until, why = rest
        said = f'<span data-tip="{escape(why, quote=True)}">{{}}</span>'
        text = f"resting until {words.until(until, zone, now)}"
        if standing.word in RESTING_WORDS:
            return said.format(looks.state("not_counted", text))
        return _state(row, now, zone, None) + said.format(f'<span class="q">, {text}</span>')
    if standing.word == "waiting":
        return looks.state("waiting", words.waiting_for_key(row.target.api_key_env))
    if standing.word == "never":
        return looks.state("never", "not probed in this window")
    if standing.word == "not_counted":
        return looks.state("not_counted", words.outcome(standing.outcome), last_seen(standing, row.newest))
    if standing.word == "stale":
        return looks.state("stale", f"no probe since {words.clock(standing.since or now, zone, now)}")
    since = "" if standing.since is None else f", {words.duration((now - standing.since) / 1_000)}"
    return looks.state(standing.word, f"{standing.word}{since}", last_seen(standing, row.newest))


def _number(value: Percentiles, write: object, unit: str, with_p95: bool) -> str:
    assert callable(write)
    if value.p50 is None:
        return f'<span class="q">{words.DASH}</span>'
    p95 = f" p95 {write(value.p95)}" if with_p95 and not value.is_small else f" · {words.probes(value.count)}"
    return f'<span class="big">{write(value.p50)}</span> <span class="q">{unit}{p95}</span>'


def _facts(model: Model | None) -> str:
    if model is None:
        return f'<span class="q">{words.DASH}</span>'
    prices = {model.usd_per_million_input, model.usd_per_million_output}
    if prices == {"0"}:
        price = "free"
    elif None in prices:
        price = "price not known"
    else:
        price = f"{words.price(model.usd_per_million_input)} / {words.price(model.usd_per_million_output)}"
    return f'{words.context(model.context_tokens)}<br><span class="q">{price}</span>'
