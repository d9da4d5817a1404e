"""Configurations, stores and loops for the collectors' tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from collectors.scheduler.shared_state import SharedState
from settings.targets import Config, parse
from store import Store, open_store
from store.schema import PROBES, Probe


def config(*targets: dict[str, Any], environment: dict[str, str] | None = None, **collector: Any) -> Config:
    """A configuration as a file would make it; a target needs only what its test is about."""
    lines = ["[collector]", 'confirm_after = "50ms"', 'throughput_every = "off"', 'timeout = "5s"']
    lines += [f"{name} = {_toml(value)}" for name, value in collector.items()]
    for number, target in enumerate(targets):
        values = {"name": f"t{number}", "model": "m", "base_url": "http://127.0.0.1:9/v1"} | target
        lines += ["[[target]]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    return parse("\n".join(lines), Path("targets.toml"), environment or {})


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def new_store(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder}/collected.db")


def new_scheduler(
    settings: Config,
    store: Store,
    only: Sequence[str] = ("probe",),
    shared: SharedState | None = None,
    said: io.StringIO | None = None,
) -> Scheduler:
    """The scheduler of the probe collector, or of those in `only`."""
    console = ConsoleReport(said or io.StringIO())
    return Scheduler(settings, store, "here", console, choose_collectors(only), shared)


def run_once(settings: Config, store: Store, **options: Any) -> tuple[list[Probe], str]:
    """One tick of the probe collector; the probes that the store has afterwards, and what was said."""
    said = io.StringIO()
    loop = new_scheduler(settings, store, options.pop("only", ("probe",)), options.pop("shared", None), said)
    loop.run_once(**options)
    loop.close()
    return [Probe(*row) for row in store.read(PROBES)], said.getvalue()
