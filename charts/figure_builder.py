"""Builds a figure from plain values. Plotly checks a figure at each call that adds to it, which costs more than
everything else in a chart.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import plotly.graph_objects as go
from plotly.io import to_json

from charts.palette import FONT, Palette

MARGIN = {"l": 58, "r": 8, "t": 10, "b": 40}
"""Fixed: finding them by itself (automargin), the browser draws a chart twice."""


class FigureBuilder:
    """A figure in the dashboard's style: quiet axes, one hover for all series. Its methods are named as those of
    `plotly.graph_objects.Figure`.
    """

    def __init__(self, palette: Palette, height: int) -> None:
        """Empty, `height` pixels high."""
        self.palette = palette
        axis = {
            "gridcolor": palette.line,
            "zeroline": False,
            "linecolor": palette.line,
            "tickfont": {"color": palette.muted, "size": 12},
            "title": {"font": {"color": palette.muted, "size": 12}},
            "automargin": False,
        }
        self._data: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {
            "height": height,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": palette.text, "size": 13, "family": FONT},
            "margin": dict(MARGIN),
            "colorway": [palette.accent, palette.second, palette.third],
            "hovermode": "x unified",
            "hoverlabel": {"bgcolor": palette.card, "bordercolor": palette.line, "font": {"color": palette.text}},
            "legend": {
                "orientation": "h",
                "y": -0.12,
                "x": 0,
                "font": {"color": palette.muted, "size": 12},
                "bgcolor": "rgba(0,0,0,0)",
                "traceorder": "normal",
            },
            "xaxis": deepcopy(axis) | {"showgrid": False},
            "yaxis": deepcopy(axis) | {"rangemode": "tozero", "showline": False},
            "dragmode": "zoom",
        }

    def add_scatter(self, **values: Any) -> None:
        """A trace of `go.Scatter`."""
        self._data.append({"type": "scatter"} | values)

    def add_bar(self, **values: Any) -> None:
        """A trace of `go.Bar`."""
        self._data.append({"type": "bar"} | values)

    def add_shape(self, **values: Any) -> None:
        """One of `layout.shapes`."""
        self._layout.setdefault("shapes", []).append(values)

    def add_annotation(self, **values: Any) -> None:
        """One of `layout.annotations`."""
        self._layout.setdefault("annotations", []).append(values)

    def update_layout(self, **values: Any) -> None:
        """Merge these into the layout."""
        _merge(self._layout, values)

    def update_xaxes(self, **values: Any) -> None:
        """Merge these into the x axis."""
        _merge(self._layout["xaxis"], values)

    def update_yaxes(self, **values: Any) -> None:
        """Merge these into the y axis."""
        _merge(self._layout["yaxis"], values)

    def label_y_axis(self, text: str) -> None:
        """The y axis's title: the unit of its values."""
        self.update_yaxes(title={"text": text, "standoff": 4})

    def empty(self, text: str) -> go.Figure:
        """The figure of a chart that has nothing to show: it says why, in its middle."""
        self.update_xaxes(visible=False)
        self.update_yaxes(visible=False)
        font = {"color": self.palette.muted, "size": 14}
        self.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font=font)
        return self.figure()

    def figure(self) -> go.Figure:
        """The finished figure."""
        return BuiltFigure(self._data, self._layout)


class BuiltFigure(go.Figure):  # type: ignore[misc]  # Plotly has no types
    """A figure that is sent as it was built. Plotly's check of every value takes longer than the rest of a chart, so
    the tests check every figure instead; and nothing is copied for each viewer.
    """

    def __init__(self, data: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        """Takes values as JSON has them, and numbers and moments of numpy and pandas."""
        super().__init__(data=data, layout=layout, _validate=False)
        self._plain = orjson.loads(to_json({"data": data, "layout": layout}, validate=False))

    def to_dict(self) -> dict[str, Any]:
        """As `plotly.graph_objects.Figure.to_dict`, of plain values; only the outermost two levels are copies."""
        return {"data": [dict(trace) for trace in self._plain["data"]], "layout": dict(self._plain["layout"])}


def escape(name: str) -> str:
    """A text that Plotly does not take for markup."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
