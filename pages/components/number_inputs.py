"""Numbers that are kept in the page's address, where anybody may write anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import streamlit as st

MOST_LETTERS = 30
_ODD = "odd_numbers"


def numeric(widget: Callable[..., Any], label: str, *limits: float | None, key: str, **more: Any) -> Any:
    """`st.number_input` or `st.slider`, bound to the address: what is there and is no finite number gives way to the
    default. Streamlit itself ends with an error at an infinite one, as 400 digits are.
    """
    odd: set[str] = st.session_state.setdefault(_ODD, set())
    if key in st.query_params and not _is_number(st.query_params[key]):
        odd.add(key)
        del st.query_params[key]
    bind = None if key in odd else "query-params"  # it would be seeded with the first address of the session
    return widget(label, *limits, key=key, bind=bind, **more)


def _is_number(text: str) -> bool:
    try:
        return len(text) <= MOST_LETTERS and math.isfinite(float(text))
    except ValueError:
        return False
