"""Frames of probes for the statistics' tests."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from stats.frames import frame
from store.rows import PROBES, Probe


def frame_of(probes: Iterable[Probe]) -> pd.DataFrame:
    """The probes as a page's loader would hand them to a statistic."""
    return frame(PROBES, [PROBES.values(probe) for probe in probes])
