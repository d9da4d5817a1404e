"""The colours: states are told apart by everybody, series by most, and all of them from the paper."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from charts.palette import PALETTES, Mode, Palette

SEEN = {  # Machado, Oliveira and Fernandes 2009, severity 1, over linear RGB; and what a printer without colour makes
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "grey": ((0.2126, 0.7152, 0.0722),) * 3,
    "all colours": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
OKLAB_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
STATES = ("up", "down", "not_counted", "no_data")
MODES: tuple[Mode, ...] = ("light", "dark")


def _times(matrix: tuple[tuple[float, ...], ...], values: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, values, strict=True)) for row in matrix]


def _linear(colour: str) -> list[float]:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]


def _oklab(linear: list[float]) -> list[float]:
    """Björn Ottosson's space, in which a distance of 0.02 is about what an eye just notices."""
    bounded = [min(1.0, max(0.0, value)) for value in linear]
    return _times(OKLAB, [value ** (1 / 3) for value in _times(OKLAB_LMS, bounded)])


def _apart(one: str, other: str, kind: str) -> float:
    return math.dist(*(_oklab(_times(SEEN[kind], _linear(colour))) for colour in (one, other)))


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2: from 1 to 21."""
    light, dark = sorted((_times(SEEN["grey"], _linear(colour))[0] for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("mode", MODES)
def test_the_four_states_differ_whatever_colours_somebody_sees(mode: Mode, kind: str) -> None:
    palette = PALETTES[mode]
    near = {
        (one, other): round(_apart(getattr(palette, one), getattr(palette, other), kind), 3)
        for one, other in combinations(STATES, 2)
        if _apart(getattr(palette, one), getattr(palette, other), kind) < 0.1
    }
    assert near == {}


@pytest.mark.parametrize("mode", MODES)
def test_up_and_down_stand_out_from_the_card_as_graphics_have_to(mode: Mode) -> None:
    palette = PALETTES[mode]
    assert min(_contrast(getattr(palette, state), palette.card) for state in ("up", "down")) >= 3


@pytest.mark.parametrize("mode", MODES)
def test_text_has_the_contrast_that_small_text_needs(mode: Mode) -> None:
    palette = PALETTES[mode]
    papers = (palette.page, palette.card)
    assert min(_contrast(palette.text, paper) for paper in papers) >= 7
    assert min(_contrast(palette.muted, paper) for paper in papers) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_ten_series_stand_out_from_the_card_and_from_each_other(mode: Mode) -> None:
    palette: Palette = PALETTES[mode]
    assert len(set(palette.series)) == 10
    assert min(_contrast(colour, palette.card) for colour in palette.series) >= 3
    assert min(_apart(one, other, "all colours") for one, other in combinations(palette.series, 2)) >= 0.06


def test_the_eleventh_target_has_the_firsts_colour() -> None:
    palette = PALETTES["light"]
    assert palette.series_colour(10) == palette.series_colour(0) != palette.series_colour(1)
