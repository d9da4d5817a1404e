"""Is it me or them? The overview in one sentence, from probes, the router's claims and the relay's traffic.

Each part of the sentence links to its evidence, and says no more than the data shows: that the network is fine needs a
target elsewhere that responds, a common cause needs several targets that share it, and one probe is not many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stats.incidents import Status

FEWEST_REQUESTS = 10
"""Requests of the last 30 minutes below which a share of failures is not reported."""
LOW_CLAIM = 0.9
"""A claimed uptime below this is mentioned even when all probes are fine."""
GOOD_SHARE = 0.8
AT_ONCE_MS = 60_000
"""A target that answered up to this long before another one failed was probed at the same time."""
MOST_NAMED, MOST_TROUBLES = 2, 3
_ANSWERING: tuple[Status, ...] = ("up", "degraded")
_KNOWN: tuple[Status, ...] = ("up", "degraded", "down", "not_counted")
Kind = Literal["targets", "target", "status", "host", "network", "locations", "claim", "traffic"]


@dataclass(frozen=True)
class Observation:
    """One target from one location, now. `is_remote`: it is reached over the network; `is_new`: only a few probes were
    made yet. `since` is when its state began and `probed_at` when its newest probe did (milliseconds UTC);
    `has_response`: that probe got a response from a server, whatever it said. `claimed` is the lowest and the highest
    uptime of the last 30 minutes that the router reports for its endpoints; `requests` and `failed` are the relay's
    attempts at it in that time. Null: not known.
    """

    name: str
    location: str
    host: str
    is_remote: bool
    model: str
    provider: str | None
    status: Status
    is_offline: bool = False
    is_new: bool = False
    since: int | None = None
    probed_at: int | None = None
    has_response: bool = False
    claimed: tuple[float, float] | None = None
    requests: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Part:
    """A part of the sentence, and the kind and name of the evidence that it links to. `glue` comes before the text.
    A text that begins with a name keeps the name's case, also as the first.
    """

    text: str
    kind: Kind
    of: str = ""
    glue: Literal["; ", ", "] = "; "
    begins_with_name: bool = False


@dataclass(frozen=True)
class _Trouble:
    """Targets that are down or slow: from everywhere, or (with `only_from`) from these locations alone."""

    word: Literal["down", "slow"]
    names: tuple[str, ...]
    only_from: tuple[str, ...] = ()


def describe_situation(observations: Sequence[Observation]) -> list[Part]:
    """The parts of the sentence, in order, the first with a capital letter; none without a target."""
    parts = _parts(observations)
    if parts and not parts[0].begins_with_name:
        text = parts[0].text
        parts[0] = replace(parts[0], text=f"{text[:1].upper()}{text[1:]}")
    return parts


def _parts(observations: Sequence[Observation]) -> list[Part]:
    known = [one for one in observations if one.status in _KNOWN]
    if not known:
        return _nothing_known(observations)
    cut_off = {place for place in {one.location for one in known} if _is_cut_off(known, place)}
    seen = [one for one in known if not (one.is_offline or (one.is_remote and one.location in cut_off))]
    if not seen:
        where = "" if len(cut_off) == 1 else " at every location"
        text = f"your own network is down{where}: no target could be reached, which says nothing about {_them(known)}"
        return [Part(text, "network")]
    parts = []
    if cut_off:
        is_everywhere = {one.location for one in known} == cut_off
        where = "own network" if is_everywhere else f"network in {_list(sorted(cut_off))}"
        parts = [Part(f"your {where} is down", "network")]
    troubles = _troubles(seen)
    if not troubles:
        return [*parts, *_fine(seen), *_unknown(observations), *_claims_against(seen), *_traffic_against(seen)]
    for trouble in troubles[:MOST_TROUBLES]:
        parts += _describe(trouble, seen)
    affected = {name for trouble in troubles for name in trouble.names}
    return [*parts, *_network(seen, affected), *_evidence(seen, affected), *_new(seen, affected)]


def by_location(statuses: Mapping[str, Status]) -> str:
    """From where a target is down or slow, by its status at each location: `down from Frankfurt only`; nothing where
    nothing is known.
    """
    known = {place: status for place, status in statuses.items() if status in ("up", "degraded", "down")}
    where = "everywhere" if len(known) == len(statuses) else "where it is known"
    for word, status in (("down", "down"), ("slow", "degraded")):
        places = sorted(place for place, seen in known.items() if seen == status)
        if places:
            return f"{word} {where}" if len(places) == len(known) else f"{word} from {_list(places)} only"
    return f"up {where}" if known else ""


def sentence(parts: Iterable[Part]) -> str:
    """The parts as one plain sentence."""
    text = "".join(f"{part.glue}{part.text}" for part in parts)[2:]
    return f"{text}." if text else ""


# -- nothing, or nothing now


def _nothing_known(observations: Sequence[Observation]) -> list[Part]:
    names, statuses = {one.name for one in observations}, {one.status for one in observations}
    if not names:
        return []
    words = {"paused": "paused", "waiting": "waiting for a key", "disabled": "disabled"}
    if len(statuses) == 1 and (status := next(iter(statuses))) in words:
        return [replace(_all(names, words[status]), kind="status", of=status)]
    return [Part("nothing is known right now: no target was probed recently", "network"), *_unknown(observations)]


def _is_cut_off(known: Sequence[Observation], place: str) -> bool:
    """Whether a location reached none of its targets on the network."""
    there = [one for one in known if one.location == place]
    return any(one.is_offline for one in there) and all(one.is_offline for one in there if one.is_remote)


# -- what is wrong


def _troubles(seen: Sequence[Observation]) -> list[_Trouble]:
    """Down before slow; from everywhere before from some locations; targets with the same locations are one trouble."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in sorted({one.name for one in seen}):
        mine = [one for one in seen if one.name == name and one.status != "not_counted"]
        for word, status in (("down", "down"), ("slow", "degraded")):
            places = tuple(sorted({one.location for one in mine if one.status == status}))
            if places:
                everywhere = len(places) == len({one.location for one in mine})
                found.setdefault((word, () if everywhere else places), []).append(name)
                break
    return [
        _Trouble("down" if word == "down" else "slow", tuple(names), places)
        for (word, places), names in sorted(found.items(), key=lambda item: (item[0][0], len(item[0][1]), item[0][1]))
    ]


