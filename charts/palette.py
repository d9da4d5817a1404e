"""The colours, light and dark. A chart takes a `Palette` and never names a colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FONT = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'
Mode = Literal["light", "dark"]


@dataclass(frozen=True)
class Palette:
    """One mode's colours, as CSS writes them."""

    page: str
    card: str
    line: str
    text: str
    muted: str
    up: str
    down: str
    not_counted: str
    no_data: str
    accent: str
    second: str
    third: str
    up_text: str
    down_text: str
    not_counted_text: str
    series: tuple[str, ...]
    """Ten colours for targets and for the parts of a total. None of them is a state's."""

    def series_colour(self, number: int) -> str:
        """The colour of a target; after ten they start again from the first."""
        return self.series[number % len(self.series)]

    def with_opacity(self, colour: str, opacity: float) -> str:
        """`colour` (`#rrggbb`) with an opacity of 0 to 1."""
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity:g})"


PALETTES: dict[Mode, Palette] = {
    "light": Palette(
        page="#fbfbfa",
        card="#ffffff",
        line="#e7e6e3",
        text="#1c1d21",
        muted="#63656e",
        up="#25a36f",
        down="#a81f3a",
        not_counted="#e0a52f",
        no_data="#d8d7d2",
        accent="#3f5bd9",
        second="#c46a2d",
        third="#7a4fb5",
        up_text="#157a52",
        down_text="#b8324a",
        not_counted_text="#8a5d0c",
        series=(
            "#3f5bd9",
            "#c46a2d",
            "#7a4fb5",
            "#0b8494",
            "#b8357f",
            "#77791a",
            "#3b96d6",
            "#84573a",
            "#5d6675",
            "#9a7bd0",
        ),
    ),
    "dark": Palette(
        page="#131418",
        card="#1a1c21",
        line="#2b2d34",
        text="#eceef2",
        muted="#9a9da8",
        up="#5fd6a6",
        down="#e04a5e",
        not_counted="#d0942f",
        no_data="#3a3d47",
        accent="#8aa0ff",
        second="#e59a63",
        third="#b393e6",
        up_text="#3fbf8c",
        down_text="#ef6b7b",
        not_counted_text="#e2b04f",
        series=(
            "#8aa0ff",
            "#e59a63",
            "#b393e6",
            "#45bfcc",
            "#e37fb8",
            "#c2bb52",
            "#4f9fe6",
            "#b07f60",
            "#a3adba",
            "#dccbf5",
        ),
    ),
}
"""Muted text is a shade darker, and no data a shade stronger, than the design's first draft: for contrast. Down is much
darker than up on paper and darker on black, so that both differ to who sees no red, no green, or no colour at all: the
first draft's two were 3 apart for them where 29 is what others see (OKLab, hundredths). The state colours as text are
darkened on light paper until small text has the contrast that WCAG AA asks for.
"""
