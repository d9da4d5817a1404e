"""What most tests of faults begin with: a server that answers well, and a command line that probes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.cli_fixture import CliFixture
from tests.fault_server import GOOD, FaultServer, chunked


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(chunked(*GOOD)) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, server: FaultServer) -> CliFixture:
    return CliFixture(tmp_path, server.url)
