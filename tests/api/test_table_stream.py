"""Downloads that nobody finishes hold nothing: over real servers, with a writer that wants to empty its log."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import apsw
import pytest
import uvicorn
from starlette.applications import Starlette

from api import table_stream
from api.downloads import ROUTES
from benchmarks.browser import dashboard_process
from store import Selection, open_store
from store.formats import csv_chunks
from store.schema import PROBES
from tests.factories import MINUTE, NOON, probe

COUNT = 40_000
"""Rows, about 6 MB of CSV: more than the buffers of two sockets hold."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("downloads") / "a.db"
    store = open_store(f"sqlite:///{path}")
    store.write(probe(NOON + n * MINUTE, target="long" * 40) for n in range(COUNT))
    store.close()
    return path


@contextmanager
def served(path: Path) -> Iterator[int]:
    """The routes in this process, so that a test may change their limits; their port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPTOKEN_STORE", f"sqlite:///{path}")
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=ROUTES), port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.02)
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(20)


def written_log_can_be_emptied(path: Path) -> bool:
    """Write a row, and fold the write-ahead log into the file: refused (1, ...) while anybody reads what is older."""
    with closing(apsw.Connection(str(path))) as writer:
        writer.set_busy_timeout(0)
        writer.execute("CREATE TABLE IF NOT EXISTS other (n)")
        writer.execute("INSERT INTO other VALUES (1)")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            busy, in_log, _ = next(writer.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
            if (busy, in_log) == (0, 0):
                return True
            time.sleep(0.05)
    return False


def begun(port: int, method: str = "GET") -> socket.socket:
    """A client that asked for the whole table with a small receive buffer, and read nothing yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(f"{method} /api/export.csv HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return client


@pytest.mark.process
def test_after_an_abandoned_download_of_any_kind_the_log_can_be_emptied_within_a_second(path: Path) -> None:
    with dashboard_process(f"sqlite:///{path}") as (address, _):
        port = int(address.rpartition(":")[2])
        for method in ("HEAD", "GET"):
            client = begun(port, method)
            assert client.recv(15) == b"HTTP/1.1 200 OK"
            assert written_log_can_be_emptied(path), f"{method}, connected"  # it stopped reading
            client.close()
            assert written_log_can_be_emptied(path), f"{method}, gone"
        with urlopen(f"{address}/api/export.csv") as answer:
            assert answer.read().count(b"\r\n") == COUNT + 1


def test_head_is_answered_without_the_store(tmp_path: Path) -> None:
    with served(tmp_path / "none.db") as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("HEAD", "/api/export.csv?table=runs")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert answer.headers["content-disposition"] == 'attachment; filename="runs.csv"'
        assert answer.headers["content-length"] is None
        client.request("HEAD", "/api/export.csv?table=none")
        assert client.getresponse().status == 404
        client.close()


def test_a_client_that_stops_reading_is_left_and_does_not_get_a_proper_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(table_stream, "IDLE_S", 0.5)
    with served(path) as port, begun(port) as client:
        until = time.monotonic() + 15
        while not caplog.messages:
            assert time.monotonic() < until, "it waits for ever"
            time.sleep(0.05)
        assert caplog.messages[0] == "a download of probes was ended: its client read nothing for 0.5 s"
        received = b""
        while block := client.recv(1 << 20):
            received += block
        assert not received.endswith(b"0\r\n\r\n")  # which is how a whole one ends
        assert received.count(b"long" * 40) < COUNT


def test_more_downloads_than_the_limit_are_refused_in_words_until_one_ends(path: Path) -> None:
    with served(path) as port:
        clients = [begun(port) for _ in range(table_stream.MOST_AT_ONCE)]
        for client in clients:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        asking.request("GET", "/api/export.csv")
        answer = asking.getresponse()
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert answer.read() == b"4 downloads are running, which is the limit: try again when one of them has ended\n"
        clients.pop().close()
        until = time.monotonic() + 10
        while True:
            asking.request("GET", "/api/export.csv?until=0")
            answer = asking.getresponse()
            answer.read()
            if answer.status == 200:
                break
            assert time.monotonic() < until, "a place that was left stays taken"
            time.sleep(0.05)
        for client in (*clients, asking):
            client.close()


def test_a_slow_download_gives_the_very_rows_of_a_quick_one(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", read_only=True)
    expected = "".join(text for text, _ in csv_chunks(PROBES, store.read(PROBES, Selection()))).encode()
    store.close()
    with served(path) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", "/api/export.csv")
        answer = client.getresponse()
        received = b""
        while block := answer.read(200_000):
            received += block
            time.sleep(0.005)
        client.close()
    assert received == expected
