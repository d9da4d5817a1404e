"""When a target began to serve something else, and how far that is from before, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise

from stats.identity import Size, size_of
from stats.identity_epochs import DECLARED, LOGPROBS, TEXTS
from store.identity_tables import IdentityEpoch

_MEANS: dict[Size, str] = {
    "small": "as an engine, a kernel, other hardware or a nearly lossless requantization would",
    "medium": "more than an engine, a kernel or other hardware usually does",
    "large": "as other weights or another prompt would",
}


@dataclass(frozen=True)
class IdentityChange:
    """An epoch that is not like the one before it: when its first check was made and when that showed (milliseconds
    UTC), and what changed, in words.
    """

    target: str
    location: str
    at: int
    noticed_at: int
    text: str


def identity_changes(epochs: Iterable[IdentityEpoch]) -> list[IdentityChange]:
    """What follows each target's first epoch at each location, oldest first."""
    ordered = sorted(epochs, key=lambda epoch: (epoch.target, epoch.location, epoch.began_at))
    found = []
    for (target, location), group in groupby(ordered, key=lambda epoch: (epoch.target, epoch.location)):
        listed = list(group)
        for number, (before, after) in enumerate(pairwise(listed), 1):
            text = _describe(before, after, listed[:number])
            found.append(IdentityChange(target, location, after.began_at, after.noticed_at, text))
    return sorted(found, key=lambda change: change.at)


def _describe(before: IdentityEpoch, after: IdentityEpoch, earlier: Sequence[IdentityEpoch]) -> str:
    if after.method == DECLARED:
        return "it reasons before it answers now, so it is not checked any more"
    if after.method != before.method:
        return "no logprobs any more, so its texts are compared" if after.method == TEXTS else "it gives logprobs again"
    if after.same_as is not None:
        return f"back to what it was before {_day(max(_ends_of(after.same_as, earlier), default=after.began_at))}"
    if after.distance is None:
        return "another model or another way of serving it"
    if after.method == LOGPROBS:
        return f"{after.distance:.2f} nat from before, {_MEANS[size_of(after.distance)]}"
    return f"{after.distance:.0f} of its texts were never seen before"


def _ends_of(beginning: int, earlier: Sequence[IdentityEpoch]) -> Iterator[int]:
    """When the epochs ended that were like the one that began at a moment, and it itself."""
    for epoch in earlier:
        if beginning in (epoch.began_at, epoch.same_as) and epoch.ended_at is not None:
            yield epoch.ended_at


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%d %H:%M} UTC"
