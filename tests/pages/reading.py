"""All that a page says, as text that can be compared: HTML, words, widgets, tables and each chart's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest


def everything_on(app: AppTest) -> list[str]:
    """One text for each element, in the page's order."""
    return [_said(element) for element in _elements(app._tree)]


def _elements(block: Any) -> Iterator[Any]:
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from _elements(child)
        else:
            yield child


def _said(element: Any) -> str:
    if element.type == "plotly_chart":
        spec = json.dumps(json.loads(element.proto.spec), indent=1, sort_keys=True)
        return f"chart: {element.proto.alt}\n{spec}"
    if element.type in ("arrow_data_frame", "dataframe"):
        return f"table:\n{element.value.to_csv()}"
    return f"{element.type}: {getattr(element.proto, 'body', None) or element.proto}"
