"""The states of targets, probes and bars: one word and one mark each, on every page."""

from __future__ import annotations

from markupsafe import Markup

WORDS = {
    "up": "up",
    "degraded": "degraded",
    "partly": "partly down",
    "down": "down",
    "not_counted": "not counted",
    "paused": "paused",
    "no_data": "no data",
    "stale": "no recent probe",
    "never": "not probed in this range",
    "waiting": "waiting for a key",
    "disabled": "disabled",
}
MARKS = {"up": "●", "degraded": "▲", "down": "▼", "not_counted": "◆", "paused": "‖"}
OTHER_MARK = "○"


def state(kind: str, text: str | None = None, tip: str = "", why: str = "") -> Markup:
    """A mark that differs in shape, the word (or `text`), and the colour. `tip` is shown on hover, touch and focus, and
    `why` names what a click explains (`pages.sections.why`).
    """
    label = text or WORDS[kind]
    badge = Markup('<span class="u-state {}">{} {}</span>').format(kind, MARKS.get(kind, OTHER_MARK), label)
    return with_tip(badge, tip, why) if tip or why else badge


def with_tip(content: str, tip: str, why: str = "") -> Markup:
    """HTML with a tooltip on hover, touch and focus; with `why`, a click opens an explanation."""
    if not why:
        return _button("u-seen", content, tip)
    shown = tip or "Why?"
    return Markup(
        '<button type="button" class="u-seen why" aria-haspopup="dialog" data-why="{}" aria-description="{}" '
        'data-tip="{}">{}</button>'
    ).format(why, shown, shown, content)


def explained(text: str, explanation: str) -> Markup:
    """A term, dotted underline and all, that shows its explanation on hover, touch and focus."""
    return _button("u-term", text, explanation)


def sortable(key: str, text: str, explanation: str, direction: str) -> Markup:
    """The head of a column that a click sorts by; `direction` is the `aria-sort` of the column."""
    arrow = {"ascending": " ↑", "descending": " ↓"}.get(direction, "")
    tip = f"{explanation} Click to sort{' the other way' if arrow else ''}."
    return Markup(
        '<button type="button" class="u-term sort" data-sort="{}" aria-description="{}" data-tip="{}">{}{}</button>'
    ).format(key, tip, tip, text, arrow)


def _button(kind: str, content: str, tip: str) -> Markup:
    return Markup('<button type="button" class="{}" aria-description="{}" data-tip="{}">{}</button>').format(
        kind, tip, tip, content
    )
