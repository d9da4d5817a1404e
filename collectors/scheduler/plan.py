"""What a collector is about to do in one tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collectors.contract import Job
from collectors.scheduler.claims import Claim


@dataclass(frozen=True)
class ProbeJob(Job):
    """A job that decides the slots of a `series` that `claim` holds."""

    series: str = ""
    claim: Claim | None = None


@dataclass(frozen=True)
class Plan:
    """What to do now, what is skipped (name and reason), and when something will be due next (milliseconds UTC).

    `missed`: how many more were due while this process was held up, and are too late to be made up for. `prepare` runs
    once before the jobs begin: it does what would otherwise take time from one that is being measured.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    next_at: int | None = None
    missed: int = 0
    prepare: Callable[[], None] = lambda: None
