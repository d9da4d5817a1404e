"""The collector's own network: while it is down, nothing is said about targets."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.facts import Slot

OUTCOME = "offline"


class OfflineWatch:
    """Since when every remote host is out of reach (milliseconds UTC); null while the network is there."""

    def __init__(self, slots: Iterable[Slot] = ()) -> None:
        """`slots`: the newest ones of remote targets, in any order."""
        self.since: int | None = None
        for slot in sorted(slots, key=lambda slot: slot.at):
            self.note(slot)

    def note(self, slot: Slot) -> int | None:
        """Take in a remote target's probe. Returns since when the network was down, if this shows that it is back."""
        if slot.outcome == OUTCOME:
            self.since = slot.at if self.since is None else min(self.since, slot.at)
            return None
        if self.since is None or slot.at < self.since or slot.is_up is None:
            return None
        back, self.since = self.since, None
        return back