def _describe(trouble: _Trouble, seen: Sequence[Observation]) -> list[Part]:
    total, count = len({one.name for one in seen}), len(trouble.names)
    status = "down" if trouble.word == "down" else "degraded"
    if count == 1:
        name = trouble.names[0]
        subject = Part(f"{name} is {trouble.word}", "target", name, begins_with_name=True)
    elif count == total:
        subject = Part(f"{'both' if count == 2 else f'all {count}'} targets are {trouble.word}", "status", status)
    else:
        subject = Part(f"{count:,d} of {total:,d} targets are {trouble.word}", "status", status)
    if trouble.only_from:
        text = f"{subject.text} from {_list(trouble.only_from)} only"
        return [replace(subject, text=text, kind="locations", of=trouble.names[0])]
    shared = _shared(trouble, seen)
    return [subject] if shared is None else [subject, replace(shared, glue=", ")]


def _shared(trouble: _Trouble, seen: Sequence[Observation]) -> Part | None:
    """What the affected targets have in common, and others do not."""
    mine = [one for one in seen if one.name in trouble.names]
    everyone, count = {one.name for one in seen}, len(trouble.names)
    for kind, label, value_of in _COMMON:
        values = {value_of(one) for one in mine}
        value = next(iter(values))
        if len(values) > 1 or value is None:
            continue
        alike = {one.name for one in seen if value_of(one) == value}
        if alike == everyone or (count == 1 and label != "behind"):
            continue
        fine = {one.name for one in seen if one.name in alike - set(trouble.names) and one.status in _ANSWERING}
        others = f", where {_others(fine)} {'up' if trouble.word == 'down' else 'fine'}" if fine else ""
        if count == 1:
            others = others or (", the only target there" if len(alike) == 1 else "")
            return Part(f"behind {value}{others}", kind, value)
        subject = "both" if count == 2 else "all"
        return Part(f"{subject} {label} {value}{others}", kind, value)
    hosts = {one.host for one in mine}
    return Part(f"behind {len(hosts)} different hosts", "targets") if len(hosts) > 1 else None


