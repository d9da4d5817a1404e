"""A range of time, as every page is asked about it."""

from __future__ import annotations

from dataclasses import dataclass

from store.clock import now_ms


@dataclass(frozen=True)
class TimeRange:
    """`since` <= t < `until`, milliseconds UTC; `is_live` when it ends now."""

    since: int
    until: int
    is_live: bool
    words: str

    def fresh(self) -> TimeRange:
        """The same range, ending at this moment when it is a live one."""
        if not self.is_live:
            return self
        now = now_ms()
        return TimeRange(now - (self.until - self.since), now, True, self.words)
