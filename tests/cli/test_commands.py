"""The command line as people and timers use it: real processes, real signals, exit codes."""

from __future__ import annotations

import csv
import io
import itertools
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.scheduler.lock import LockFile, lock_path, new_run
from store import Selection, open_store
from store.schema import RUNS
from tests.collectors.cli_fixture import CliFixture, until
from tests.factories import DAY, NOON, probe
from tests.fault_server import DONE, GOOD, FaultServer, answer, chunk, chunked, raw, usage

pytestmark = pytest.mark.waits


@pytest.fixture
def place(tmp_path: Path) -> Iterator[CliFixture]:
    with FaultServer(chunked(*GOOD)) as server:
        yield CliFixture(tmp_path, server.url)


def test_a_run_says_a_line_a_probe_and_ends_with_a_table(place: CliFixture) -> None:
    code, out, err = place.run("run")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert any("up    a  first token" in line for line in lines)
    assert lines[-2].split() == ["target", "probes", "up", "first", "token", "outcomes"]
    assert lines[-1].startswith("a ") and lines[-1].rstrip().endswith("1 ok")


def test_a_target_that_is_down_is_no_error_of_the_run(place: CliFixture) -> None:
    place.configure("http://127.0.0.1:9/v1")
    code, out, _ = place.run("run")
    assert code == 0
    assert "DOWN  a  connection_error" in out


def test_a_list_of_models_that_fails_is_no_error_of_uptoken_itself(place: CliFixture) -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        (answer(500, {}) if request["line"].startswith("GET") else chunked(*GOOD))(connection, request)

    with FaultServer(script) as server:
        place.configure(server.url)
        code, out, err = place.run("run")
    assert (code, err) == (0, "")
    assert "local_servers: a: GET /v1/models returned HTTP 500" in out
    assert [row.outcome for row in place.probes()] == ["ok"]


def test_when_nothing_is_due_it_says_when_the_next_probe_is(place: CliFixture) -> None:
    place.run("run")
    code, out, _ = place.run("run")
    assert code == 0
    assert out.startswith("nothing is due; the next probe is in ")


