"""Workloads from the command line: what a day of them costs, and a workload that a running collector is given."""

from __future__ import annotations

from pathlib import Path

from store import open_store
from store.schema import Model
from store.workload_tables import WORKLOADS
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, chunked


def test_check_says_what_a_day_of_a_workload_costs_without_what_exceeds_the_context(tmp_path: Path) -> None:
    """Twice a day 1,000 tokens, which may be 1,314, and 128 more, at $1 and $2 per million; and what fits of 5,000
    twice: 3,000, which may be 3,814. 10,000 exceed 4,000: 2 x (1,314 + 2 x 3,814 + 3 x 256) = 19,420 millionths.
    """
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        more = "usd_per_million_input = 1\nusd_per_million_output = 2\n[[workload]]\nname = 'ladder'\ntargets = ['*']\n"
        more += 'input_tokens = [1000, 10000]\nevery = "12h"\nprompt_cache = true\n'
        place.config.write_text(place.config.read_text() + more)
        store = open_store(place.url)
        store.write([Model("a", "m", 1, context_tokens=4_000)])
        store.close()
        code, out, err = place.call("check")
    assert (code, err) == (0, "")
    said = (
        "a: workloads checks take 6 requests on a usual day, at most $0.0194; 10,000 input tokens exceed the context of"
    )
    assert f"{said} 4,000" in " ".join(out.split())


def test_a_running_collector_takes_a_workload_over_and_another_one_at_once(tmp_path: Path) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        process = place.start("run", "--every", "1", "--only", "workloads")

        def add(name: str) -> None:
            more = f'[[workload]]\nname = "{name}"\ntargets = ["a"]\ninput_tokens = [100]\n'
            place.config.write_text(place.config.read_text() + more)

        def measured() -> list[str]:
            store = open_store(place.url)
            names = [name for (name,) in store.read(WORKLOADS, columns=("workload",))]
            store.close()
            return names

        add("first")
        until(lambda: measured() == ["first"])
        add("second")
        until(lambda: measured() == ["first", "second"])
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