_COMMON: tuple[tuple[Kind, str, Callable[[Observation], str | None]], ...] = (
    ("host", "behind", lambda one: one.host),
    ("host", "served by", lambda one: one.provider),
    ("host", "serving", lambda one: one.model),
)


def _others(names: Collection[str]) -> str:
    return "another target is" if len(names) == 1 else f"{len(names)} other targets are"


# -- is it me?


def _network(seen: Sequence[Observation], affected: Collection[str]) -> list[Part]:
    """What the other targets show about the viewer's own network, at the affected locations."""
    wrong = [one for one in seen if one.name in affected and one.is_remote and one.status in ("down", "degraded")]
    if not wrong:
        return []
    hosts, places = {one.host for one in wrong}, {one.location for one in wrong}
    proof = {one.location for one in seen if one.host not in hosts and _shows_network(one, wrong)}
    if places <= proof:
        return [Part("your network is fine", "network")]
    if all(one.status != "down" for one in wrong):
        return []
    there = [one for one in seen if one.is_remote and one.location in places]
    if any(one.status != "down" or one.has_response for one in there):
        return []
    if len(hosts) > 1:
        return [Part("nothing outside answers, so it may be your own network", "network")]
    return [Part("nothing else outside is probed, so your own network is not ruled out", "network")]


def _shows_network(one: Observation, wrong: Sequence[Observation]) -> bool:
    """Whether a target answered over the network since all that is wrong at its location began, or just before."""
    if one.status != "up" or not one.is_remote:
        return False
    began = max((other.since or 0 for other in wrong if other.location == one.location), default=0)
    return one.probed_at is None or one.probed_at >= began - AT_ONCE_MS


# -- what others say


def _evidence(seen: Sequence[Observation], affected: Collection[str]) -> list[Part]:
    mine = [one for one in seen if one.name in affected]
    return [*_claims(mine, affected), *_traffic(mine, affected)]


def _claims(mine: Sequence[Observation], affected: Collection[str]) -> list[Part]:
    claims = {one.name: one.claimed for one in mine if one.claimed is not None}
    if not claims:
        return []
    low, high = min(low for low, _ in claims.values()), max(high for _, high in claims.values())
    whom = _them(mine) if len(claims) == len(affected) else _name_or_count(claims, "of them")
    return [Part(f"the router reports {_range(low, high)} for {whom} in the last 30 minutes", "claim", min(claims))]


def _traffic(mine: Sequence[Observation], affected: Collection[str]) -> list[Part]:
    by_name = {one.name: one for one in mine}
    requests, failed = (sum(getattr(one, what) for one in by_name.values()) for what in ("requests", "failed"))
    if not requests:
        return []
    busiest = max(by_name.values(), key=lambda one: one.requests).name
    if requests == 1:
        text = f"the only request you sent to {_them(mine)} {'failed' if failed else 'succeeded'}"
    else:
        total = f"{'only' if requests < FEWEST_REQUESTS else 'the'} {requests:,d} requests you sent to {_them(mine)}"
        text = f"{failed or 'none'} of {total} failed"
    return [Part(f"{text} in the last 30 minutes", "traffic", busiest)]