def test_a_wrong_configuration_is_exit_code_2_and_nothing_is_probed(place: CliFixture) -> None:
    place.config.write_text(place.config.read_text() + 'evry = "5s"\n')
    code, out, err = place.run("run")
    assert (code, out) == (2, "")
    assert err.endswith("targets.toml, line 10: target 1 ('a') has no 'evry'; did you mean 'every'?\n")
    assert not (place.folder / "data").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--evry", "5"), "No such option: --evry"),
        (("run", "--every", "soon"), "'soon' is not a duration"),
        (("run", "--only", "proob"), "there is no collector 'proob'; choose one of probe, local_servers,"),
        (("run", "--config", "nope.toml"), "there is no configuration at nope.toml"),
        (("run", "--store", "mysql://h/x"), "no store is known by the URL 'mysql://h/x'"),
        (("export", "proobs"), "there is no table 'proobs'; choose one of probes,"),
        (("export", "probes", "--since", "yesterday"), "'yesterday' is not a time; write 2026-11-24"),
        (("export", "probes", "--format", "xls"), "'xls' is not a format; choose one of csv, jsonl, parquet"),
        (("import", "probes", "nope.csv"), "there is no file nope.csv"),
        (("frobnicate",), "No such command 'frobnicate'"),
    ],
)
def test_a_wrong_flag_is_exit_code_2_and_one_sentence(place: CliFixture, words: tuple[str, ...], said: str) -> None:
    code, out, err = place.run(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_store_that_cannot_be_opened_is_exit_code_3(place: CliFixture) -> None:
    (place.folder / "data").mkdir()
    place.store_path.write_bytes(b"this was never a database" * 400)
    code, _, err = place.run("run")
    assert code == 3
    assert "damaged or is not a database" in err
    assert place.run("export", "probes")[0] == 3


def test_a_loop_keeps_running_aligned_and_ends_cleanly_on_sigterm(place: CliFixture) -> None:
    process = place.start_loop()
    until(lambda: place.store_path.exists() and len(place.probes()) >= 4)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert "outcomes" in out
    assert "held up" not in out, "nothing is missed at a start"
    starts = [row.started_at for row in place.probes()]
    assert all(0.5 < (b - a) / 1_000 < 1.6 for a, b in itertools.pairwise(starts[1:]))
    store = open_store(place.url, read_only=True)
    runs = list(store.read(RUNS, Selection(targets=("probe",)), columns=("started_at",)))
    assert all(at % 1_000 < 500 for (at,) in runs[1:])
    store.close()


def test_ctrl_c_is_exit_code_130(place: CliFixture) -> None:
    process = place.start_loop()
    until(lambda: place.store_path.exists() and place.probes())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_sigterm_does_not_wait_for_a_target_that_hangs_and_blames_nobody(place: CliFixture) -> None:
    with FaultServer(raw(60.0)) as hanging:
        place.configure(hanging.url)
        process = place.start_loop()
        until(lambda: hanging.requests)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
    assert process.returncode == 0
    assert time.monotonic() - began < 6
    assert place.probes() == []


def test_a_target_that_hangs_does_not_delay_the_others(place: CliFixture) -> None:
    with FaultServer(raw(60.0)) as hanging:
        place.config.write_text(
            place.config.read_text() + f'[[target]]\nname = "h"\nmodel = "m"\nbase_url = "{hanging.url}"\n'
        )
        process = place.start_loop()
        until(lambda: place.store_path.exists() and len(place.probes()) >= 3)
        process.kill()
        process.communicate(timeout=10)
    assert {row.target for row in place.probes()} == {"a"}


def test_check_reaches_each_target_and_says_what_a_day_costs(place: CliFixture) -> None:
    text = place.config.read_text() + (
        'usd_per_million_input = 1\nusd_per_million_output = 1\nevery = "1h"\n'
        '[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[[target]]\nname = "c"\nmodel = "m"\nbase_url = "https://h/v1"\napi_key_env = "NOT_SET"\n'
    )
    place.config.write_text(text)
    code, out, err = place.run("check")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "is valid: 3 target(s)" in words
    assert "up, first token after" in words
    assert "DOWN, connection_error" in words
    assert "set NOT_SET" in words
    # 24 probes of at most 64 + 16 tokens at $1 a million
    assert "at most $0.0019 a day in all, and never more than $0.25 (usd_per_day)" in words
    assert not (place.folder / "data").exists()


@pytest.fixture
def filled(place: CliFixture) -> CliFixture:
    store = open_store(place.url)
    store.write([probe(NOON + n * DAY, target=name, error=None) for n in range(5) for name in "ab"])
    store.close()
    return place


def test_export_writes_what_was_asked_for(filled: CliFixture) -> None:
    code, out, err = filled.run(
        "export", "probes", "--since", "2026-11-25", "--until", "2026-11-27T12:00:00Z", "--target", "b"
    )
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["started_at"] for row in rows] == ["2026-11-25T12:00:00.000+00:00", "2026-11-26T12:00:00.000+00:00"]
    assert err == "2 rows of probes in standard output\n"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_import_takes_back_what_export_wrote_and_a_second_time_changes_nothing(filled: CliFixture, form: str) -> None:
    file = filled.folder / f"rows.{form}"
    assert filled.run("export", "probes", "--output", str(file))[0] == 0
    before = filled.probes()
    filled.url = f"sqlite:///{filled.folder}/other.db"
    assert filled.run("import", "probes", str(file))[2] == "10 rows read, 10 new, 0 already present\n"
    assert filled.run("import", "probes", str(file))[2] == "10 rows read, 0 new, 10 already present\n"
    assert filled.probes() == before


def test_rebuild_says_of_how_many_probes_and_leaves_a_running_collector_alone(filled: CliFixture) -> None:
    code, _, said = filled.run("rebuild")
    assert code == 0
    assert re.fullmatch(r"rebuilt roll-ups and incidents from [1-9][\d,]* probes\n", said)
    running = LockFile(lock_path(filled.url))
    running.join(new_run())
    code, _, said = filled.run("rebuild")
    running.close()
    assert (code, "another collector is running" in said) == (3, True)


def test_a_table_that_the_store_makes_cannot_be_imported(filled: CliFixture) -> None:
    code, _, said = filled.run("import", "daily", "daily.csv")
    assert (code, "daily is derived from the probes" in said) == (2, True)


