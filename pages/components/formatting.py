"""How numbers, times and prices are written. Pure; a page never formats a number itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stats.uptime import Uptime
from store.outcomes import INTERNAL_ERROR
from store.schema import Endpoint, Model

DASH = "–"
UNKNOWN = "unknown"


def percent(share: float | None) -> str:
    """`99.98%`: more digits the nearer to all or nothing, never rounded up to 100."""
    if share is None:
        return DASH
    value = share * 100
    if value in (0.0, 100.0):
        return f"{value:.0f}%"
    digits = 2 if value > 90 or value < 1 else 1
    text = f"{value:.{digits}f}"
    return f"{'99.99' if float(text) == 100 else text}%"


def bounds(interval: tuple[float, float] | None) -> str:
    """`98.7 to 99.5`: an interval of shares, in percent."""
    if interval is None:
        return ""
    low, high = (share * 100 for share in interval)
    digits = next((d for d in (1, 2, 3) if round(low, d) < 100 and round(low, d) != round(high, d)), 4)
    return f"{low:.{digits}f} to {'100' if round(high, digits) == 100 else f'{high:.{digits}f}'}"


def milliseconds(value: float | None) -> str:
    """`412`, `1,180`, `0.8`: without the unit, three digits at least where they mean something."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rate(value: float | None) -> str:
    """Tokens per second, without the unit."""
    return DASH if value is None else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def latency(ms: float | None) -> str:
    """`412 ms`."""
    return DASH if ms is None else f"{milliseconds(ms)} ms"


def speed(tokens_per_second: float | None) -> str:
    """`61.0 tok/s`."""
    return DASH if tokens_per_second is None else f"{rate(tokens_per_second)} tok/s"


def as_markdown(text: str) -> str:
    """A text that others wrote, for Streamlit's own boxes: none of it is formatting, a link's text or an image."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def count(value: int | None) -> str:
    """`58,204`."""
    return DASH if value is None else f"{value:,d}"


def share_of(part: int, total: int) -> str:
    """`1,190 of 1,200`."""
    return f"{count(part)} of {count(total)}"


def large(value: float) -> str:
    """`1.23B`, `456M`, `7.8k`, `95`: a count of tokens with three digits."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def probes(value: int) -> str:
    """`1 probe`, `1,438 probes`."""
    return plural(value, "probe")


def plural(value: int, noun: str) -> str:
    """`1 report`, `2 reports`."""
    return f"{value:,d} {noun}" + ("" if value == 1 else "s")


def context(tokens: int | None) -> str:
    """`32k`, as model pages write it; the header has `32,768`."""
    if tokens is None:
        return UNKNOWN
    if tokens < 1_000:
        return str(tokens)
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens // 1_024 if tokens % 1_024 == 0 and tokens < 128_000 else tokens // 1_000}k"


def price(usd_per_million: str | None) -> str:
    """`$0.02`: an exact decimal of USD per million tokens."""
    if usd_per_million in (None, "varies"):
        return usd_per_million or UNKNOWN
    try:
        value = Decimal(usd_per_million or "")
    except InvalidOperation:
        return UNKNOWN
    return "$0" if value == 0 else f"${value.normalize():f}"


def prices(row: Model | Endpoint) -> str:
    """`$0.02 / $0.04`: per million tokens, in and out."""
    return f"{price(row.usd_per_million_input)} / {price(row.usd_per_million_output)}"


def prices_in_words(row: Model | Endpoint) -> str:
    """`$0.02 in, $0.04 out per million tokens`."""
    usd_in, usd_out = row.usd_per_million_input, row.usd_per_million_output
    if usd_in is None or usd_out is None:
        return f"price {UNKNOWN}"
    return f"{price(usd_in)} in, {price(usd_out)} out per million tokens"


def money(usd: float) -> str:
    """`$0.0121`, `$12.30`."""
    if 0 < usd < 0.001:
        return cost(usd)
    return "$0" if usd == 0 else f"${usd:.4f}" if usd < 1 else f"${usd:,.2f}"


def cost(usd: float | None) -> str:
    """`$0.00042`, `$1.25`: of one request, with three digits and never an exponent."""
    if usd is None or usd == float("inf"):
        return DASH
    if usd == 0 or usd >= 1:
        return money(usd)
    return f"${Decimal(f'{usd:.3g}'):f}"


def seconds(value: float) -> str:
    """`0.42 s`, `12.5 s`: how long somebody waits."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def duration(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h`, `2 d`: one number and its unit."""
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 1.5 * size or seconds == size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(moment: int | None, now: int) -> str:
    """`4 s ago`; `never` for null."""
    return "never" if moment is None else f"{duration((now - moment) / 1_000)} ago"