def _claims_against(seen: Sequence[Observation]) -> list[Part]:
    """The router's claims about targets whose probes are fine; only where even the best endpoint is bad."""
    low = {one.name: one.claimed for one in seen if one.claimed is not None and one.claimed[1] < LOW_CLAIM}
    if not low:
        return []
    claims = list(low.values())
    reported = _range(min(low for low, _ in claims), max(high for _, high in claims))
    whom = _name_or_count(low, "of them")
    return [Part(f"but the router reports {reported} for {whom} in the last 30 minutes", "claim", min(low))]


def _traffic_against(seen: Sequence[Observation]) -> list[Part]:
    bad = {
        one.name: one for one in seen if one.requests >= FEWEST_REQUESTS and one.failed / one.requests > 1 - GOOD_SHARE
    }
    if not bad:
        return []
    failed, requests = sum(one.failed for one in bad.values()), sum(one.requests for one in bad.values())
    whom = _name_or_count(bad, "of them")
    text = f"but {failed:,d} of your {_count(requests, 'request')} to {whom} failed in the last 30 minutes"
    return [Part(text, "traffic", min(bad))]


# -- nothing is wrong


def _fine(seen: Sequence[Observation]) -> list[Part]:
    names = {one.name for one in seen}
    up = {one.name for one in seen if one.status in _ANSWERING}
    if not up:
        whose = "its" if len(names) == 1 else "their"
        return [Part(f"none of {whose} probes counted recently", "status", "not_counted")]
    if up == names:
        return [_all(names, "up"), *_new(seen, up)]
    parts = [Part(f"{len(up):,d} of {len(names):,d} targets {'is' if len(up) == 1 else 'are'} up", "targets")]
    unclear = Part(f"{_count(len(names - up), 'is', 'are')} not counted", "status", "not_counted")
    return [*parts, unclear, *_new(seen, up)]


def _unknown(observations: Sequence[Observation]) -> list[Part]:
    """Targets without a current state."""
    parts: list[Part] = []
    judged = {one.name for one in observations if one.status in _KNOWN}
    rest = {one.name: one.status for one in observations if one.name not in judged}
    counts = Counter[str](rest.values())
    for status, one, many in _UNKNOWN:
        if counts[status] and (judged or status != "stale"):  # else that is what the sentence says
            parts.append(Part(_count(counts[status], one, many), "status", status))
    return parts


_UNKNOWN: tuple[tuple[Status, str, str], ...] = (
    ("stale", "was not probed recently", "were not probed recently"),
    ("never", "was never probed", "were never probed"),
    ("paused", "is paused", "are paused"),
    ("waiting", "is waiting for a key", "are waiting for a key"),
)


def _new(seen: Sequence[Observation], names: Collection[str]) -> list[Part]:
    """A note when they have only a few probes yet."""
    new = {one.name for one in seen if one.name in names and one.is_new}
    if not new:
        return []
    if new == set(names):
        return [Part(f"{'it has' if len(new) == 1 else 'they have'} been probed only a few times so far", "targets")]
    return [Part(f"{_count(len(new), 'has', 'have')} been probed only a few times so far", "targets")]


# -- words


def _all(names: Collection[str], state: str) -> Part:
    if len(names) == 1:
        return Part(f"{next(iter(names))} is {state}", "targets", begins_with_name=True)
    return Part(f"{'both' if len(names) == 2 else f'all {len(names):,d}'} targets are {state}", "targets")


def _them(mine: Iterable[Observation]) -> str:
    return "it" if len({one.name for one in mine}) == 1 else "them"


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,d} {one if count == 1 else many or f'{one}s'}"


def _name_or_count(names: Collection[str], otherwise: str) -> str:
    return _list(sorted(names)) if len(names) <= MOST_NAMED else f"{len(names)} {otherwise}"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _range(low: float, high: float) -> str:
    first, last = _percent(low), _percent(high)
    return first if first == last else f"{first} to {last}"


def _percent(share: float) -> str:
    """Never rounded up to 100."""
    return f"{min(share * 100, 100.0 if share >= 1 else 99.9):.3g}%"
