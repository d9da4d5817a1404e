"""When a target began to serve something else, and how much that differs from before, in words."""

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
    """An epoch that differs from the one before it: `at` is its first check, `noticed_at` the check that showed the
    difference (milliseconds UTC).
    """

    target: str
    location: str
    at: int
    noticed_at: int
    text: str


def identity_changes(epochs: Iterable[IdentityEpoch]) -> list[IdentityChange]:
    """The changes after each target's first epoch at each location, oldest first."""
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
        return "it now reasons before it answers, so it is no longer checked"
    if after.method != before.method:
        is_texts = after.method == TEXTS
        return "it no longer returns logprobs, so its texts are compared" if is_texts else "it returns logprobs again"
    if after.same_as is not None:
        return f"back to what it was before {_day(max(_ends_of(after.same_as, earlier), default=after.began_at))}"
    if after.distance is None:
        return "another model or another way of serving it"
    if after.method == LOGPROBS:
        return f"{after.distance:.2f} nat from before, {_MEANS[size_of(after.distance)]}"
    return f"{after.distance:.0f} of its texts were never seen before"


def _ends_of(beginning: int, earlier: Sequence[IdentityEpoch]) -> Iterator[int]:
    """When the epoch that began at a moment, and those like it, ended."""
    for epoch in earlier:
        if beginning in (epoch.began_at, epoch.same_as) and epoch.ended_at is not None:
            yield epoch.ended_at


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%d %H:%M} UTC"