def clock(moment: int, zone: str, now: int | None = None) -> str:
    """`24 Nov, 14:20`, in the viewer's zone; with the year where it is not the year of `now`."""
    local = _local(moment, zone)
    same_year = now is None or _local(now, zone).year == local.year
    return f"{local.day} {local:%b}{'' if same_year else f' {local.year}'}, {local:%H:%M}"


def until(moment: int, zone: str, now: int) -> str:
    """`14:20:31`, or `25 Nov, 14:20` where that is not today, in the viewer's zone."""
    local = _local(moment, zone)
    return f"{local:%H:%M:%S}" if local.date() == _local(now, zone).date() else f"{local.day} {local:%b, %H:%M}"


def span(since: int, until: int, zone: str) -> str:
    """`25 Nov, 04:00 to 04:16`: the second day only where it differs."""
    began, ended = _local(since, zone), _local(until, zone)
    last = f"{ended:%H:%M}" if began.date() == ended.date() else clock(until, zone)
    return f"{clock(since, zone)} to {last}"


def exact(moment: int, zone: str) -> str:
    """`2026-11-24 14:20:31 CET`, for a tooltip."""
    return f"{_local(moment, zone):%Y-%m-%d %H:%M:%S %Z}"


def day(moment: int, zone: str) -> str:
    """`14 March 2025`."""
    local = _local(moment, zone)
    return f"{local.day} {local:%B %Y}"


def short_day(moment: int, zone: str) -> str:
    """`14 Mar 2025`."""
    local = _local(moment, zone)
    return f"{local.day} {local:%b} {local.year}"


def known_zone(name: str) -> str | None:
    """The name of a time zone; null where it is none that is known here."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None
    return name


def _local(moment: int, zone: str) -> datetime:
    return datetime.fromtimestamp(moment / 1_000, ZoneInfo(zone))


def uptime_note(uptime: Uptime) -> str:
    """The quieter line below an uptime: its interval and its sample, or why there is no number."""
    if uptime.share is None:
        return f"not enough data: coverage {percent(uptime.coverage)}"
    return f"{bounds(uptime.interval)} · {probes(uptime.probes)}"


def outcome(name: str | None) -> str:
    """`server error`: how a probe ended. An error of Uptoken's own is not worded as a server's."""
    return "error in Uptoken" if name == INTERNAL_ERROR else (name or "").replace("_", " ")


def describe_probe(probe: Mapping[str, Any]) -> str:
    """What a probe's outcome rests on: `HTTP 200, finish reason length; 20 tokens in, 16 out, 16 of them reasoning`.
    Columns of a probe that are missing are left out, as those that are null.
    """
    status, finish, error = (probe.get(name) for name in ("http_status", "finish_reason", "error"))
    response = [f"HTTP {status}"] if status is not None else []
    response += [f"finish reason {finish}"] if finish else []
    parts = [", ".join(response) or "no response"] if "http_status" in probe else []
    if error:
        parts.append(error.removeprefix(f"HTTP {status}, "))
    return "; ".join([*parts, *_usage(probe), *_answer_check(probe), *_chunk_gaps(probe)])


def _usage(probe: Mapping[str, Any]) -> list[str]:
    """`20 tokens in, 16 out, 16 of them reasoning, $0.0004 billed`; nothing where nothing is known of any."""
    prompt, completion = probe.get("prompt_tokens"), probe.get("completion_tokens")
    parts = [] if prompt is None else [f"{plural(prompt, 'token')} in"]
    if completion is not None:
        parts.append(f"{plural(completion, 'token') if prompt is None else count(completion)} out")
    parts += [f"{count(probe['reasoning_tokens'])} of them reasoning"] if probe.get("reasoning_tokens") else []
    if parts and probe.get("tokens_source") == "chunks":
        parts[-1] += " (estimated from chunks)"
    parts += [f"{cost(probe['cost_usd'])} billed"] if probe.get("cost_usd") else []
    return [", ".join(parts)] if parts else []


def _chunk_gaps(probe: Mapping[str, Any]) -> list[str]:
    low, high, fingerprint = (probe.get(name) for name in ("itl_p50_ms", "itl_p99_ms", "system_fingerprint"))
    parts = [] if low is None else [f"gaps between chunks p50 {latency(low)}, p99 {latency(high)}"]
    return parts + ([f"fingerprint {fingerprint}"] if fingerprint else [])


def _answer_check(probe: Mapping[str, Any]) -> list[str]:
    is_correct = probe.get("answer_ok")
    return [] if is_correct is None else ["correct answer" if is_correct else "wrong answer"]


def missing_key(variable: str | None) -> str:
    """What a target without a key is waiting for."""
    return f"waiting for a key: set {variable}" if variable else "waiting for a key: write it into its file"


def size(count: int) -> str:
    """Bytes, with the unit that leaves up to three digits before the point."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1_000:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:,.1f} {unit}"
        value /= 1_000
    return f"{value:,.1f} TB"
