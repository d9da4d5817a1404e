"""What this machine lacks is no outage of a target, and no bug: descriptors, memory, threads, certificates, keys."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange
from store import open_store
from store.schema import INCIDENTS
from tests.collectors.cli_fixture import STARTED, CliFixture
from tests.fault_server import GOOD, FaultServer, chunked
from tests.forked import Forked

MB = 1_000_000
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(chunked(0.05, *GOOD)) as server:
        yield server


def configure(place: CliFixture, server: FaultServer, count: int, more: str = "") -> None:
    targets = "".join(
        f'[[target]]\nname = "t{number}"\nmodel = "m"\nbase_url = "{server.url}"\n{more}' for number in range(count)
    )
    place.config.write_text(f'[collector]\nthroughput_every = "off"\nconfirm_after = "50ms"\n{targets}')


def run_within(
    place: CliFixture, limits: Mapping[int, tuple[int, int]], *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """In a process that has its imports done before the limits are set."""
    with Forked(
        [sys.executable, "-m", "collectors", *words],
        limits=limits,
        cwd=place.folder,
        env={name: value for name, value in place.environment.items() if name not in CERTIFICATES} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        STARTED.append(process)
        out, err = process.communicate(timeout=100)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def outcomes(place: CliFixture) -> Counter[str]:
    return Counter(probe.outcome for probe in place.probes())


# -- descriptors, memory, threads


def test_100_targets_with_64_descriptors_are_probed_a_few_at_a_time(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 100)
    done = run_within(place, {resource.RLIMIT_NOFILE: (64, 64)}, "run", "--only", "probe")
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"ok": 100}
    assert "100 targets may need " in done.stdout and "this process may open 64: at most " in done.stdout
    assert "Raise the limit (ulimit -n " in done.stdout


def test_the_soft_limit_of_descriptors_is_raised_where_that_is_allowed(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 100)
    done = run_within(place, {resource.RLIMIT_NOFILE: (64, 4_096)}, "run", "--only", "probe")
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"ok": 100}
    assert "file descriptors" not in done.stdout


EXHAUSTED = """
import os, resource, sys
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange

line = ProbeConnection(sys.argv[1])
exchange(line, ProbeRequest({{}}, {{}}, 5.0))
line.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    for descriptor in held[:{left}]:
        os.close(descriptor)
result = exchange(line, ProbeRequest({{}}, {{}}, 5.0))
print(result.outcome, "|", result.error, "|", result.own_limit)
"""


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_exchange_without_a_descriptor_is_offline(
    place: CliFixture, server: FaultServer, host: str, left: int
) -> None:
    url = server.url.replace("127.0.0.1", host) + "/chat/completions"
    done = subprocess.run(
        [sys.executable, "-c", EXHAUSTED.format(left=left), url],
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == (
        "offline | this process has no file descriptors left: raise its limit (ulimit -n, LimitNOFILE=) | True\n"
    ), done.stderr


def test_60_targets_with_150_mb_are_probed_a_few_at_a_time(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 60)
    done = subprocess.run(  # as a user starts it: how much it takes at its start counts
        [sys.executable, "-m", "collectors", "run", "--only", "probe"],
        cwd=place.folder,
        env={name: value for name, value in place.environment.items() if name not in CERTIFICATES},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (150 * MB, 150 * MB)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"ok": 60}
    assert "this process may use 150 MB of memory (ulimit -v): at most " in done.stdout


THREADS = """
import _thread, threading
started, limit = 0, {limit}
def start(function, *more, original=_thread.start_new_thread):
    global started
    if started >= limit:
        raise RuntimeError("can't start new thread")
    started += 1
    return original(function, *more)
