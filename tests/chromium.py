"""Opening a page in a real browser, and what must hold of every page there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from benchmarks.browser import dashboard
from store import open_store
from store.schema import Row

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("", "model", "compare", "routing", "catalog", "targets", "alerts", "export", "system", "public-status")
"""The address of each page but the glossary."""
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_LOOK = """async options => {
    const {violations, incomplete} = await axe.run(options);
    const brokenOff = incomplete.filter(
        rule => rule.nodes.some(node => node.none.some(check => check.id === 'error-occurred')));
    return [violations, brokenOff];
}"""
_contexts: dict[tuple[Browser, str, str], BrowserContext] = {}


@contextmanager
def dashboard_of(folder: Path, rows: Iterable[Row]) -> Iterator[str]:
    """The address of a dashboard over a new store with these rows."""
    url = f"sqlite:///{folder}/rows.db"
    store = open_store(url)
    store.write(rows)
    store.close()
    with dashboard(url) as address:
        yield address


def open_in(
    browser: Browser, url: str, *, mode: str = "light", width: int = 1440, zone: str = "Europe/Berlin"
) -> tuple[Page, list[str]]:
    """A page, which the test closes, and a list that errors in it, in its console, and requests to elsewhere go to."""
    page = new_page(browser, mode, zone)
    page.set_viewport_size({"width": width, "height": 1_000})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" and _is_ours(said) else None)
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


def new_page(browser: Browser, mode: str = "light", zone: str = "Europe/Berlin") -> Page:
    """An empty page, which the test closes.

    Pages of a mode and zone share a context, and so its cache: the 96 files of a first visit are fetched once per
    dashboard and not in each test. They also share a process, because the browser has `--process-per-site` and one page
    of this site stays open: what was compiled is there for the next test, whose first load takes half of the CPU time.
    """
    if (browser, mode, zone) not in _contexts:
        context = browser.new_context(color_scheme=mode, timezone_id=zone)  # type: ignore[arg-type]
        context.on("close", lambda _: _contexts.pop((browser, mode, zone), None))
        stays = context.new_page()
        stays.route("**", lambda route: route.fulfill(body=""))
        stays.goto("http://127.0.0.1/")
        _contexts[browser, mode, zone] = context
    return _contexts[browser, mode, zone].new_page()


def wait_until_still(page: Page, still_ms: int = 300) -> None:
    """Until nothing in the page has changed for a while: what follows by itself does so once in some seconds."""
    page.evaluate(
        """still_ms => new Promise(done => {
            let timer = setTimeout(done, still_ms);
            const watching = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, still_ms); });
            watching.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
            setTimeout(done, 5_000);
        })""",
        still_ms,
    )


def broken_rules(page: Page) -> list[str]:
    """The rules of WCAG 2.1 A and AA that axe-core finds broken, each with its element.

    A rule breaks off when its element is drawn again meanwhile, or is cut by the window's edge ("midpoint exceeds the
    grid bounds"). It was not looked at then, and is again, in a window that is a bit higher.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(Axe().axe_script)
    size = page.viewport_size
    assert size is not None
    for more_px in (0, 50, 100, 150):
        if more_px:
            page.set_viewport_size({"width": size["width"], "height": size["height"] + more_px})
            wait_until_still(page)
        # each rule is looked at; what is in order is not listed, as that took a quarter of the time
        broken, broken_off = page.evaluate(_LOOK, {"runOnly": _RULES, "resultTypes": ["violations"]})
        if not broken_off:
            break
    page.set_viewport_size(size)
    return [f"{rule['id']}: {node['html'][:200]}" for rule in broken + broken_off for node in rule["nodes"]]


def _is_ours(said: ConsoleMessage) -> bool:
    """Opened at a page's own address, Streamlit first looks for its server below it, and the browser notes two 404s."""
    return not ("404" in said.text and "/_stcore/" in said.location["url"])


def assert_fits(page: Page, name: str, mode: str, width: int) -> None:
    """Nothing sticks out on the right, nothing broke, and the colours are the mode's; a picture is kept."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{re.sub('[^a-z]+', '-', name.lower())}-{mode}-{width}.png")
    where = f"{name} at {width}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width, where
    overflow = page.evaluate(
        """() => [...document.querySelectorAll('.u-card, .u-list, .u-strip')].filter(
            box => !box.closest('.u-scroll') && box.getBoundingClientRect().right > window.innerWidth + 1).length"""
    )
    assert overflow == 0, where
    for trouble in ("Traceback", "encountered an error"):
        assert page.get_by_text(trouble).count() == 0, where
    dark = page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == "dark"
    assert dark == (mode == "dark"), where
