"""The parts of the model page: what is asked of the statistics, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from pages.components import formatting, glossary, theme
from pages.components.metric import Metric
from pages.queries import cache
from pages.queries.target_history import BARS, PARTS_OF_A_BAR, THROUGHPUT, Gaps, target_histories, target_history
from pages.queries.time_range import TimeRange
from pages.sections.model_providers import other_prices
from pages.shell.time_range import in_link
from stats.consensus import seen_by_most
from stats.correctness import Answers
from stats.incidents import (
    Incident,
    TargetState,
    mean_time_between_failures_s,
    mean_time_to_recovery_s,
)
from stats.samples import Percentiles
from stats.status_bars import Bar
from stats.uptime import SuccessRate, Uptime
from store import Selection
from store.clock import DAY_MS
from store.schema import DOWN, PROBES, Model, Probe, Target

LAST_PROBES = 50
RESTING_WORDS = ("not_counted", "stale", "never")
"""Of a target that rests, these say no more than that it does."""
LAST_COLUMNS = (
    "started_at",
    "location",
    "profile",
    "outcome",
    "http_status",
    "ttft_ms",
    "first_answer_ms",
    "total_ms",
    "tokens_per_second",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "tokens_source",
    "cost_usd",
    "answer_ok",
    "provider",
    "finish_reason",
    "lag_ms",
    "error",
    "itl_p50_ms",
    "itl_p99_ms",
    "system_fingerprint",
)


@dataclass(frozen=True)
class Measure:
    """What is measured: its column, unit, the profile that tells it (null: the target's own), how it is written."""

    column: str
    unit: str
    profile: str | None
    write: Callable[[float], str]


MEASURES = {
    "time to first token": Measure("ttft_ms", "ms", None, formatting.milliseconds),
    "total time": Measure("total_ms", "ms", None, formatting.milliseconds),
    "output speed": Measure("tokens_per_second", "tok/s", THROUGHPUT, formatting.rate),
}


@dataclass(frozen=True)
class View:
    """What the live part of the page says of one target at one location."""

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


def view(url: str, target: Target, window: TimeRange, now: int) -> View:
    """Ask for everything that the live part says."""
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


def everywhere(url: str, target: Target, places: list[str], window: TimeRange, now: int, zone: str) -> str:
    """A target that is probed from several places: its strip as most of them see it."""
    everyone = [other for other in cache.targets(url) if other.name == target.name and other.location in places]
    histories = target_histories(url, everyone, window, now, parts=PARTS_OF_A_BAR)
    first, every_s = histories[0], max(other.every_s for other in everyone)
    each = [history.of(history.target.profile) for history in histories]
    seen = seen_by_most(each, first.since, first.ends, first.first_at, every_s, BARS)
    heading = theme.title("Everywhere", f"from {len(places)} locations: down only where most of them see it")
    covered = f"coverage {formatting.percent(seen.uptime.coverage)}"
    note = formatting.uptime_note(seen.uptime) if seen.uptime.share is None else covered
    up = f'<b>{formatting.percent(seen.uptime.share)}</b> <span class="q">{note}</span>'
    return f'<div class="u u-card">{heading}{up}{theme.strip(seen.bars, zone, big=True)}</div>'


def header(seen: View, colour: str, now: int, zone: str) -> str:
    """The head of the page, in the manner of a router's model page."""
    target, model = seen.target, seen.model
    facts = [f"<code>{escape(target.model)}</code>"]
    chips: list[str] = []
    if model is not None:
        facts += [f"created {formatting.day(model.created_at, zone)}"] if model.created_at is not None else []
        facts += [f"{model.context_tokens:,d} context"] if model.context_tokens is not None else []
        facts += [_leaving(model.expires_at, now)] if model.expires_at is not None else []
        if model.usd_per_million_input is not None and model.usd_per_million_output is not None:
            price_in, price_out = (
                formatting.price(model.usd_per_million_input),
                formatting.price(model.usd_per_million_output),
            )
            facts.append(f"{price_in} in, {price_out} out per million tokens")
            facts += [escape(line) for line in other_prices(model)]
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
    state, rest = _state(seen, now, zone), ""
    if seen.rest is not None and seen.state.status in RESTING_WORDS:
        state = theme.state("not_counted", "resting")
    if seen.rest is not None:
        until, why = seen.rest
        said = (
            f"Resting until {formatting.until(until, zone, now)}: {why}. It is not probed before; that time is a gap."
        )
        rest = f'<div class="q" style="margin-top:8px" role="status">{escape(said)}</div>'
    return (
        f'<div class="u u-head"><h1>{theme.swatch(colour)}{escape(target.name)}</h1>'
        f'<div class="facts">{"".join(f"<span>{fact}</span>" for fact in facts)}</div>{about}'
        f'<div class="u-chips">{chip_html}{state}</div>{rest}</div>'
    )


def _leaving(expires_at: int, now: int) -> str:
    """The router names a UTC day after which it may remove a model."""
    said = "leaves on" if now < expires_at + DAY_MS else "was to leave on"
    return f"{said} {formatting.short_day(expires_at, 'UTC')}"


def _state(view: View, now: int, zone: str) -> str:
    state, target = view.state, view.target
    said = {
        "up": "up",
        "down": "down",
        "not_counted": formatting.outcome(state.outcome),
        "stale": "no probe",
        "never": "not probed in this window",
        "waiting": formatting.waiting_for_key(target.api_key_env),
        "disabled": "disabled",
    }[state.status]
    since = f" since {formatting.clock(state.since, zone, now)}" if state.since is not None else ""
    return theme.state(state.status, said + since, last_seen(state, view.newest))


def last_seen(state: TargetState, newest: Probe | None) -> str:
    """What the newest probe saw, where it is what a state rests on."""
    if newest is None or newest.outcome != state.outcome:
        return ""
    return f"The newest probe: {formatting.outcome(newest.outcome)}. {formatting.seen(asdict(newest))}"


def numbers(seen: View, colour: str) -> list[Metric]:
    """The numbers below the head."""
    up, rated, right = seen.uptime, seen.success, seen.answers
    strict, note = "", formatting.uptime_note(up)
    if up.share is not None:
        low, high = up.strict
        strict = f"If all that is unknown was down: {formatting.percent(low)}"
        strict += f"; if all of it was up: {formatting.percent(high)}."
        interval, coverage = formatting.bounds(up.interval), formatting.percent(up.coverage)
        note = f"{interval} (95%), {formatting.probes(up.probes)}, coverage {coverage}"
    p95 = f"/ {formatting.milliseconds(seen.ttft.p95)}" if seen.ttft.p95 is not None else ""
    left_out = f", {seen.ttft.left_out} left out (this machine was overloaded)" if seen.ttft.left_out else ""
    checked = _CHECKED.get(seen.target.answer_check or "sum", "checked answers")
    small = "few samples: " if seen.ttft.is_small and seen.ttft.count else ""
    return [
        Metric("Uptime", formatting.percent(up.share), "", note, "uptime", strict),
        Metric(
            "TTFT, p50 and p95",
            formatting.milliseconds(seen.ttft.p50),
            f"{p95} ms",
            f"{small}{formatting.probes(seen.ttft.count)}{left_out}",
            "TTFT",
            course=seen.ttft_line,
            colour=colour,
        ),
        *_first_answer(seen),
        Metric(
            "Output speed, median",
            formatting.rate(seen.speed.p50),
            "tok/s",
            formatting.plural(seen.speed.count, "throughput probe"),
            "output speed",
            course=seen.speed_line,
            colour=colour,
        ),
        Metric(
            "Requests that succeeded",
            formatting.percent(rated.share),
            "",
            f"{formatting.count(rated.ok)} of {formatting.count(rated.ok + rated.failed)}",
            "success rate",
        ),
        Metric(
            "Answers right",
            formatting.percent(right.share),
            "",
            f"{formatting.count(right.right)} of {formatting.count(right.checked)} {checked}",
            "answers right",
        ),
    ]


_CHECKED = {"sum": "fresh sums", "echo": "fresh numbers to repeat"}


def _first_answer(seen: View) -> list[Metric]:
    """The wait for visible text, of a model that reasons first."""
    found = seen.first_answer
    if found is None:
        return []
    return [
        Metric(
            "Time to first answer token",
            formatting.milliseconds(found.p50),
            f"/ {formatting.milliseconds(found.p95)} ms",
            f"p50 and p95, {formatting.probes(found.count)}{seen.newest_note}",
            "first answer",
        )
    ]


def uptime_card(url: str, seen: View, window: TimeRange, now: int, zone: str) -> str:
    """The strip, and the incidents below it in words."""
    count = len(seen.incidents)
    if count:
        total_s = sum(incident.duration_s(seen.since, seen.until) for incident in seen.incidents)
        recovery_s = mean_time_to_recovery_s(seen.incidents)
        between_s = mean_time_between_failures_s(seen.incidents, seen.uptime.up_s)
        mean = f"; mean time to recovery {formatting.duration(recovery_s)}" if recovery_s is not None else ""
        mean += f", between failures {formatting.duration(between_s)}" if count > 1 and between_s else ""
        said = f"{count} incident{'' if count == 1 else 's'}, {formatting.duration(total_s)} in all{mean}"
    else:
        said = "no incident"
    newest = "".join(
        f"<div>{_incident(url, seen, incident, now, zone)}</div>" for incident in reversed(seen.incidents[-3:])
    )
    return (
        f'<div class="u u-card"><div class="u-title">Uptime</div>{theme.strip(seen.bars, zone, big=True)}'
        f'<div class="u-axis"><span>{formatting.clock(seen.bars[0].since, zone, now)}</span><span>{said}</span>'
        f"<span>{'now' if window.is_live else formatting.clock(window.until, zone, now)}</span></div>"
        f'<div class="q" style="margin-top:4px">{newest}</div></div>'
    )


def _incident(url: str, seen: View, incident: Incident, now: int, zone: str) -> str:
    target = seen.target
    if incident.ended_at is not None:
        ended = f"down for {formatting.duration(incident.duration_s())}"
    elif incident.is_known_now:
        ended = "still down"
    else:
        ended = f"unknown after {formatting.clock(incident.seen_until, zone, now)}"
    if incident.began_at < seen.since or (incident.ended_at or incident.seen_until) > seen.until:
        ended += f", {formatting.duration(incident.duration_s(seen.since, seen.until))} of it in this range"
    why = f": {incident.error}" if incident.error else ""
    first = cache.probe_at(url, target.name, target.location, target.profile, incident.began_at)
    tip = f"{formatting.probes(incident.probes)} failed"
    if first is not None:
        tip += f". The first: {formatting.outcome(first.outcome)}. {formatting.seen(asdict(first))}"
    said = f"{formatting.clock(incident.began_at, zone, now)}, {ended}, {formatting.outcome(incident.cause)}{why}"
    return theme.with_tip(escape(said), tip)


def last_probes(url: str, target: Target, now: int, zone: str) -> str:
    """The newest probes of a target, whatever the window."""
    selection = Selection(targets=(target.name,))
    rows = cache.store(url).read(PROBES, selection, columns=LAST_COLUMNS, newest_first=True, limit=LAST_PROBES)
    listed = [dict(zip(LAST_COLUMNS, row, strict=True)) for row in rows]
    reasons = any(_is_later(probe) for probe in listed)
    heads = (
        "Started",
        "Profile",
        "Outcome",
        glossary.term("TTFT"),
        *([glossary.term("first answer", "First answer")] if reasons else []),
        glossary.term("total time", "Total"),
        glossary.term("output speed", "Speed"),
        "Tokens in, out",
        "Cost",
        "Provider",
        glossary.term("lag", "Lag"),
        "Error",
    )
    head = "".join(f"<th>{text}</th>" for text in heads)
    changed = _fingerprint_changes(listed)
    body = "".join(_last(probe, now, zone, reasons, changed.get(place)) for place, probe in enumerate(listed))
    everything = f"export?{urlencode({'table': 'probes', 'only': target.name} | in_link())}"
    return (
        '<div class="u"><div class="u-scroll" tabindex="0" role="region" aria-label="Last probes" '
        f'style="max-height:420px"><table class="u-table last"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        f'<div class="q" style="margin-top:8px"><a href="{escape(everything, quote=True)}" target="_self">'
        "All of them, to look at and to download</a></div></div>"
    )


def _is_later(probe: Mapping[str, Any]) -> bool:
    """Whether its answer came after something else: reasoning."""
    first, answer = probe["ttft_ms"], probe["first_answer_ms"]
    return first is not None and answer is not None and answer > first


def _fingerprint_changes(newest_first: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By place, what another configuration of the server was before. Places that say none are passed over."""
    known = [
        (place, probe["location"], str(probe["system_fingerprint"]))
        for place, probe in enumerate(newest_first)
        if probe["system_fingerprint"]
    ]
    found, later = {}, dict[str, tuple[int, str]]()
    for place, location, fingerprint in known:
        if location in later and later[location][1] != fingerprint:
            found[later[location][0]] = fingerprint
        later[location] = (place, fingerprint)
    return found


def _last(probe: Mapping[str, Any], now: int, zone: str, reasons: bool, before: str | None) -> str:
    outcome = str(probe["outcome"])
    kind = "up" if outcome == "ok" else "down" if outcome in DOWN else "not_counted"
    tokens = " / ".join(
        formatting.DASH if probe[name] is None else formatting.count(probe[name])
        for name in ("prompt_tokens", "completion_tokens")
    )
    lag = "" if probe["lag_ms"] is None else f"{formatting.milliseconds(probe['lag_ms'])} ms"
    outcome_state = theme.state(kind, formatting.outcome(outcome), formatting.seen(probe))
    speed = "" if probe["tokens_per_second"] is None else " tok/s"
    cells = (
        f'<td data-tip="{formatting.exact(probe["started_at"], zone)}">{formatting.ago(probe["started_at"], now)}</td>',
        f"<td>{escape(probe['profile'])}</td>",
        f"<td>{outcome_state}{_fingerprint(probe, before)}</td>",
        f"<td>{_ms(probe['ttft_ms'])}</td>",
        *([f"<td>{_ms(probe['first_answer_ms'])}</td>"] if reasons else []),
        f"<td>{_ms(probe['total_ms'])}</td>",
        f"<td>{formatting.rate(probe['tokens_per_second'])}{speed}</td>",
        f"<td>{tokens}</td>",
        f"<td>{formatting.cost(probe['cost_usd'])}</td>",
        f"<td>{escape(probe['provider'] or formatting.DASH)}</td>",
        f"<td>{lag or formatting.DASH}</td>",
        f'<td class="left wrap">{escape(probe["error"] or "")}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _fingerprint(probe: Mapping[str, Any], before: str | None) -> str:
    if before is None:
        return ""
    tip = f"system_fingerprint {probe['system_fingerprint']}; of the probe before {before}"
    return f'<span class="more">{glossary.explained("new fingerprint", tip)}</span>'


def _ms(value: float | None) -> str:
    return formatting.DASH if value is None else f"{formatting.milliseconds(value)} ms"
