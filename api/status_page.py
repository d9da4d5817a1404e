"""The public status page as HTML: no script, relative links, and nothing but names, states, times and incidents."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from api.bars_svg import bars_svg, legend
from charts.palette import PALETTES, Mode
from pages.components import formatting, states
from pages.queries.public_status import DAYS, Maintenance, PublicStatus, StatusRow
from stats.outages import Outage

COLLAPSED_ABOVE = 12
"""More healthy targets than these are behind one line, so that those that are not up are in sight."""
NEWEST, NEWEST_OF_TARGET = 20, 200


def _colours(mode: Mode) -> str:
    names = ("page", "card", "line", "text", "muted", "up", "down", "not_counted", "no_data", "accent")
    shades = ("up_text", "down_text", "not_counted_text")
    palette = PALETTES[mode]
    return "".join(f"--{name.replace('_', '-')}:{getattr(palette, name)};" for name in (*names, *shades))


@cache
def css() -> str:
    """The style sheet, in light and dark, and on paper."""
    written = Path(__file__).with_suffix(".css").read_text(encoding="utf-8").replace("\n", "")
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{_colours('dark')}}}}}"  # paper is always light
    return f":root{{color-scheme:light dark;{_colours('light')}}}{dark}{written}"


@cache
def policy() -> str:
    """The page's Content-Security-Policy: what it is made of, and nothing else."""
    return policy_of(css())


