"""The viewer's workload: the size of one request, set once and kept in the address of every page.

A page places `control()` among its controls and passes `current()` to `routing.workload.estimate_request`;
`pages.components.request_estimate` writes the result. Links carry it along with the range (`time_range.in_link`).
"""

from __future__ import annotations

import streamlit as st

from pages.components.request_estimate import describe_workload
from pages.shell.time_range import WORKLOAD_KEYS
from routing.workload import Workload

USUAL = Workload()
"""The size that pages which always need one use while none is set."""
_LABELS = ("Prompt tokens", "Output tokens", "Cached prompt tokens")
_MOST, _STEPS = (10_000_000, 1_000_000, 10_000_000), (500, 100, 500)
_HELP = "Enter the size of a typical request: every page then shows how long it would take and what it would cost."
_OLD_SHARE, _KEPT, _PAGE = "cached", "workload_kept", "workload_page"


def carry_over(page: str) -> None:
    """Put the workload into the address of a page that was just opened by a link without it. On the same page, an
    address without a workload (after the browser's Back) means none.
    """
    if page != st.session_state.get(_PAGE) and not any(key in st.query_params for key in WORKLOAD_KEYS):
        st.query_params.update(st.session_state.get(_KEPT, {}))
    _adopt_old_share()
    st.session_state[_KEPT] = {key: str(st.query_params[key]) for key in WORKLOAD_KEYS if key in st.query_params}
    st.session_state[_PAGE] = page


def control(*, always: bool = False) -> Workload | None:
    """A button that opens the workload's three numbers, and their summary; null while none is set. `always`: the page
    needs a size, and shows the default.
    """
    workload, usual = current(), (USUAL.prompt_tokens, USUAL.output_tokens, USUAL.cached_tokens)
    with st.container(horizontal=True, vertical_alignment="center", key="workload", gap="small"):
        with st.popover("Your workload", icon=":material/calculate:", help=_HELP):
            for key, label, most, step, default in zip(WORKLOAD_KEYS, _LABELS, _MOST, _STEPS, usual, strict=True):
                st.session_state[_field(key)] = _number(key)
                st.number_input(
                    label,
                    0,
                    most,
                    None,
                    step,
                    key=_field(key),
                    placeholder=f"{default:,d}",
                    on_change=_write_numbers,
                    width=220,
                )
            st.caption(
                "Duration: time to first token, then the output at the measured speed. Cost: at the current list price."
            )
        shown = workload or (USUAL if always else None)
        if shown is not None:
            st.caption(describe_workload(shown), width="content")
    return workload


def current() -> Workload | None:
    """The workload in the address; null while it has none of the numbers."""
    prompt, output, cached = (_number(key) for key in WORKLOAD_KEYS)
    if prompt is None and output is None and not cached:
        return None
    size = USUAL.prompt_tokens if prompt is None else prompt
    return Workload(size, USUAL.output_tokens if output is None else output, min(cached or 0, size))


def _number(key: str) -> int | None:
    """A number in the address; null unless the control would accept it."""
    text = st.query_params.get(key, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 8):
        return None
    return number if (number := int(text)) <= _MOST[WORKLOAD_KEYS.index(key)] else None


def _write_numbers() -> None:
    typed = {key: st.session_state[_field(key)] for key in WORKLOAD_KEYS}
    for key, value in typed.items():
        if value is None:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = str(value)


def _field(key: str) -> str:
    return f"workload_{key}"


def _adopt_old_share() -> None:
    """Read the parameter of old links to Routing: the cached share of the prompt, in percent."""
    text = st.query_params.get(_OLD_SHARE, "")
    if text.isascii() and text.isdecimal() and WORKLOAD_KEYS[2] not in st.query_params:
        prompt = _number(WORKLOAD_KEYS[0])
        share = min(int(text[:3]), 100)
        tokens = share * (USUAL.prompt_tokens if prompt is None else prompt) // 100
        st.query_params[WORKLOAD_KEYS[2]] = str(tokens)
    st.query_params.pop(_OLD_SHARE, None)
