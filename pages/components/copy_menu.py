"""A menu of texts to copy from a page; `browser.js` copies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

PAGE = "{page}"
"""Placeholder for the page's current address in the browser."""
BASE = "{base}"
"""Placeholder for the dashboard's base address, with its slash."""


@dataclass(frozen=True)
class CopyItem:
    """A text to copy, which may contain `PAGE` and `BASE`."""

    label: str
    text: str


@dataclass(frozen=True)
class MenuLink:
    """An entry that opens or downloads an address."""

    label: str
    address: str
    is_download: bool = False


def copy_menu(items: Sequence[CopyItem], links: Sequence[MenuLink] = ()) -> Markup:
    """The menu. Escape, a click elsewhere or a copy closes it."""
    button = Markup('<button type="button" data-copy="{}">{}</button>')
    buttons = Markup().join(button.format(item.text, item.label) for item in items)
    anchors = Markup().join(
        Markup('<a href="{}"{}>{}</a>').format(
            link.address, Markup(" download") if link.is_download else Markup(' target="_blank"'), link.label
        )
        for link in links
    )
    return Markup(
        '<div class="u"><details class="u-menu"><summary>Copy as</summary><div>{}{}</div></details></div>'
    ).format(buttons, anchors)
