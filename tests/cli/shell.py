"""A command line in this process, with a configuration of one target, and a vendor to add targets of."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from settings.targets import load
from tests.fault_server import GOOD, answer, chunked

START = """# ours
[collector]
every = "60s"
usd_per_day = 1

[[target]]
name = "first"            # the oldest
model = "m"
base_url = "http://127.0.0.1:9/v1"
"""
KEY = "sk-canary-Zq83hfKw02LmXv77"
LISTED = [{"id": f"acme/chat-{number}", "max_model_len": 8_192} for number in range(1, 4)] + [{"id": "acme/embed"}]


class Vendor:
    """A server with chat completions and embeddings; `needs` is the key that it wants."""

    def __init__(self) -> None:
        self.needs: str | None = None
        self.is_broken = False

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        method, path, _ = request["line"].split()
        if self.needs is not None and request["headers"].get("authorization") != f"Bearer {self.needs}":
            answer(401, {"error": {"message": "no such key"}})(connection, request)
        elif method == "GET":
            known = {
                "/v1/models": {"data": LISTED},
                "/api/tags": {"models": [{"name": "gemma3:1b"}, {"name": "qwen3"}]},
            }
            answer(200 if path in known else 404, known.get(path, {}))(connection, request)
        elif self.is_broken:
            answer(500, {"error": {"message": "out of memory"}})(connection, request)
        elif path == "/v1/chat/completions" and request["body"]["model"] != "acme/embed":
            chunked(*GOOD)(connection, request)
        elif path == "/v1/embeddings":
            answer(200, {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}})(connection, request)
        else:
            answer(404, {"error": {"message": "no such model"}})(connection, request)


class Shell:
    """The command line in this process: its exit code, output and errors."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = folder / "targets.toml"
        self.config.write_text(START)
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["collectors", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return int(str(ended.value.code)), out, err

    def json(self, *words: str) -> dict[str, Any]:
        _, out, _ = self(*words, "--json")
        document: dict[str, Any] = json.loads(out)
        return document

    @property
    def names(self) -> list[str]:
        return [target.name for target in load(self.config).all_targets]
