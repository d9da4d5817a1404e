"""The one time range that all pages share, in the URL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

RANGES: dict[str, timedelta] = {
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "90 d": timedelta(days=90),
    "1 y": timedelta(days=365),
}
CUSTOM = "custom"
DEFAULT = "24 h"


@dataclass(frozen=True)
class Window:
    """`since` <= t < `until`, milliseconds UTC; `is_live` when it ends now."""

    since: int
    until: int
    is_live: bool
    words: str

    def fresh(self) -> Window:
        """The same range, ending at this moment when it is a live one."""
        if not self.is_live:
            return self
        now = now_ms()
        return Window(now - (self.until - self.since), now, True, self.words)


def now_ms() -> int:
    """This moment, in milliseconds UTC."""
    return time.time_ns() // 1_000_000


def zone() -> str:
    """The viewer's time zone, as the browser names it; UTC where it names none that is known here."""
    name = st.context.timezone or "UTC"
    try:
        ZoneInfo(name)
    except (ValueError, OSError):
        return "UTC"
    return name


def control() -> None:
    """The segmented control in the page's head."""
    st.segmented_control(
        "Time range",
        [*RANGES, CUSTOM],
        default=DEFAULT,
        required=True,
        key="range",
        bind="query-params",
        label_visibility="collapsed",
    )


def custom_control() -> None:
    """Two moments, shown only for a custom range; they are in the URL too."""
    if st.session_state.get("range") != CUSTOM:
        return
    local_now = datetime.now(ZoneInfo(zone())).replace(tzinfo=None, second=0, microsecond=0)
    left, right, _ = st.columns([1, 1, 2])
    with left:
        st.datetime_input("From", local_now - timedelta(days=1), key="from", bind="query-params")
    with right:
        st.datetime_input("To", local_now, key="to", bind="query-params")


def current() -> Window:
    """The window that the controls say."""
    chosen = st.session_state.get("range") or DEFAULT
    now = now_ms()
    if chosen == CUSTOM:
        since, until = (_moment(st.session_state.get(key)) for key in ("from", "to"))
        if since is not None and until is not None and since < until:
            return Window(since, until, False, "in this range")
        if since is not None and until is not None:
            st.warning("The range ends before it begins: the last 24 hours are shown.", icon=":material/date_range:")
        chosen = DEFAULT
    span = RANGES[chosen]
    return Window(now - int(span.total_seconds() * 1_000), now, True, f"in the last {chosen.replace(' ', ' ')}")


def in_link() -> dict[str, str]:
    """What a link to another page carries along, so that the range stays the same there."""
    return {name: str(st.query_params[name]) for name in ("range", "from", "to") if name in st.query_params}


def _moment(value: datetime | None) -> int | None:
    if value is None:
        return None
    return int(value.replace(tzinfo=ZoneInfo(zone())).timestamp() * 1_000)
