"""Correct answers: the probe asks for a sum that no cache can know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """How many of the answers that could be checked were correct. Never mixed into uptime."""

    right: int
    checked: int

    @property
    def share(self) -> float | None:
        """right / checked, 0 to 1; null when none was checked."""
        return self.right / self.checked if self.checked else None
