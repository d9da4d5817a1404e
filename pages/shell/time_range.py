"""The one time range that all pages share. It is in the URL; a range of two moments is there in UTC, so that a link
shows somebody in another time zone the same.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from pages.components import formatting
from pages.queries import cache, source
from pages.queries.time_range import TimeRange
from store import StoreError
from store.clock import MINUTE_MS, now_ms
from store.rollup_plan import Range, available_range

RANGES: dict[str, timedelta] = {
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "90 d": timedelta(days=90),
    "1 y": timedelta(days=365),
}
CUSTOM = "custom"
DEFAULT = "24 h"
WORKLOAD_KEYS = ("prompt", "output", "cached_tokens")
"""The size of the viewer's requests in the address: see `pages.shell.workload`."""


def pixel_s(began: int = 0) -> float | None:
    """After how many seconds a chart of the window has moved by about two pixels; null for one that stands still.
    `began`: when the charted target was first probed (milliseconds UTC), where that is within the window.

    A chart loses what is hovered when it is drawn anew, so it is drawn no more often than it can differ; but what has
    just failed should be in it soon.
    """
    chosen = current()
    span_s = (chosen.until - max(chosen.since, began)) / 1_000
    return min(300.0, max(5.0, span_s / 500)) if chosen.is_live else None


def steady(began: int = 0) -> TimeRange:
    """The window, which moves in steps of `pixel_s`: what is charted of it is the same for all who look within one."""
    chosen = current()
    if not chosen.is_live:
        return chosen
    step_ms = int((pixel_s(began) or 1.0) * 1_000)
    until = chosen.until - chosen.until % step_ms + step_ms
    return TimeRange(until - (chosen.until - chosen.since), until, True, chosen.words)


def zone() -> str:
    """The viewer's time zone, as the browser names it; UTC where it names none that is known here."""
    return formatting.known_zone(st.context.timezone or "UTC") or "UTC"


def control() -> None:
    """The range in the page's header: a segmented control, and a menu of the same that narrow windows show instead."""
    _adopt_alias()
    st.segmented_control(
        "Time range",
        [*RANGES, CUSTOM],
        default=DEFAULT,
        required=True,
        key="range",
        bind="query-params",
        label_visibility="collapsed",
        on_change=_chosen,
    )
    st.session_state[_MENU] = st.session_state.get("range") or DEFAULT
    st.selectbox(
        "Time range", [*RANGES, CUSTOM], key=_MENU, label_visibility="collapsed", on_change=_chosen_in_menu, width=104
    )
    if (preset := st.session_state.get("range")) in RANGES:
        st.session_state[_BEFORE] = preset


