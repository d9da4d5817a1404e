"""Short sentences about a target: what is left of its error budget, and when its model retires."""

from __future__ import annotations

from markupsafe import Markup

from pages.components import formatting
from pages.components.states import state
from pages.components.table import quiet
from store.clock import DAY_MS
from store.schema import Model

SOON_DAYS = 30


def budget_in_words(left: float) -> str:
    """`40% left`, `none left`, or by how much it was overspent."""
    if left < 0:
        return f"overspent by {formatting.percent(-left)}"
    return f"{formatting.percent(left)} left" if left else "none left"


def countdown(model: Model | None, now: int) -> str:
    """`retires in 6 d`, to the UTC day after which a router may remove a model; nothing for one that stays."""
    if model is None or model.expires_at is None:
        return ""
    days = _days_left(model.expires_at, now)
    if days > 0:
        return f"retires in {days:,d} d"
    return "retires today" if days == 0 else "was due to retire"


def countdown_mark(model: Model | None, now: int) -> Markup:
    """The countdown of a row, in amber for the last 30 days."""
    text = countdown(model, now)
    if not text or model is None or model.expires_at is None:
        return Markup()
    is_soon = _days_left(model.expires_at, now) <= SOON_DAYS
    return Markup("<br>{}").format(state("retiring", text) if is_soon else quiet(text))


def retirement(model: Model | None, now: int) -> str:
    """A banner's sentence about a model's last day, or that it has none yet; nothing for one that stays."""
    if model is None:
        return ""
    if model.expires_at is not None:
        day = formatting.day(model.expires_at, "UTC")
        if _days_left(model.expires_at, now) < 0:
            return f"Its last day was {day} (UTC): its router may remove it at any time."
        return f"Its last day is {day} (UTC): its router may remove it afterwards."
    return "Its provider says that it is deprecated, and names no day." if is_deprecated(model) else ""


def is_deprecated(model: Model) -> bool:
    """As the list of known prices says."""
    return '"deprecated": true' in (model.more_prices or "")


def _days_left(expires_at: int, now: int) -> int:
    return expires_at // DAY_MS - now // DAY_MS
