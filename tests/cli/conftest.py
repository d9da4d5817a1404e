"""What the tests of `add`, `change` and `remove` are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell, Vendor
from tests.fault_server import FaultServer


@pytest.fixture
def vendor() -> Iterator[tuple[Vendor, FaultServer]]:
    script = Vendor()
    with FaultServer(script) as server:
        yield script, server


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("UPTOKEN_CONFIG", str(tmp_path / "targets.toml"))
    monkeypatch.setenv("UPTOKEN_LOCATION", "here")
    monkeypatch.delenv("ACME_API_KEY", raising=False)
    return Shell(tmp_path, capsys, monkeypatch)
