"""Capabilities from the command line: what a day of them costs, and a check by a real process."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cli.trial import cost_of_day
from settings.targets import load
from store import open_store
from store.capability_tables import CAPABILITIES, CapabilityTest
from store.schema import Model
from tests.collectors.cli_fixture import CliFixture
from tests.collectors.lying_server import Server
from tests.fault_server import FaultServer


@pytest.fixture
def place(tmp_path: Path) -> CliFixture:
    return CliFixture(tmp_path, "", configures=False)


def configure(place: CliFixture, url: str) -> None:
    place.configure(url)
    more = "usd_per_million_input = 1\nusd_per_million_output = 2\ncapabilities = true\n"
    place.config.write_text(place.config.read_text() + more + 'capabilities_context = "7d"\n')
    store = open_store(place.url)
    store.write([Model("a", "m", 1, context_tokens=4_000, supported_parameters="tools,seed")])
    store.close()


def test_check_says_what_a_day_of_tests_costs_the_long_prompt_included(place: CliFixture) -> None:
    """12 requests of 400 + 2 x 64 millionths, one of 4,000 + 2 x 16, and a seventh of 1,200 + 4,000 + 2 x 2 x 16."""
    with FaultServer(Server().script()) as server:
        configure(place, server.url)
        code, out, err = place.call("check")
    assert (code, err) == (0, "")
    # 6,336 + 4,032 + 752 millionths
    assert "capabilities checks take 13 requests on a usual day, at most $0.0111" in " ".join(out.split())


def test_the_most_that_a_day_costs_includes_learning_the_identity_and_the_day_of_the_weekly_tests(
    place: CliFixture,
) -> None:
    """At a dollar a request: a probe an hour, 4 x 24 checks of 2 requests, and the 13 tests of one day."""
    place.configure("http://127.0.0.1:9/v1")
    place.config.write_text(place.config.read_text() + 'identity = "1h"\ncapabilities = "7d"\n')
    loaded = load(place.config)
    day = cost_of_day(loaded, loaded.targets[0], None, lambda _profile, prompt_tokens=None: Decimal(1))
    assert (day.probes, day.usd) == (24, 24 + 4 * 24 * 2 + 13)


@pytest.mark.process
def test_a_process_finds_what_a_server_lies_about(place: CliFixture) -> None:
    with FaultServer(Server("tools", "seed").script()) as server:
        configure(place, server.url)
        process = place.start("run", "--only", "capabilities", "--all")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), out
    store = open_store(place.url)
    tests = [CapabilityTest(*row) for row in store.read(CAPABILITIES)]
    store.close()
    assert len(tests) == 11
    assert {test.capability for test in tests if test.verdict == "fails"} == {"tools", "seed"}
