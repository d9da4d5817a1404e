"""Whether replies were right: the probe asks for a sum that nobody could have cached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """How many of the replies that could be checked named the right number. Never mixed into uptime."""

    right: int
    checked: int

    @property
    def share(self) -> float | None:
        """right / checked, 0 to 1; null when none was checked."""
        return self.right / self.checked if self.checked else None
