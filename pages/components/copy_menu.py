"""A menu of what can be copied from a page; `browser.js` copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

PAGE = "{page}"
"""Stands for the address of the page, as the browser has it at that moment."""
BASE = "{base}"
"""Stands for the address that the dashboard's pages and routes are below, with its slash."""


@dataclass(frozen=True)
class CopyItem:
    """A text to copy, in which `PAGE` and `BASE` may stand."""

    label: str
    text: str


@dataclass(frozen=True)
class MenuLink:
    """What is saved or opened instead."""

    label: str
    address: str
    is_download: bool = False


def copy_menu(items: Sequence[CopyItem], links: Sequence[MenuLink] = ()) -> Markup:
    """The menu: opened by its button, closed by Escape, a click elsewhere, or after a copy."""
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
