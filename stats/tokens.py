"""Tokens and money by day."""

from __future__ import annotations

import pandas as pd


def tokens_per_day(probes: pd.DataFrame, zone: str = "UTC") -> pd.DataFrame:
    """Tokens that the probes used, by day of `zone`: a frame with `day` (a date), `prompt_tokens`,
    `completion_tokens`, `requests` and `cost_usd` (missing when no cost of that day is known).

    `probes` has `started_at`, `prompt_tokens`, `completion_tokens` and `cost_usd`.
    """
    day = pd.to_datetime(probes["started_at"].astype("int64"), unit="ms", utc=True).dt.tz_convert(zone).dt.date
    grouped = probes.groupby(day)
    table = pd.DataFrame(
        {
            "prompt_tokens": grouped["prompt_tokens"].sum().astype("int64"),
            "completion_tokens": grouped["completion_tokens"].sum().astype("int64"),
            "requests": grouped.size(),
            "cost_usd": grouped["cost_usd"].sum(min_count=1),
        }
    )
    return table.rename_axis("day").reset_index()
