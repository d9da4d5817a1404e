"""The parts of the model page: what is asked of the statistics, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import loader, looks, words
from pages.shared.past import HOUR_MS, THROUGHPUT, past_of
from pages.shared.window import Window
from stats import rollups
from stats.answers import Answers
from stats.frames import frame
from stats.incidents import (
    Incident,
    Standing,
    mean_time_between_failures_s,
    mean_time_to_recovery_s,
)
from stats.latency import Percentiles
from stats.places import seen_by_most, share_up
from stats.strip import Bar
from stats.uptime import SuccessRate, Uptime
from store import Selection
from store.rows import PROBES, Model, Target

LAST_PROBES = 200
BARS = 140
COARSEST_S = 3_600.0
"""Bars that several places share are whole hours: each place has its own moments within one."""
LAST_COLUMNS = (
    "started_at",
    "location",
    "profile",
    "outcome",
    "ttft_ms",
    "total_ms",
    "tokens_per_second",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "provider",
    "lag_ms",
    "error",
)


@dataclass(frozen=True)
class Measure:
    """What is measured: its column, unit, and the profile that tells it (null: the target's own)."""

    column: str
    unit: str
    profile: str | None


MEASURES = {
    "time to first token": Measure("ttft_ms", "ms", None),
    "total time": Measure("total_ms", "ms", None),
    "output speed": Measure("tokens_per_second", "tok/s", THROUGHPUT),
}


@dataclass(frozen=True)
class View:
    """What the live part of the page says of one target at one location."""

    target: Target
    model: Model | None
    standing: Standing
    uptime: Uptime
    success: SuccessRate
    bars: list[Bar]
    incidents: list[Incident]
    ttft: Percentiles
    ttft_line: list[float | None]
    speed: Percentiles
    speed_line: list[float | None]
    answers: Answers


def view(url: str, target: Target, window: Window, now: int) -> View:
    """Ask for everything that the live part says."""
    past = past_of(url, target, window, now)
    return View(
        target=target,
        model=loader.model_of(target, loader.models(url)),
        standing=Standing("waiting", None) if target.state == "waiting_for_key" else past.standing(),
        uptime=past.uptime(),
        success=past.success_rate(),
        bars=past.bars(BARS),
        incidents=past.incidents(),
        ttft=past.percentiles(target.profile, "ttft_ms"),
        ttft_line=past.median_line(target.profile, "ttft_ms"),
        speed=past.percentiles(THROUGHPUT, "tokens_per_second"),
        speed_line=past.median_line(THROUGHPUT, "tokens_per_second"),
        answers=past.answers(),
    )


def everywhere(url: str, target: Target, places: list[str], window: Window, now: int, zone: str) -> str:
    """A target that is probed from several places: its strip as most of them see it."""
    until = now if window.is_live else window.until
    since, ends = window.since - window.since % HOUR_MS, until - until % HOUR_MS + HOUR_MS
    rows = [row for row in loader.rollups(url, (target.name,), since, ends) if row[2] == target.profile]
    each = [
        rollups.strip([row for row in rows if row[1] == place], since, ends, COARSEST_S, BARS)
        for place in sorted({row[1] for row in rows})
    ]
    bars = seen_by_most(each)
    heading = looks.title("Everywhere", f"from {len(places)} locations: down only where most of them see it")
    share = words.percent(share_up(bars))
    return f'<div class="u u-card">{heading}<b>{share}</b>{looks.strip(bars, zone, big=True)}</div>'


def header(seen: View, now: int, zone: str) -> str:
    """The head of the page, in the manner of a router's model page."""
    target, model = seen.target, seen.model
    facts = [f"<code>{escape(target.model)}</code>"]
    chips: list[str] = []
    if model is not None:
        facts += [f"created {words.day(model.created_at, zone)}"] if model.created_at is not None else []
        facts += [f"{model.context_tokens:,d} context"] if model.context_tokens is not None else []
        if model.usd_per_million_input is not None and model.usd_per_million_output is not None:
            price_in, price_out = words.price(model.usd_per_million_input), words.price(model.usd_per_million_output)
            facts.append(f"{price_in} in, {price_out} out per million tokens")
        else:
            facts.append("price not known")
        chips += (model.input_modalities or "").split(",") + (model.supported_parameters or "").split(",")[:8]
    else:
        facts.append("context and price not known yet")
    chips += [f"by {target.provider}"] if target.provider else []
    chips += (target.tags or "").split(",")
    chip_html = "".join(f'<span class="u-chip">{escape(chip.replace("_", " "))}</span>' for chip in chips if chip)
    description = model.description if model is not None else None
    about = f'<div style="margin-top:10px;max-width:76ch" class="q">{escape(description)}</div>' if description else ""
    return (
        f'<div class="u u-head"><h1>{escape(target.name)}</h1>'
        f'<div class="facts">{"".join(f"<span>{fact}</span>" for fact in facts)}</div>{about}'
        f'<div class="u-chips">{chip_html}{_state(seen.standing, target, now, zone)}</div></div>'
    )


def _state(standing: Standing, target: Target, now: int, zone: str) -> str:
    said = {
        "up": "up",
        "down": "down",
        "not_counted": (standing.outcome or "").replace("_", " "),
        "stale": "no probe",
        "never": "not probed in this window",
        "waiting": words.waiting_for_key(target.api_key_env),
    }[standing.word]
    since = f" since {words.clock(standing.since, zone, now)}" if standing.since is not None else ""
    return looks.state(standing.word, said + since)


def numbers(seen: View) -> list[looks.Metric]:
    """The numbers below the head."""
    up, rated, right = seen.uptime, seen.success, seen.answers
    low, high = up.strict
    strict = f"If all that is unknown was down: {words.percent(low)}; if all of it was up: {words.percent(high)}"
    note = words.uptime_note(up)
    if up.share is not None:
        note = f"{words.bounds(up.interval)} (95%), {words.probes(up.probes)}, coverage {words.percent(up.coverage)}"
    p95 = f" / {words.milliseconds(seen.ttft.p95)}" if seen.ttft.p95 is not None else ""
    left_out = f", {seen.ttft.left_out} left out (this machine was overloaded)" if seen.ttft.left_out else ""
    small = "few samples: " if seen.ttft.is_small and seen.ttft.count else ""
    shares = [bar.up_s / (bar.up_s + bar.down_s) if bar.up_s + bar.down_s else None for bar in seen.bars]
    return [
        looks.Metric("Uptime", words.percent(up.share), note, strict, shares, "area"),
        looks.Metric(
            "TTFT, p50 and p95",
            f"{words.milliseconds(seen.ttft.p50)}{p95} ms",
            f"{small}{words.probes(seen.ttft.count)}{left_out}",
            "Time to first token: from the request's last byte to the first chunk with text, reasoning or a tool call",
            seen.ttft_line,
        ),
        looks.Metric(
            "Output speed, median",
            f"{words.rate(seen.speed.p50)} tok/s",
            f"{words.count(seen.speed.count)} throughput {'probe' if seen.speed.count == 1 else 'probes'}",
            "Tokens per second after the first token; a router's own figure may include the time to the first",
            seen.speed_line,
        ),
        looks.Metric(
            "Requests that succeeded",
            words.percent(rated.share),
            f"{words.count(rated.ok)} of {words.count(rated.ok + rated.failed)}",
            "Of all requests that count, confirmations of failures too; not the same as uptime, which is about time",
        ),
        looks.Metric(
            "Answers right",
            words.percent(right.share),
            f"{words.count(right.right)} of {words.count(right.checked)} fresh sums",
            "Whether the reply named the right sum. It says something of the model, and nothing of its uptime",
        ),
    ]


def uptime_card(seen: View, window: Window, now: int, zone: str) -> str:
    """The strip, and the incidents below it in words."""
    count = len(seen.incidents)
    if count:
        total_s = sum(incident.duration_s(now) for incident in seen.incidents)
        recovery_s = mean_time_to_recovery_s(seen.incidents)
        between_s = mean_time_between_failures_s(seen.incidents, seen.uptime.up_s)
        mean = f"; mean time to recovery {words.duration(recovery_s)}" if recovery_s is not None else ""
        mean += f", between failures {words.duration(between_s)}" if count > 1 and between_s else ""
        said = f"{count} incident{'' if count == 1 else 's'}, {words.duration(total_s)} in all{mean}"
    else:
        said = "no incident"
    newest = "".join(
        f"<div>{escape(_incident(incident, now, zone))}</div>" for incident in reversed(seen.incidents[-3:])
    )
    return (
        f'<div class="u u-card"><div class="u-title">Uptime</div>{looks.strip(seen.bars, zone, big=True)}'
        f'<div class="u-axis"><span>{words.clock(seen.bars[0].since, zone, now)}</span><span>{said}</span>'
        f"<span>{'now' if window.is_live else words.clock(window.until, zone, now)}</span></div>"
        f'<div class="q" style="margin-top:4px">{newest}</div></div>'
    )


def _incident(incident: Incident, now: int, zone: str) -> str:
    lasted = words.duration(incident.duration_s(now))
    ended = "still down" if incident.ended_at is None else f"down for {lasted}"
    why = f": {incident.error}" if incident.error else ""
    return f"{words.clock(incident.began_at, zone, now)}, {ended}, {incident.cause.replace('_', ' ')}{why}"


def last_probes(url: str, target: Target, zone: str) -> pd.DataFrame:
    """The newest probes of a target, whatever the window, with local times."""
    selection = Selection(targets=(target.name,))
    rows = loader.store().read(PROBES, selection, columns=LAST_COLUMNS, newest_first=True, limit=LAST_PROBES)
    data = frame(PROBES, rows, LAST_COLUMNS)
    data["started_at"] = pd.to_datetime(data["started_at"], unit="ms", utc=True).dt.tz_convert(zone)
    return data


def columns() -> dict[str, Any]:
    """How the table of last probes is shown."""
    number = st.column_config.NumberColumn
    return {
        "started_at": st.column_config.DatetimeColumn("started", format="D MMM, HH:mm:ss"),
        "outcome": st.column_config.TextColumn("outcome", width=120),
        "ttft_ms": number("TTFT, ms", format="%.0f"),
        "total_ms": number("total, ms", format="%.0f"),
        "tokens_per_second": number("tok/s", format="%.1f"),
        "prompt_tokens": number("prompt tokens"),
        "completion_tokens": number("completion tokens"),
        "cost_usd": number("cost, USD", format="%.6f"),
        "lag_ms": number("lag, ms", format="%.1f", help="How late the collector's own machine was meanwhile"),
        "error": st.column_config.TextColumn("error", width="large"),
    }
