"""Stores for the tests of the HTTP routes: those of the pages, and one whose numbers can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.registry import ROUTES
from store import open_store
from store.schema import Row, Run
from tests.factories import MINUTE, NOON, probe, target
from tests.pages.conftest import filled, now_ms, store_at

__all__ = ["client", "filled", "now_ms", "past", "store_at"]


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=ROUTES))


def hour_of(name: str, location: str = "here", failed: tuple[int, ...] = ()) -> list[Row]:
    """A probe a minute for the hour from noon on, with a TTFT of 100, 101, … 159 ms; those of some minutes fail."""
    return [
        probe(
            NOON + n * MINUTE,
            **({"outcome": "timeout", "error": "it took too long"} if n in failed else {"ttft_ms": 100.0 + n}),
            target=name,
            location=location,
            cost_usd=0.001,
        )
        for n in range(60)
    ]


@pytest.fixture
def past(store_at: Path) -> Path:
    """Two targets in the hour from 12:00 on 24 November 2026, one of them with a slash in its name."""
    store = open_store(f"sqlite:///{store_at}")
    rows: list[Row] = [target("acme/one"), target("Two", tags="eu,fast"), target("Gone", state="removed")]
    rows += hour_of("acme/one", failed=(10, 11, 12))
    rows += hour_of("Two")
    rows += [
        probe(
            NOON + n * 10 * MINUTE + 1,
            target="Two",
            profile="throughput",
            stands_for_s=600.0,
            tokens_per_second=40.0 + n,
            completion_tokens=128,
        )
        for n in range(6)
    ]
    rows.append(Run("probe", NOON, "here", NOON + 500, 3))
    store.write(rows)
    store.close()
    return store_at