def policy_of(style_sheet: str) -> str:
    """The Content-Security-Policy of a page with this style sheet, no script and no image of another site."""
    style = b64encode(sha256(style_sheet.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'"


_ICONS = {
    "up": ("25a36f", "circle cx='8' cy='8' r='7'"),
    "down": ("a81f3a", "path d='M0 1h16L8 15z'"),
    "degraded": ("e0a52f", "path d='M0 15h16L8 1z'"),
}
_OTHER_ICON = ("9a9da8", "circle cx='8' cy='8' r='7'")


def index_page(status: PublicStatus, *, is_embedded: bool = False, is_late: bool = False, root: str = "") -> Markup:
    """All targets. `is_embedded`: without head and foot, for a frame in another page; `is_late`: it could not be
    refreshed; `root`: where `/status/` is from the page's own address.
    """
    settings, rows = status.settings, status.rows
    kind, sentence = overall(rows)
    body = [
        _notices(status, is_late),
        Markup('<p class="card banner {}" role="status">{}</p>').format(kind, state_badge(kind, sentence)),
        _maintenance(status.maintenance, status),
        _rows(rows, root, settings.zone),
        Markup() if is_embedded else legend(),
        _recent(status),
    ]
    return _page(status, settings.title, kind, body, is_embedded=is_embedded, root=root)


def target_page(status: PublicStatus, row: StatusRow, *, is_embedded: bool = False, is_late: bool = False) -> Markup:
    """One target: its bars and each incident of the last 90 days."""
    zone, word = status.settings.zone, states.WORDS[row.state.status]
    if row.state.status in ("up", "down") and row.state.since is not None:
        word += f" since {formatting.clock(row.state.since, zone, status.at)}"
    kind = row.state.status if row.state.status in ("up", "degraded", "down") else "stale"
    mine = [planned for planned in status.maintenance if row.name in planned.targets]
    body = [
        _notices(status, is_late),
        Markup('<p class="card banner {}" role="status">{}</p>').format(kind, state_badge(row.state.status, word)),
        _maintenance(mine, status),
        Markup('<section class="card" aria-label="Uptime">{}{}</section>').format(
            bars_svg(row.bars, is_big=True), _axis(row, zone)
        ),
        legend(),
        Markup("<section><h2>Incidents</h2>{}</section>").format(_timeline(row, status)),
    ]
    return _page(status, row.name, kind, body, is_embedded=is_embedded, back=status.settings.title)


def failed_page(sentence: str) -> Markup:
    """A sentence where there is no status to send."""
    body = Markup('<main><header><h1>Status</h1></header><p class="card">{}</p></main>').format(sentence)
    return _document("Status", "stale", body)


UNKNOWN = "The status is unknown right now. Please try again in a minute."
"""Without a reason: what is wrong, and where, is not for the public."""


def overall(rows: Sequence[StatusRow]) -> tuple[str, str]:
    """The kind and the sentence of the state of all."""
    models = formatting.plural(len(rows), "model")
    down = sum(row.state.status == "down" for row in rows)
    unknown = sum(row.state.status in ("stale", "never") for row in rows)
    if down:
        return "down", f"{down} of {models} down"
    if unknown or not rows:
        return "stale", f"{unknown} of {models} without a recent probe" if rows else "No model is probed yet"
    slow = sum(row.state.status == "degraded" for row in rows)
    if slow:
        return "degraded", f"{slow} of {models} degraded"
    return "up", f"{rows[0].name} is up" if len(rows) == 1 else f"all {len(rows)} up"


def state_badge(kind: str, text: str) -> Markup:
    """A state with its mark, which differs in shape as well as in colour."""
    mark = states.MARKS.get(kind, states.OTHER_MARK)
    return Markup('<span class="state {}">{} {}</span>').format(kind, mark, text)


def _notices(status: PublicStatus, is_late: bool) -> Markup:
    notice, shown = Markup('<p class="card" role="note">{}</p>'), Markup()
    if status.settings.notice:
        shown += notice.format(status.settings.notice)
    if is_late:
        time = _time(status.at, formatting.exact(status.at, status.settings.zone))
        late = Markup("The status could not be refreshed: this is the last known one, of {}.")
        shown += notice.format(late.format(time))
    return shown


def _rows(rows: Sequence[StatusRow], root: str, zone: str) -> Markup:
    healthy = [row for row in rows if row.state.status == "up"]
    if len(healthy) <= COLLAPSED_ABOVE:
        return _list(rows, root, zone)
    troubled = [row for row in rows if row.state.status != "up"]
    return _list(troubled, root, zone) + Markup('<details class="card"><summary>{}</summary>{}</details>').format(
        state_badge("up", f"{formatting.plural(len(healthy), 'model')} up"), _list(healthy, root, zone)
    )


def _list(rows: Sequence[StatusRow], root: str, zone: str) -> Markup:
    if not rows:
        return Markup()
    line = Markup('<li><div class="top"><a href="{}{}">{}</a>{}</div>{}{}</li>')
    return Markup('<ul class="card">{}</ul>').format(
        Markup().join(
            line.format(
                root,
                quote(row.name, safe=""),
                row.name,
                state_badge(row.state.status, states.WORDS[row.state.status]),
                bars_svg(row.bars),
                _axis(row, zone),
            )
            for row in rows
        )
    )


def _axis(row: StatusRow, zone: str) -> Markup:
    return Markup('<div class="axis q"><span>{} days ago</span><span>{}</span><span>today</span></div>').format(
        DAYS, describe_share(row, zone)
    )


def describe_share(row: StatusRow, zone: str) -> str:
    """The uptime of the bars; of a target that is younger than they are, with its first moment."""
    if row.uptime.share is None:
        return "not enough data" if row.uptime.probes else "no data"
    since = f" since {formatting.clock(row.began, zone)}" if row.began is not None else ""
    return f"{formatting.percent(row.uptime.share)} up{since}"


# -- incidents and maintenance


_NO_INCIDENTS = Markup('<p class="q">No incidents in the last {} days.</p>').format(DAYS)


def _recent(status: PublicStatus) -> Markup:
    """The newest incidents of all targets, by day."""
    newest = sorted(((o, row) for row in status.rows for o in row.outages), key=lambda pair: -pair[0].began_at)
    if not newest:
        return Markup("<section><h2>Incidents</h2>{}</section>").format(_NO_INCIDENTS)
    zone = status.settings.zone
    days = groupby(newest[:NEWEST], key=lambda pair: formatting.day(pair[0].began_at, zone))
    shown = Markup().join(
        Markup("<h3>{}</h3><ol>{}</ol>").format(day, Markup().join(_incident(o, row, status) for o, row in alike))
        for day, alike in days
    )
    more = f"The newest {NEWEST} of {len(newest)}; the page of each model has its own." if len(newest) > NEWEST else ""
    return Markup('<section><h2>Incidents</h2>{}<p class="q">{}</p></section>').format(shown, more)


def _incident(outage: Outage, row: StatusRow, status: PublicStatus) -> Markup:
    return Markup("<li><b>{}</b> {}</li>").format(row.name, _when(outage, row, status))


def _timeline(row: StatusRow, status: PublicStatus) -> Markup:
    if not row.outages:
        return _NO_INCIDENTS
    newest = row.outages[: -NEWEST_OF_TARGET - 1 : -1]
    lines = (Markup("<li>{}</li>").format(_when(outage, row, status)) for outage in newest)
    shown = Markup("<ol>{}</ol>").format(Markup().join(lines))
    if len(row.outages) > NEWEST_OF_TARGET:
        shown += Markup('<p class="q">The newest {} of {}.</p>').format(NEWEST_OF_TARGET, len(row.outages))
    return shown


def _when(outage: Outage, row: StatusRow, status: PublicStatus) -> Markup:
    """`down from 24 Nov, 14:20 to 24 Nov, 14:32, for 12 min`."""
    zone, now = status.settings.zone, status.at
    began = _time(outage.began_at, formatting.clock(outage.began_at, zone, now))
    length = formatting.duration(outage.duration_s)
    if outage.ended_at is not None:
        text = Markup("down from {} to {}, for {}").format(
            began,
            _time(outage.ended_at, formatting.span(outage.began_at, outage.ended_at, zone).split(" to ")[1]),
            length,
        )
    elif outage.is_known_now:
        text = Markup("<b>down since {}</b>, for {} so far").format(began, length)
    else:
        text = Markup("down from {}, unknown after {}").format(
            began, _time(outage.seen_until, formatting.clock(outage.seen_until, zone, now))
        )
    if row.locations > 1:
        text += f", seen from {outage.locations} of {row.locations} locations"
    return text


def _maintenance(planned: Sequence[Maintenance], status: PublicStatus) -> Markup:
    if not planned:
        return Markup()
    zone, now = status.settings.zone, status.at
    lines = Markup().join(
        Markup("<li>{}: {} to {}{}</li>").format(
            Markup("<b>{}</b>").format(", ".join(each.targets)),
            _time(each.since, formatting.clock(each.since, zone, now)),
            _time(each.until, formatting.clock(each.until, zone, now)),
            ", now" if each.since <= now < each.until else "",
        )
        for each in planned
    )
    return Markup('<section><h2>Maintenance</h2><ul class="card">{}</ul></section>').format(lines)


def _time(at: int, text: str) -> Markup:
    return Markup('<time datetime="{:%Y-%m-%dT%H:%MZ}">{}</time>').format(datetime.fromtimestamp(at / 1_000, UTC), text)


# -- the document around it


def _page(
    status: PublicStatus,
    title: str,
    kind: str,
    body: Iterable[Markup],
    *,
    is_embedded: bool,
    root: str = "",
    back: str = "",
) -> Markup:
    main = Markup("<main>{}</main>").format(Markup().join(body))
    if is_embedded:
        return _document(title, kind, main, is_embedded=True, root=root)
    up = Markup('<p class="q noprint"><a href="./">{}</a></p>').format(back) if back else ""
    head = Markup('<header>{}<h1>{}</h1><p class="q">as of {}</p></header>').format(
        up, title, _time(status.at, formatting.exact(status.at, status.settings.zone))
    )
    foot = Markup(
        '<footer class="q"><p>Times are in the time zone {}; a bar is a day in UTC.</p>'
        '<p class="noprint"><a href="{}../feed.atom">Feed of incidents</a></p></footer>'
    ).format(status.settings.zone, root)
    return _document(title, kind, head + main + foot, root=root)


def _document(title: str, kind: str, body: Markup, *, is_embedded: bool = False, root: str = "") -> Markup:
    colour, shape = _ICONS.get(kind, _OTHER_ICON)
    icon = (
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
        f"<{shape} fill='%23{colour}'/></svg>"
    )
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>{}</title>'
        '<link rel="icon" href="{}"><link rel="alternate" type="application/atom+xml" title="Incidents" '
        'href="{}../feed.atom">{}<style>{}</style></head><body{}>{}</body></html>'
    ).format(
        title,
        icon,
        root,
        Markup('<base target="_blank">') if is_embedded else "",  # a link leaves the frame
        Markup(css()),  # nosec B704: a file of this package, and colours
        Markup(' class="embed"') if is_embedded else "",
        body,
    )
