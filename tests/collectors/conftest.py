"""What several of the collectors' tests are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.scheduler import checking
from store import Store
from tests.collectors.builders import new_store
from tests.collectors.router_fixture import RouterFixture


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RouterFixture]:
    made = RouterFixture(tmp_path)
    with made.server:
        yield made
    made.store.close()


@pytest.fixture(autouse=True)
def _checks_do_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe waits for its turn here; tests with processes of their own show that one has it."""
    monkeypatch.setattr(checking, "OTHERS_FIRST_S", 0.0)
