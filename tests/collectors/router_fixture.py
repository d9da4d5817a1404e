"""A router on loopback, a store, and the collectors that read the one into the other."""

from __future__ import annotations

import io
from pathlib import Path

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from settings.targets import Config, parse
from store import Store
from store.schema import ENDPOINTS, MODELS, RUNS, Endpoint, Model, Run
from tests.collectors.builders import new_store
from tests.fault_server import FaultServer
from tests.router import MODEL, Router


class RouterFixture:
    """A router, a store, and a collector over both."""

    def __init__(self, folder: Path) -> None:
        self.router = Router()
        self.server = FaultServer(self.router)
        self.store: Store = new_store(folder)

    def config(self, more: str = "") -> Config:
        text = f"""
[openrouter]
base_url = "{self.server.url}"
[[target]]
name = "Gemma"
model = "{MODEL}"
base_url = "{self.server.url}"
api_key_env = "K"
{more}"""
        return parse(text, Path("targets.toml"), {"K": "sk-canary-123456"})

    def collect(self, name: str = "catalog", settings: Config | None = None) -> str:
        said = io.StringIO()
        loop = Scheduler(settings or self.config(), self.store, "here", ConsoleReport(said), choose_collectors([name]))
        loop.run_once(everything=True)
        loop.close()
        return said.getvalue()

    def models(self) -> list[Model]:
        return [Model(*row) for row in self.store.read(MODELS)]

    def endpoints(self) -> list[Endpoint]:
        return [Endpoint(*row) for row in self.store.read(ENDPOINTS)]

    def errors(self) -> list[str | None]:
        return [Run(*row).error for row in self.store.read(RUNS)]
