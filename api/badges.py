"""`/badge/{name}.svg`, and `/badge/{name}.json` in the form of shields.io's endpoint badges.

https://shields.io/badges/endpoint-badge has that form. The SVG is drawn here, in the manner of shields' flat style, so
that a badge needs no other server.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request

from api.endpoint import Answer, sees_everything
from api.errors import ApiError
from api.parameters import choice, duration_ms, one, path_parts
from api.summary import histories_of, uptime_of
from api.targets import known, named
from pages.components import formatting
from pages.queries.source import store_url
from pages.queries.target_history import target_states
from pages.queries.time_range import TimeRange
from settings.durations import in_words
from stats.incidents import majority
from stats.samples import percentiles
from store.clock import DAY_MS, now_ms
from store.schema import Target

PREFIX = "/badge/"
PARAMETERS = ("metric", "range", "label")
METRICS = ("uptime", "state", "ttft")
DEFAULT_MS, LONGEST_MS = 30 * DAY_MS, 3_660 * DAY_MS
MAX_AGE_S = 60
MOST_LETTERS = 60
COLOURS = {
    "brightgreen": "#4c1",
    "green": "#97ca00",
    "yellow": "#dfb317",
    "red": "#e05d44",
    "blue": "#007ec6",
    "lightgrey": "#9f9f9f",
}
_STATES = {"up": ("up", "brightgreen"), "down": ("down", "red"), "degraded": ("degraded", "yellow")}
_LEAST_UPTIMES = ((0.999, "brightgreen"), (0.99, "green"), (0.95, "yellow"), (0.0, "red"))
_SVG = Markup("""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {message}">\
<title>{label}: {message}</title>\
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>\
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#555"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>\
<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">\
<text x="{left_middle}" y="14" textLength="{left_text}">{label}</text>\
<text x="{right_middle}" y="14" textLength="{right_text}">{message}</text></g></svg>
""")


@dataclass(frozen=True)
class Badge:
    """Two short texts; `colour` is one of `COLOURS`."""

    label: str
    message: str
    colour: str


def badge(request: Request) -> Answer:
    """The badge of a target, by the ending of the path: `.svg` or `.json`."""
    name, dot, ending = "/".join(path_parts(request, PREFIX)).rpartition(".")
    if not dot or ending not in ("svg", "json"):
        raise ApiError("a badge is /badge/NAME.svg or /badge/NAME.json, with the target's name percent-encoded", 404)
    metric = choice(request, "metric", METRICS, "uptime")
    if metric == "ttft" and not sees_everything(request):
        raise ApiError("without a token there are badges of uptime and state alone: see docs/api.md", 401)
    url = store_url()
    made = _badge(url, _targets(request, url, name), metric, _range_ms(request))
    made = Badge((one(request, "label") or made.label)[:MOST_LETTERS], made.message, made.colour)
    if ending == "svg":
        return Answer(svg(made).encode(), "image/svg+xml", max_age_s=MAX_AGE_S)
    content = {"schemaVersion": 1, "label": made.label, "message": made.message, "color": made.colour}
    return Answer(content, max_age_s=MAX_AGE_S)


def _targets(request: Request, url: str, name: str) -> list[Target]:
    """Whoever has no token learns nothing of targets that the public status page does not list."""
    if not sees_everything(request) and not any(
        target.name == name and target.state == "active" for target in known(url)
    ):
        raise ApiError(f"there is no target {name[:100]!r}", 404)
    return named(url, name)


def _range_ms(request: Request) -> int:
    ms = duration_ms(request, "range") or DEFAULT_MS
    if ms > LONGEST_MS:
        raise ApiError("range is too long: write at most 3660d")
    return ms


def _badge(url: str, targets: list[Target], metric: str, range_ms: int) -> Badge:
    now = now_ms()
    if metric == "state":
        status = majority(target_states(url, targets, now)).status
        return Badge(targets[0].name, *_STATES.get(status, ("unknown", "lightgrey")))
    now -= now % 1_000
    histories = histories_of(url, targets, TimeRange(now - range_ms, now, False, ""))
    when = in_words(range_ms / 1_000)
    if metric == "uptime":
        share = uptime_of(histories).share
        message = formatting.percent(share) if share is not None else "not enough data"
        return Badge(f"uptime {when}", message, _uptime_colour(share))
    rollups = [rollup for history in histories for rollup in history.of(history.target.profile)]
    ttft = percentiles(rollups, "ttft_ms").p50
    message, colour = ("no data", "lightgrey") if ttft is None else (formatting.latency(ttft), "blue")
    return Badge(f"TTFT {when}", message, colour)


def _uptime_colour(share: float | None) -> str:
    if share is None:
        return "lightgrey"
    return next(colour for least, colour in _LEAST_UPTIMES if share >= least)


def svg(made: Badge) -> Markup:
    """The badge as an image."""
    left_text, right_text = _width(made.label), _width(made.message)
    left, right = left_text + 10, right_text + 10
    return _SVG.format(
        label=made.label,
        message=made.message,
        colour=COLOURS[made.colour],
        width=left + right,
        left=left,
        right=right,
        left_text=left_text,
        right_text=right_text,
        left_middle=left / 2,
        right_middle=left + right / 2,
    )


def _width(text: str) -> int:
    """About how wide Verdana's letters of 11 px are; `textLength` makes them exactly so."""
    return round(sum(3.8 if letter in "fijlrtI.,:;'|!() " else 10 if letter in "mwMW@%" else 7 for letter in text))
