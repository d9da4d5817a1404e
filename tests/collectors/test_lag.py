"""The thread that notes how late this machine is."""

from __future__ import annotations

import pytest

from collectors.http import lag
from collectors.http.lag import LagWatch


def test_a_probe_that_ends_while_lateness_is_noted_gets_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an overloaded machine there is something to note every few milliseconds, and much to look through."""
    monkeypatch.setattr(lag, "NAP_S", 0.0)
    monkeypatch.setattr(lag, "WORTH_NOTING_S", -1.0)
    watch = LagWatch()
    outer = watch.begin()
    watch._late.extend([(outer, 0.0)] * 15_000)
    for _ in range(300):
        watch.begin()
        assert watch.end(outer) >= 0
    watch.end(outer)
