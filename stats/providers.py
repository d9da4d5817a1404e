"""What our own probes saw of each provider that answered them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from stats.latency import Percentiles, percentiles


@dataclass(frozen=True)
class Measured:
    """One provider, as the probes that it answered saw it."""

    provider: str
    answers: int
    ttft: Percentiles
    speed: Percentiles


def by_provider(probes: pd.DataFrame) -> dict[str, Measured]:
    """Each provider that answered a probe in `probes` (`provider`, `outcome`, `lag_ms`, `ttft_ms`,
    `tokens_per_second`), by its name. A failed probe often names nobody, so no uptime can be told from here.
    """
    met = probes[probes["provider"].notna()]
    return {
        str(name): Measured(
            str(name), len(group), percentiles(group, "ttft_ms"), percentiles(group, "tokens_per_second")
        )
        for name, group in met.groupby("provider")
    }
