"""What a page sends to the browser: at most 300 kB, also of a hundred targets that are now and then down."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pages.components import theme
from store import open_store
from tests.factories import DAY, MINUTE, probe, target
from tests.pages.conftest import now_ms, open_page

MOST_BYTES = 300_000
PAGES = ["", "model.py", "public_status.py", "system.py", "export.py", "alerts.py", "targets.py"]


def sent(block: Any) -> int:
    """The bytes of all elements below a block."""
    return sum(
        sent(child) if hasattr(child, "children") else len(child.proto.SerializeToString())
        for child in block.children.values()
    )


def test_the_style_sheet_has_no_tag_for_which_the_browser_would_drop_all_of_it() -> None:
    assert "<" not in (Path(theme.__file__).with_suffix(".css")).read_text()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> str:
    url, now, chance = f"sqlite:///{tmp_path_factory.mktemp('busy')}/busy.db", now_ms(), random.Random(5)
    store = open_store(url)
    for number in range(100):
        name = f"a target with quite a long name, number {number:03d}"
        store.write([target(name, every_s=300.0)])
        outages = {chance.randrange(288) for _ in range(3)}
        store.write(
            probe(
                now - n * 5 * MINUTE,
                "timeout" if n in outages else "ok",
                target=name,
                stands_for_s=300.0,
                ttft_ms=None if n in outages else chance.lognormvariate(6, 0.4),
            )
            for n in range(DAY // (5 * MINUTE))
        )
    store.close()
    return url


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_a_hundred_targets_is_under_300_kb(busy: str, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setenv("UPTOKEN_STORE", busy)
    app = open_page(page)
    assert not app.exception
    assert 500 < sent(app.main) < MOST_BYTES, f"{Path(page).stem or 'overview'}: {sent(app.main):,} bytes"
