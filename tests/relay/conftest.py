"""Clients of other languages and with dependencies of their own are tested only where they are asked for."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "sdk" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("sdk"):
            item.add_marker(pytest.mark.skip(reason="installs a client into an environment of its own: pytest -m sdk"))
