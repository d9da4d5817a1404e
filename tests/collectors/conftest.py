"""What several of the collectors' tests are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.router_fixture import RouterFixture


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RouterFixture]:
    made = RouterFixture(tmp_path)
    with made.server:
        yield made
    made.store.close()
