"""What a probe counts as, and what an uptime is made of."""

from __future__ import annotations

from typing import get_args

import pytest

from stats.why import REASONS, classify_probe, uptime_reasons
from store.outcomes import Outcome
from tests.factories import MINUTE, NOON, probe
from tests.stats.samples import whole


@pytest.mark.parametrize(
    ("outcome", "stands_for_s", "measured", "kind"),
    [
        ("ok", 60.0, None, "up"),
        ("timeout", 60.0, None, "down"),
        ("timeout", 0.0, None, "nothing"),  # its confirmation decided the slot
        ("rate_limited", 60.0, None, "not_counted"),
        ("offline", 60.0, None, "not_counted"),
        ("paused", 60.0, None, "paused"),
        ("paused", 60.0, "timeout", "paused"),  # excluded afterwards
    ],
)
def test_a_probe_counts_for_its_slot_unless_it_says_nothing_of_the_target(
    outcome: str, stands_for_s: float, measured: str | None, kind: str
) -> None:
    assert classify_probe(outcome, stands_for_s, measured).kind == kind


def test_every_outcome_has_a_reason() -> None:
    assert set(REASONS) == set(get_args(Outcome))
    assert "measured was timeout" in classify_probe("paused", 60.0, "timeout").reason


def test_an_uptime_is_taken_apart_into_what_counts_and_what_does_not() -> None:
    outcomes = ["ok", "ok", "timeout", "rate_limited", "rate_limited", "offline"]
    probes = [probe(NOON + n * MINUTE, outcome, stands_for_s=60.0) for n, outcome in enumerate(outcomes)]
    counts = whole(probes)
    reasons = uptime_reasons(counts, counts.uptime(NOON, NOON + 10 * MINUTE))
    assert (reasons.uptime.up_s, reasons.uptime.down_s, reasons.uptime.not_counted_s) == (120.0, 60.0, 180.0)
    assert reasons.undecided_s == 240.0  # ten minutes, of which six had a probe
    assert reasons.not_counted == (("rate_limited", 2), ("offline", 1))
    assert reasons.failed == (("timeout", 1),)
