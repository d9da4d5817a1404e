"""The overview by location: the state, uptime and time to first token of each target at each of its locations."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from pages.components import formatting, glossary, states, theme
from pages.components.table import Column, below, quiet, table
from pages.queries import series_colours
from pages.queries.overview_rows import Row
from pages.sections.target_state import why_key
from stats.situation import by_location


def locations_table(url: str, rows: Sequence[Row], link: dict[str, str], most: int) -> Markup:
    """The first `most` targets, in the order of the rows; `link` is added to the query of links to a target's page."""
    places = sorted({row.target.location for row in rows})
    by_name: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_name.setdefault(row.target.name, {})[row.target.location] = row
    colours = series_colours.numbers(url)
    columns = [Column(glossary.term("target", "Target")), *map(Column, places)]
    shown = list(by_name.items())[:most]
    body = [
        [
            _name(name, colours.get(name, 0), link) + Markup("<br>") + _summary(mine),
            *(_cell(mine[place], link) if place in mine else quiet("not probed") for place in places),
        ]
        for name, mine in shown
    ]
    note = "In each cell: the state now, then the uptime and the median time to first token in this range."
    return Markup('<div class="u-card">{}</div>').format(table(columns, body, kind="locations", note=note))


def _name(name: str, number: int, link: dict[str, str]) -> Markup:
    address = f"model?{urlencode({'target': name} | link)}"
    swatch = theme.swatch(series_colours.variable(number))
    return Markup('<a class="name" href="{}" target="_self" data-target="{}">{}{}</a>').format(
        address, name, swatch, name
    )


def _summary(mine: dict[str, Row]) -> Markup:
    said = by_location({place: row.state.status for place, row in mine.items()})
    kind = {"down": "down", "slow": "degraded", "up": "up"}.get(said.partition(" ")[0])
    return states.state(kind, said) if kind else quiet("unknown")


def _cell(row: Row, link: dict[str, str]) -> Markup:
    target, ttft = row.target, row.ttft
    address = f"model?{urlencode({'target': target.name, 'location': target.location} | link)}"
    uptime = formatting.percent(row.uptime.share)
    state = states.state(row.state.status, why=why_key(target, "state"))
    measured = Markup('<a href="{}" target="_self">{}</a>').format(address, uptime) + quiet(
        f" · {formatting.latency(ttft.p50)}" if ttft.p50 is not None else ""
    )
    few = f"{formatting.probes(ttft.count)} only" if ttft.is_small and ttft.count else ""
    return Markup("{}<br>{}{}").format(state, measured, below(few))