def test_a_file_that_is_wrong_imports_nothing(filled: CliFixture) -> None:
    file = filled.folder / "rows.csv"
    filled.run("export", "probes", "--output", str(file))
    file.write_text(file.read_text().replace("ping", "ping", 1)[:-200])
    filled.url = f"sqlite:///{filled.folder}/other.db"
    code, _, err = filled.run("import", "probes", str(file))
    assert code == 2
    assert "is the file cut off?" in err
    assert filled.probes() == []


def test_a_file_gets_its_name_only_when_it_is_whole(filled: CliFixture) -> None:
    code, _, err = filled.run("export", "probes", "--output", str(filled.folder / "no" / "such.csv"))
    assert code == 3
    assert "could not be written: No such file or directory" in err
    filled.run("export", "probes", "--output", str(filled.folder / "whole.csv"))
    assert sorted(path.name for path in filled.folder.glob("*.csv")) == ["whole.csv"]
    assert not list(filled.folder.glob(".*part"))


def test_a_reader_that_leaves_early_is_no_error(filled: CliFixture) -> None:
    process = filled.start("export", "probes")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("command", ["run", "check", "export", "import"])
def test_every_command_and_every_option_explains_itself(place: CliFixture, command: str) -> None:
    code, out, _ = place.run(command, "--help")
    assert code == 0
    assert len(out.split("Options:")[0].split()) > 15
    for line in out.split("Options:")[1].splitlines():
        if line.strip().startswith("--"):
            assert len(line.split(maxsplit=2)) == 3 or line.strip().endswith(("T", "FILE|-", "csv|jsonl|parquet"))


def test_check_says_what_was_changed_for_a_server_now_and_before(place: CliFixture) -> None:
    def picky(connection: socket.socket, request: dict[str, Any]) -> None:
        body = request["body"]
        if "temperature" in body:
            said = "Unsupported parameter: temperature"
        elif "max_tokens" in body:
            said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        elif body.get("max_completion_tokens", 0) < 512:
            said = "max_completion_tokens must be at least 512"
        else:
            return chunked(*GOOD)(connection, request)
        return answer(400, {"error": {"message": said}})(connection, request)

    wanted = "a: max_completion_tokens instead of max_tokens; no temperature; limit 512"
    with FaultServer(picky) as server:
        place.configure(server.url)
        code, out, err = place.run("check")
        assert (code, err) == (0, "")
        assert wanted in out.splitlines()
        place.run("run")
        asked = len(server.requests)
        _, out, _ = place.run("check")
        assert len(server.requests) == asked + 1, "what the store remembers was not asked again"
    assert wanted in out.splitlines()


def test_check_says_which_api_a_target_has_when_it_is_not_chat(place: CliFixture) -> None:
    place.config.write_text(place.config.read_text() + 'api = "anthropic"\n')
    code, out, _ = place.run("check")
    assert (code, "a: api anthropic" in out.splitlines()) == (0, True)


def test_check_says_that_a_target_rests(place: CliFixture) -> None:
    with FaultServer(answer(429, {"error": {"message": "slow down"}}, Retry_After="600")) as server:
        place.configure(server.url)
        _, out, _ = place.run("check")
        assert "rests until" not in out, "nothing has been recorded yet"
        place.run("run")
        _, out, _ = place.run("check")
    assert re.search(r"^a: rests until .* because the server asked for it \(HTTP 429", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("api", "script", "said"),
    [
        (
            "chat",
            chunked(chunk(finish="length"), usage(20, 16), DONE),
            "up (no visible output: the tokens were hidden reasoning, or a filter removed the text)",
        ),
        (
            "chat",
            answer(200, {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}),
            "up (not streamed",
        ),
        ("embeddings", answer(200, {"data": [{"embedding": [0.1]}]}), "up, a vector after "),
    ],
)
def test_check_says_why_there_is_no_first_token(place: CliFixture, api: str, script: Any, said: str) -> None:
    with FaultServer(script) as server:
        place.configure(server.url)
        place.config.write_text(place.config.read_text() + f'api = "{api}"\n')
        _, out, _ = place.run("check")
    assert said in " ".join(out.split())
