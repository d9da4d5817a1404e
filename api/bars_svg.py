"""Status bars as SVG, because printers omit backgrounds: one path per state; equal neighbours are one stroke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from pages.components import formatting, states
from stats.status_bars import Bar, State
from store.outcomes import PAUSED

_LEAST_PARTLY = 1.8
"""The minimum height of the red part of a bar, of 10, so that it stays visible."""
_PATHS: dict[State, tuple[str, str]] = {
    "up": ("u", "5"),
    "down": ("d", "6.1"),
    "not_counted": ("n", "7"),
    "paused": ("m", "7"),
    "no_data": ("o", "8.7"),
}
"""The class of a state's path, and the vertical middle of its strokes. The style sheet sets their width."""
_ORDER: tuple[State, ...] = ("up", "partly", "down", "not_counted", "paused", "no_data")


def bars_svg(bars: Sequence[Bar], *, is_big: bool = False) -> Markup:
    """One bar per day; `is_big` adds the date of each on hover."""
    counts = Counter(bar.state for bar in bars)
    summary = ", ".join(f"{counts[state]} {states.WORDS[state]}" for state in _ORDER if counts[state])
    tips = Markup().join(_tip(number, bar) for number, bar in enumerate(bars)) if is_big else Markup()
    return Markup(
        '<svg class="bars{}" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" '
        'aria-label="{} days: {}">{}{}</svg>'
    ).format(" big" if is_big else "", len(bars), len(bars), summary, _paths(bars), tips)


def _paths(bars: Sequence[Bar]) -> Markup:
    drawn: dict[str, str] = {}
    place = 0
    full: list[State] = ["up" if bar.state == "partly" else bar.state for bar in bars]
    for state, alike in groupby(full):
        length = len(list(alike))
        name, middle = _PATHS[state]
        drawn[name] = drawn.get(name, "") + f"M{place} {middle}h{length}"
        place += length
    partly = "".join(
        f"M{number}.4 10v-{max(_LEAST_PARTLY, bar.down_share * 10):.2g}"
        for number, bar in enumerate(bars)
        if bar.state == "partly"
    )
    drawn |= {"p": partly} if partly else {}
    return Markup().join(Markup('<path class="{}" d="{}"/>').format(name, path) for name, path in drawn.items())


def _tip(number: int, bar: Bar) -> Markup:
    text = f"{formatting.short_day(bar.since, 'UTC')} (UTC): {states.WORDS[bar.state]}"
    if bar.state == "partly":
        text += f", for {formatting.duration(bar.down_s)}"
    return Markup('<rect x="{}" width="1" height="10"><title>{}</title></rect>').format(number, text)


def legend() -> Markup:
    """The legend: what each kind of bar means."""
    mark = Markup('<span><svg viewBox="0 0 1 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>{}</span>')
    samples = [Bar(0, 1, *seconds) for seconds in ((1, 0, 0), (0.6, 0.4, 0), (0, 1, 0), (0, 0, 1))]
    samples += [Bar(0, 1, 0, 0, 1, seen=((PAUSED, 1),)), Bar(0, 1, 0, 0, 0)]
    return Markup('<p class="legend q">{}</p>').format(
        Markup().join(mark.format(_paths([bar]), states.WORDS[bar.state]) for bar in samples)
    )