def custom_control() -> None:
    """Two moments, shown only for a custom range, and the way back."""
    if st.session_state.get("range") != CUSTOM:
        return
    shown = _between() or _preset(DEFAULT, now_ms())
    for key, moment in ((_FROM, shown.since), (_TO, shown.until)):
        st.session_state[key] = datetime.fromtimestamp(moment // 1_000, ZoneInfo(zone())).replace(tzinfo=None)
    with st.container(horizontal=True, vertical_alignment="bottom", key="custom_range"):
        for label, key in (("From", _FROM), ("To", _TO)):
            st.datetime_input(label, None, key=key, on_change=_typed, width=220)  # shows what its state says
        st.button(f"Back to {_before()}", on_click=reset, icon=":material/undo:", key="range_reset")
        st.caption(f"{formatting.duration((shown.until - shown.since) / 1_000)}, in the time zone {zone()}")


def current() -> TimeRange:
    """The window that the controls say."""
    chosen = st.session_state.get("range") or DEFAULT
    between = _between() if chosen == CUSTOM else None
    if between is not None and between.since < between.until:
        return between
    if between is not None:
        st.warning("The range ends before it begins: the last 24 hours are shown.", icon=":material/date_range:")
    return _preset(chosen if chosen != CUSTOM else DEFAULT, now_ms())


def pick(since: int, until: int) -> None:
    """Make two moments (milliseconds UTC) the range, in a callback. It has whole minutes, as its inputs have."""
    since, until = since - since % MINUTE_MS, until + -until % MINUTE_MS
    st.session_state["range"] = CUSTOM
    st.session_state[_PICKED] = {"from": _written(since), "to": _written(until)}
    st.query_params.update(st.session_state[_PICKED])


def pick_local(low: str, high: str) -> None:
    """The same from wall-clock times of the viewer's, as a chart tells them; what is no time is left alone."""
    try:
        moments = sorted(_moment(datetime.fromisoformat(text)) for text in (low, high))
    except ValueError:
        return
    pick(moments[0], max(moments[1], moments[0] + MINUTE_MS))


def reset() -> None:
    """Back to the range that was chosen before these moments were, in a callback."""
    if st.session_state.get("range") == CUSTOM:
        st.session_state["range"] = _before()
        _forget()


def in_link() -> dict[str, str]:
    """What a link to another page carries along, so that the range and the workload stay the same there."""
    kept = ("from", "to", *WORKLOAD_KEYS)
    moments = {name: str(st.query_params[name]) for name in kept if name in st.query_params}
    chosen = st.session_state.get("range") or DEFAULT
    return ({"range": chosen} if chosen != DEFAULT else {}) | moments


def in_page_link() -> dict[str, str]:
    """`in_link` for `st.page_link`, which itself adds the range, as all values of widgets bound to the address."""
    return {name: value for name, value in in_link().items() if name != "range"}


def around(since: int, until: int) -> dict[str, str]:
    """What a link carries to show a range of moments (milliseconds UTC) with as much before and after it, half an hour
    at least.
    """
    margin = max(LEAST_MARGIN_MS, until - since)
    return {"range": CUSTOM, "from": _written(since - margin), "to": _written(until + margin + MINUTE_MS)}


LEAST_MARGIN_MS = 30 * MINUTE_MS
_YEARS = (2000, 2100)
_FROM, _TO, _BEFORE, _PICKED, _MENU = "from_shown", "to_shown", "range_before", "range_picked", "range_menu"
_ALIASES = {
    alias: name
    for name, aliases in {
        "24 h": ("24h", "1d", "day", "today"),
        "7 d": ("7d", "1w", "week", "168h"),
        "30 d": ("30d", "1m", "1mo", "month"),
        "90 d": ("90d", "3m", "3mo", "quarter"),
        "1 y": ("1y", "365d", "12m", "year"),
    }.items()
    for alias in aliases
}
"""Other ways in which people write a range into an address."""


def _preset(name: str, now: int) -> TimeRange:
    return TimeRange(
        now - int(RANGES[name].total_seconds() * 1_000), now, True, f"in the last {name.replace(' ', ' ')}"
    )


def _before() -> str:
    return str(st.session_state.get(_BEFORE, DEFAULT))


def _adopt_alias() -> None:
    """Let `?range=7d` mean what it says: Streamlit knows the control's own words alone, and drops any others."""
    written = st.query_params.get("range", "").strip().lower().replace(" ", "").replace("+", "")
    if "range" not in st.session_state and written in _ALIASES:
        st.session_state["range"] = _ALIASES[written]


def _chosen_in_menu() -> None:
    st.session_state["range"] = st.session_state[_MENU]
    _chosen()


def _chosen() -> None:
    """Custom begins with what was shown; a preset needs no moments in the URL."""
    if st.session_state.get("range") == CUSTOM:
        before = _preset(_before(), now_ms())
        pick(before.since, before.until)
    else:
        _forget()


def _typed() -> None:
    typed = [st.session_state[key] for key in (_FROM, _TO)]
    if None not in typed:  # a field that was emptied keeps what was there
        with suppress(ValueError):
            pick(*(_moment(value) for value in typed))


def _forget() -> None:
    st.session_state.pop(_PICKED, None)
    for name in ("from", "to"):
        st.query_params.pop(name, None)


def _between() -> TimeRange | None:
    """The two moments of the URL; on another page, whose URL has none yet, those that were picked."""
    told = {name: st.query_params.get(name) for name in ("from", "to")}
    if not any(told.values()) and (kept := st.session_state.get(_PICKED)):
        told = dict(kept)
        st.query_params.update(kept)
    try:
        since, until = (_moment(datetime.fromisoformat(told[name] or "")) for name in ("from", "to"))
    except ValueError:
        return None
    return TimeRange(since, until, False, "in this range")


def _written(moment: int) -> str:
    """`20261124T1000Z`: ISO 8601 without what an address would have to escape."""
    return f"{datetime.fromtimestamp(moment // 1_000, UTC):%Y%m%dT%H%MZ}"


def _moment(value: datetime) -> int:
    """Milliseconds UTC; a time without a zone is the viewer's. Raises ValueError for years without probes."""
    if not _YEARS[0] <= value.year < _YEARS[1]:
        raise ValueError(f"no year from {_YEARS[0]} to {_YEARS[1] - 1}")
    return int((value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone()))).timestamp() * 1_000)


def effective_range() -> None:
    """Say which range is really told, where it is another one than was chosen."""
    chosen = current()
    with suppress(StoreError):  # the page itself says what is wrong
        told = available_range(cache.store(source.store_url()), Range(chosen.since, chosen.until))
        if told.since != chosen.since or (told.until != chosen.until and not chosen.is_live):
            since, until = (formatting.clock(moment, zone()) for moment in (told.since, told.until))
            end = "now" if chosen.is_live else until
            st.caption(f"Older probes are pruned, so that this range is whole hours: from {since} until {end}.")
