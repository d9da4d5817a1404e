"""When a channel is sent its next message, so that one event is one message, or at most three."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from alerts.messages import Item

GATHER_S = 5.0
"""How long the first alert waits for others of the same event."""
BETWEEN_S = 30.0
MORE_S = (30.0, 120.0, 300.0)
"""How long what only adds to what the channel was told lately waits after its first, second and later message: the
targets of a host are probed at moments of their own, one interval apart at most.
"""
LATELY_S = 900.0
MANY = 10
"""From so many of a kind in one message on, more of that kind at other hosts belong to the same event."""
RETRY_S = (5.0, 15.0, 60.0, 300.0, 900.0)

Group = tuple[str, str, str]


@dataclass
class Pacing:
    """What one channel was sent, in seconds of a monotonic clock."""

    sent_at: float | None = None
    waits_since: float | None = None
    failures: int = 0
    retry_at: float = 0.0
    _told: dict[Group, tuple[int, float]] = field(default_factory=dict)

    def due_at(self, items: Sequence[Item], now: float) -> float:
        """When these items are to be sent."""
        if self.waits_since is None:
            self.waits_since = now
        at = max(self.waits_since + GATHER_S, self.retry_at)
        if self.sent_at is None:
            return at
        messages = [self._messages_about(item.group, now) for item in items]
        wait_s = BETWEEN_S if 0 in messages else MORE_S[min(min(messages), len(MORE_S)) - 1]
        return max(at, self.sent_at + wait_s)

    def note_sent(self, items: Iterable[Item], now: float) -> None:
        """The channel took a message."""
        self.sent_at, self.waits_since, self.failures, self.retry_at = now, None, 0, 0.0
        groups = Counter(item.group for item in items)
        kinds = Counter((part, kind) for part, kind, _ in groups.elements())
        groups.update({(part, kind, "*"): count for (part, kind), count in kinds.items() if count >= MANY})
        for group in groups:
            self._told[group] = (self._messages_about(group, now) + 1, now)

    def note_failed(self, now: float, wait_s: float | None) -> None:
        """It did not; `wait_s`: how long it asked to be left alone."""
        self.failures += 1
        usual_s = RETRY_S[min(self.failures, len(RETRY_S)) - 1]
        self.retry_at = now + max(usual_s, min(wait_s or 0.0, 3_600.0))

    def _messages_about(self, group: Group, now: float) -> int:
        """How many messages of late told of a group."""
        part, kind, _ = group
        counts = [
            count
            for told in (group, (part, kind, "*"))
            if now - self._told.get(told, (0, -LATELY_S))[1] < LATELY_S
            for count in [self._told[told][0]]
        ]
        return max(counts, default=0)
