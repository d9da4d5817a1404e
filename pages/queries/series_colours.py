"""A target's colour: the same on every page, and the same tomorrow when another target has come."""

from __future__ import annotations

from charts.palette import PALETTES
from pages.components import theme
from pages.queries import cache


def numbers(url: str) -> dict[str, int]:
    """The place of each target among all that ever were, by its first probe; those without one come last."""
    first = cache.first_at(url)
    known = sorted({target.name for target in cache.targets(url)} | set(first))
    order = sorted(known, key=lambda name: (name not in first, first.get(name, 0), name))
    return {name: number for number, name in enumerate(order)}


def colour(url: str, name: str) -> str:
    """For a chart, in the viewer's mode."""
    return theme.palette().series_colour(numbers(url).get(name, 0))


def variable(number: int) -> str:
    """For CSS, in either mode."""
    return f"var(--u-series-{number % len(PALETTES['light'].series)})"