_thread.start_new_thread = threading._start_new_thread = start
import sys
sys.argv = ["collectors", "run", "--only", "probe"]
from cli import main
main()
"""


def test_targets_share_the_threads_that_there_are(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 20)
    done = place.python(THREADS.format(limit=4))  # two of them watch
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"ok": 20}


def test_without_any_thread_probes_are_offline_once_each_and_nothing_is_an_outage(
    place: CliFixture, server: FaultServer
) -> None:
    configure(place, server, 20)
    done = place.python(THREADS.format(limit=0))
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"offline": 20}
    assert {probe.error for probe in place.probes()} == {
        "this machine allows Uptoken no more threads: raise the limit (ulimit -u, TasksMax=)"
    }
    assert not server.requests
    store = open_store(place.url, read_only=True)
    assert store.count(INCIDENTS) == 0
    store.close()


def test_memory_that_runs_out_while_probing_is_offline(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 2)
    done = place.python(
        "import sys, collectors.http.exchange as e\n"
        "def fail(*_): raise MemoryError\n"
        "e.receive = fail\n"
        "sys.argv = ['collectors', 'run', '--only', 'probe']\n"
        "from cli import main\n"
        "main()\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert outcomes(place) == {"offline": 2}


# -- certificates


def folder_without_certificates(path: Path) -> Path:
    path.mkdir()
    return path


def no_pem(path: Path) -> Path:
    path.write_bytes(b"\x30\x82 DER, perhaps")
    return path


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path, "there is no such file"),
        (folder_without_certificates, "the folder has no certificates hashed by openssl rehash"),
        (no_pem, "it contains no PEM certificate"),
        (lambda path: path.with_name("x" * 300), "it cannot be read (File name too long)"),
    ],
    ids=["missing", "folder", "no PEM", "unreadable"],
)
def test_certificates_that_cannot_be_used_are_refused_at_the_start(
    place: CliFixture, command: str, variable: str, make: object, reason: str
) -> None:
    named = make(place.folder / "company")  # type: ignore[operator]
    done = run_within(place, {}, command, **{variable: str(named)})
    assert done.returncode == 2
    assert done.stderr == (
        f"{variable} names {named}, and {reason}: it must name a file of PEM certificates, such as "
        "/etc/ssl/certs/ca-certificates.crt, or unset it\n"
    )
    assert not place.probes()


@pytest.mark.parametrize("make", [lambda path: path, no_pem], ids=["missing", "no PEM"])
def test_certificates_that_break_meanwhile_are_the_callers_error(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    named = make(tmp_path / "company")  # type: ignore[operator]
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    line = ProbeConnection(f"https://127.0.0.1:{server.port}/v1/chat/completions")
    result = exchange(line, ProbeRequest({}, {}, 5.0))
    assert result.outcome == "caller_error"
    assert result.error is not None and result.error.startswith(f"SSL_CERT_FILE names {named}, and ")


# -- keys and headers


@pytest.mark.parametrize("key", ["sk-abc\ndef", "sk\u2013abcdef"])
def test_a_request_that_cannot_be_written_is_the_callers_error_and_never_has_the_key(
    server: FaultServer, key: str
) -> None:
    line = ProbeConnection(f"{server.url}/chat/completions")
    result = exchange(line, ProbeRequest({}, {"Authorization": f"Bearer {key}"}, 5.0))
    assert (result.outcome, result.error) == (
        "caller_error",
        "the request cannot be sent: its URL, its key or a header has characters that HTTP does not allow",
    )
    assert not server.requests


ODD = [
    ("sk-abc\ndef", "a line break (U+000A) as character 7"),
    ("sk-abc\rdef", "a line break (U+000D) as character 7"),
    ("sk\u2013abcdef", "en dash (U+2013) as character 3"),
    ("sk-abc\u200bdef", "zero width space (U+200B) as character 7"),
    ("sk-abcdéf", "latin small letter e with acute (U+00E9) as character 8"),
    ("\u201csk-abcdef\u201d", "left double quotation mark (U+201C) as character 1"),
    ("sk-abc\x07def", "a control character (U+0007) as character 7"),
]


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("key", "odd"), ODD)
def test_a_key_that_http_cannot_carry_is_refused_at_the_start(
    place: CliFixture, server: FaultServer, command: str, key: str, odd: str
) -> None:
    configure(place, server, 1, 'api_key_env = "ACME_KEY"\n')
    done = run_within(place, {}, command, ACME_KEY=key)
    assert done.returncode == 2
    assert done.stderr == f"the key of 't0' in ACME_KEY has {odd}: copy it again without it\n"
    assert not server.requests


def test_a_key_file_with_a_nul_is_refused_at_the_start(place: CliFixture, server: FaultServer) -> None:
    file = place.folder / "key"
    file.write_bytes(b"sk-abc\0def\n")
    file.chmod(0o600)
    configure(place, server, 1, 'api_key_file = "key"\n')
    code, _, error = place.run("run")
    assert code == 2
    assert (
        error
        == f"the key of 't0' in {file} has a control character (U+0000) as character 7: copy it again without it\n"
    )


def test_a_header_that_http_cannot_carry_is_refused_at_the_start(place: CliFixture, server: FaultServer) -> None:
    configure(place, server, 1, 'headers = {X-Title = "Uptoken \u2013 here"}\n')
    assert place.run("run")[::2] == (
        2,
        "target 't0': its header X-Title has en dash (U+2013) as character 9, which HTTP does not allow\n",
    )
    configure(place, server, 1, 'headers = {"X Title" = "Uptoken"}\n')
    assert place.run("run")[::2] == (2, "target 't0': 'X Title' is not a header name; write it as X-Title\n")
