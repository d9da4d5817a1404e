"""The strip of bars: what each stretch of a window was, up, down, not counted or without data."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from store.rows import DOWN, UP

MOST_BARS = 90
State = Literal["up", "partly", "down", "not_counted", "no_data"]


@dataclass(frozen=True)
class Bar:
    """One stretch of time: `since` <= t < `until` in milliseconds UTC, and the seconds decided in it. `seen` counts the
    outcomes other than `ok`, the most frequent first, where that is known; `error` is what one of them said.
    """

    since: int
    until: int
    up_s: float
    down_s: float
    not_counted_s: float
    probes: int
    seen: tuple[tuple[str, int], ...] = ()
    error: str | None = None

    @property
    def state(self) -> State:
        """`partly` when it was down for less than half of what was decided."""
        if self.down_s > 0:
            return "down" if self.down_s >= self.up_s else "partly"
        if self.up_s > 0:
            return "up"
        # a failure that its confirmation decided stands for no time: alone in a bar it says nothing
        return "not_counted" if self.not_counted_s > 0 else "no_data"

    @property
    def down_share(self) -> float:
        """Of the decided seconds, 0 to 1."""
        decided = self.up_s + self.down_s
        return self.down_s / decided if decided else 0.0


def bar_width_ms(since: int, until: int, every_s: float, most: int = MOST_BARS) -> int:
    """How long a bar is: at most `most` of them, and none shorter than one interval of the schedule."""
    return max(math.ceil((until - since) / most), round(every_s * 1_000), 1)


def strip_began(since: int, until: int, first_at: int, every_s: float, most: int = MOST_BARS) -> int:
    """Where the strip of a window begins (milliseconds UTC): with the window or, for a target that is younger, with
    its first probe, but not later than `most` of its slots ago. So the first bars of a new target can be seen.
    """
    return max(since, min(first_at, until - most * round(every_s * 1_000)))


def strip(probes: pd.DataFrame, since: int, until: int, every_s: float, most: int = MOST_BARS) -> list[Bar]:
    """The bars of a window that ends at `until`, oldest first; each of one width, the first may begin before `since`.

    `probes`: the `ping` probes of one target at one location, with `started_at`, `stands_for_s`, `outcome`, `error`.
    A slot belongs to the bar that its probe started in.
    """
    width = bar_width_ms(since, until, every_s, most)
    count = max(1, math.ceil((until - since) / width))
    began = until - count * width
    index = ((probes["started_at"].to_numpy(dtype=np.int64) - began) // width).astype(np.int64)
    inside = (index >= 0) & (index < count)
    index = index[inside]
    seconds = probes["stands_for_s"].to_numpy(dtype=float)[inside]
    outcome = probes["outcome"][inside]
    up, down = outcome.isin(UP).to_numpy(), outcome.isin(DOWN).to_numpy()

    def summed(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(index[chosen], weights=seconds[chosen], minlength=count)

    up_s, down_s, other_s = summed(up), summed(down), summed(~(up | down))
    probes_in = np.bincount(index, minlength=count)
    seen, errors = _failures(index[~up], probes[inside][~up])
    return [
        Bar(
            began + n * width,
            began + (n + 1) * width,
            float(up_s[n]),
            float(down_s[n]),
            float(other_s[n]),
            int(probes_in[n]),
            tuple(seen[n].most_common()) if n in seen else (),
            errors.get(n),
        )
        for n in range(count)
    ]


def _failures(places: np.ndarray, probes: pd.DataFrame) -> tuple[dict[int, Counter[str]], dict[int, str]]:
    """By bar, the outcomes of these probes, and what the first of them said."""
    seen: dict[int, Counter[str]] = {}
    errors: dict[int, str] = {}
    texts = probes["error"] if "error" in probes else [None] * len(probes)
    for place, outcome, error in zip(places.tolist(), probes["outcome"], texts, strict=True):
        seen.setdefault(place, Counter())[outcome] += 1
        if isinstance(error, str):
            errors.setdefault(place, error)
    return seen, errors
