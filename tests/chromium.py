"""Opening a page in a real browser, and what must hold of every page there."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]


def open_in(browser: Browser, url: str, *, mode: str = "light", width: int = 1440) -> tuple[Page, list[str]]:
    """A page in a context of its own, and a list that errors in it and requests to elsewhere go to."""
    context = browser.new_context(
        viewport={"width": width, "height": 1_000},
        color_scheme=mode,
        timezone_id="Europe/Berlin",  # type: ignore[arg-type]
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if "127.0.0.1" in request.url or request.url.startswith(("data:", "blob:"))
            else errors.append(f"a request left this machine: {request.url}")
        ),
    )
    page.goto(url)
    return page, errors


def assert_fits(page: Page, name: str, mode: str, width: int) -> None:
    """Nothing sticks out on the right, nothing broke, and the colours are the mode's; a picture is kept."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{re.sub('[^a-z]+', '-', name.lower())}-{mode}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    overflow = page.evaluate(
        """() => [...document.querySelectorAll('.u-card, .u-list, .u-strip')].filter(
            box => !box.closest('.u-scroll') && box.getBoundingClientRect().right > window.innerWidth + 1).length"""
    )
    assert overflow == 0
    assert page.get_by_text("Traceback").count() == 0
    dark = page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == "dark"
    assert dark == (mode == "dark")
