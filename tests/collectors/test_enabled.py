"""`enabled = false`: nobody asks the target for anything, and what was recorded of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.schema import BUDGETS, TARGETS, Budget, Target
from tests.collectors.builders import config, new_store, run_once
from tests.collectors.cli_fixture import CliFixture
from tests.fault_server import GOOD, FaultServer, answer, chunked


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[CliFixture]:
    with FaultServer(chunked(*GOOD)) as server:
        yield CliFixture(tmp_path, server.url)


def _states(store: Store) -> dict[str, str]:
    return {target.name: target.state for target in (Target(*values) for values in store.read(TARGETS))}


def test_a_disabled_target_is_asked_for_nothing_by_any_collector(store: Store) -> None:
    with FaultServer(answer(404, {})) as quiet, FaultServer(chunked(*GOOD)) as server:
        settings = config({"base_url": quiet.url, "enabled": False}, {"base_url": server.url})
        probes, _ = run_once(settings, store, everything=True, only=["probe", "local_servers"])
    assert quiet.requests == []
    assert [probe.target for probe in probes] == ["t1"]
    assert _states(store) == {"t0": "disabled", "t1": "active"}


def test_a_disabled_target_makes_no_server_be_asked_for_its_slots(store: Store) -> None:
    """A server with one target that is probed needs no limit."""
    with FaultServer(chunked(*GOOD)) as server:
        run_once(config({"base_url": server.url}, {"base_url": server.url, "enabled": False}), store)
    assert [request["line"].split()[0] for request in server.requests] == ["POST"]


def test_a_target_that_is_disabled_keeps_its_rows_and_goes_on_when_it_is_enabled_again(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        on, off = {"base_url": server.url}, {"base_url": server.url, "enabled": False}
        assert len(run_once(config(on), store)[0]) == 1
        assert len(run_once(config(off), store, everything=True)[0]) == 1
        assert _states(store) == {"t0": "disabled"}
        assert len(run_once(config(on), store, everything=True)[0]) == 2
    assert _states(store) == {"t0": "active"}


def test_what_a_disabled_target_has_used_of_a_quota_today_is_used(store: Store) -> None:
    """The quota is the provider's, who counts on."""
    with FaultServer(chunked(*GOOD)) as server:

        def pair(**first: Any) -> Any:
            targets = ({"base_url": server.url, "model": f"m{n}:free"} for n in range(2))
            return config(*(t | (first if n == 0 else {}) for n, t in enumerate(targets)), free_requests_per_day=3)

        assert len(run_once(pair(), store, everything=True)[0]) == 2
        probes, _ = run_once(pair(enabled=False), store, everything=True)
        assert [probe.target for probe in probes].count("t1") == 2
        probes, said = run_once(pair(enabled=False), store, everything=True)
    assert len(probes) == 3
    assert "not probed: t1: the 3 requests a day that free models share" in said
    assert [Budget(*row).free_requests for row in store.read(BUDGETS)] == [3]


def test_a_disabled_target_needs_no_descriptors(place: CliFixture) -> None:
    """60 targets need six descriptors each; 59 that are disabled need none."""
    more = "".join(
        f'[[target]]\nname = "t{n}"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nenabled = ENABLED\n'
        for n in range(59)
    )
    said = {}
    for enabled in ("true", "false"):
        place.configure("http://127.0.0.1:9/v1")
        place.config.write_text(place.config.read_text() + more.replace("ENABLED", enabled))
        script = (
            "import resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
            "sys.argv = ['collectors', 'run', '--only', 'probe']\n"
            "from cli import main\nmain()\n"
        )
        said[enabled] = place.python(script).stdout
    assert "60 targets may need" in said["true"]
    assert "file descriptors" not in said["false"]


def test_a_run_over_disabled_targets_alone_says_so_and_is_no_error(place: CliFixture) -> None:
    place.config.write_text(place.config.read_text() + "enabled = false\n")
    code, out, err = place.run("run")
    assert (code, err) == (0, "")
    assert out.startswith("the only target is disabled (enabled = false): nothing is probed. Set enabled = true")
    assert place.probes() == []
    place.config.write_text(
        place.config.read_text() + place.config.read_text().partition("\n\n")[2].replace('"a"', '"b"')
    )
    code, out, _ = place.run("run")
    assert code == 0
    assert out.startswith("all 2 targets are disabled (enabled = false): nothing is probed")


def test_only_with_a_target_instead_of_a_collector_says_whether_it_is_disabled(place: CliFixture) -> None:
    code, _, err = place.run("run", "--only", "a")
    assert (code, "'a' is a target; to probe only some targets, disable the others" in err) == (2, True)
    place.config.write_text(place.config.read_text() + "enabled = false\n")
    code, _, err = place.run("run", "--only", "a")
    assert (code, "'a' is a target and it is disabled (enabled = false)" in err) == (2, True)


def test_check_lists_a_disabled_target_and_does_not_reach_it(place: CliFixture) -> None:
    with FaultServer(chunked(*GOOD)) as quiet:
        place.config.write_text(
            place.config.read_text()
            + f'[[target]]\nname = "b"\nmodel = "m"\nbase_url = "{quiet.url}"\nenabled = false\n'
        )
        code, out, err = place.run("check")
    assert (code, err, quiet.requests) == (0, "", [])
    assert "is valid: 2 target(s), 1 of them disabled" in " ".join(out.split())
    assert "b disabled 0 nothing" in [" ".join(line.split()) for line in out.splitlines()]


def test_check_names_the_routes_and_what_they_lack(place: CliFixture) -> None:
    place.config.write_text(
        place.config.read_text()
        + '[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "NOT_SET"\n'
        + '[relay]\nkeys_env = "NO_CLIENTS"\n[[route]]\nmodel = "gemma"\ntargets = ["a", "b"]\nstrategy = "latency"\n'
    )
    code, out, err = place.run("check")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert "route gemma: a, b (latency); waiting for a key: b" in lines
    assert "the relay cannot start: NO_CLIENTS is not set: it holds the relay's keys, as name=key" in lines
