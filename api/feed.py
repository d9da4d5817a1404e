"""`/feed.atom`: incidents, retirements and catalog changes. Without a token, only that targets were down, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring  # nosec B405: it writes XML, and parses none

from starlette.requests import Request

from alerts.rules.catalog import DAYS_BEFORE
from api.endpoint import Answer, sees_everything
from api.incidents import TargetIncident, incidents_between
from api.targets import known
from pages.components import formatting
from pages.queries import cache
from pages.queries.public_status import status_rows
from pages.queries.source import store_url
from stats.catalog_changes import changes
from stats.outages import Outage
from store.clock import DAY_MS, now_ms
from store.formats import iso
from store.schema import Model, Target

PATH = "/feed.atom"
DAYS = 90
MOST = 100
_NAMESPACE = UUID("7f2c4f6e-8f0a-5d0e-9a52-6f1d2b3c4d5e")
_CONTROL = {code: None for code in range(32) if code not in (9, 10, 13)}
"""What XML 1.0 cannot have."""


@dataclass(frozen=True)
class Entry:
    """One event (milliseconds UTC). `key` is what it keeps while the event goes on, for its permanent id."""

    key: str
    published_at: int
    updated_at: int
    title: str
    text: str = ""


def feed(request: Request) -> Answer:
    """The newest `MOST` entries of the last `DAYS` days."""
    url, everything = store_url(), sees_everything(request)
    until = cache.rounded(now_ms()) + 5_000
    since = until - DAYS * DAY_MS
    if everything:
        targets = known(url)
        entries = [_of_incident(each) for each in incidents_between(url, targets, since, until)]
        entries += _of_changes(url, targets, since)
        entries += _of_retirements(url, targets, since, until)
    else:
        rows = status_rows(url, until)
        entries = [_of_outage(row.name, outage) for row in rows for outage in row.outages if outage.began_at < until]
    newest = sorted(entries, key=lambda entry: (-entry.updated_at, entry.key))[:MOST]
    return Answer(atom(newest), "application/atom+xml", max_age_s=60)


def _of_incident(each: TargetIncident) -> Entry:
    target, incident = each.target, each.incident
    return Entry(
        f"incident {target.name} {target.location} {target.profile} {incident.began_at}",
        incident.began_at,
        incident.ended_at if incident.ended_at is not None else incident.began_at,
        _title(f"{target.name} ({target.location})", incident.ended_at, incident.is_known_now, incident.duration_s()),
        f"{formatting.outcome(incident.cause)}{f': {incident.error}' if incident.error else ''}",
    )


def _of_outage(name: str, outage: Outage) -> Entry:
    """What the public status page says: nothing of locations and causes."""
    return Entry(
        f"outage {name} {outage.began_at}",
        outage.began_at,
        outage.ended_at if outage.ended_at is not None else outage.began_at,
        _title(name, outage.ended_at, outage.is_known_now, outage.duration_s),
    )


def _title(name: str, ended_at: int | None, is_known_now: bool, duration_s: float) -> str:
    if ended_at is not None:
        return f"{name} was down for {formatting.duration(duration_s)}"
    return f"{name} is down" if is_known_now else f"{name} was down when it was last probed"


def _of_changes(url: str, targets: Iterable[Target], since: int) -> list[Entry]:
    """The changes of the models that are probed, one entry a moment."""
    entries = []
    for name, versions in _versions(url, targets):
        for source in sorted({version.source for version in versions}):
            by_moment: dict[int, list[str]] = {}
            for change in changes(version for version in versions if version.source == source):
                if change.at >= since and change.what != "last day":  # has its own entry
                    before, after = change.before or "not stated", change.after or "not stated"
                    by_moment.setdefault(change.at, []).append(f"{change.what}: {before} → {after}")
            entries += [
                Entry(f"change {source} {name} {at}", at, at, f"{name} changed", "; ".join(texts))
                for at, texts in by_moment.items()
            ]
    return entries


def _versions(url: str, targets: Iterable[Target]) -> Iterator[tuple[str, list[Model]]]:
    """The probed models, and the catalog's versions of each, the oldest first."""
    by_model: dict[str, list[Model]] = defaultdict(list)
    for version in cache.versions_of(url, tuple(sorted({target.model for target in targets}))):
        by_model[version.model].append(version)
    for name, listed in sorted(by_model.items()):
        yield name, sorted(listed, key=lambda version: version.valid_from)


def _of_retirements(url: str, targets: Iterable[Target], since: int, until: int) -> list[Entry]:
    """The last days that catalogs state for the probed models; an entry is updated 30, 7 and 1 days before that day."""
    entries = []
    for name, listed in _versions(url, targets):
        for current in (version for version in listed if version.valid_to is None and version.expires_at is not None):
            last_day = current.expires_at or 0
            mine = [version for version in listed if version.source == current.source]
            stated_at = current.valid_from
            for version in reversed(mine):
                if version.expires_at != last_day:
                    break
                stated_at = version.valid_from
            notices = [last_day - days * DAY_MS for days in DAYS_BEFORE]
            updated_at = max(stated_at, *(at for at in notices if at < until), 0)
            if updated_at >= since:
                verb = "retires" if last_day + DAY_MS > until else "retired"
                text = f"Its last day in the catalog of {current.source} is {iso(last_day)[:10]}."
                key = f"retirement {current.source} {name} {last_day}"
                entries.append(Entry(key, stated_at, updated_at, f"{name} {verb} on {iso(last_day)[:10]}", text))
    return entries


def atom(entries: list[Entry]) -> bytes:
    """An Atom feed (RFC 4287). Its links are relative to its own address."""
    root = Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _text(root, "id", f"urn:uuid:{uuid5(_NAMESPACE, 'feed')}")
    _text(root, "title", "Uptoken: incidents and changes")
    _text(root, "updated", iso(max((entry.updated_at for entry in entries), default=0)))
    SubElement(SubElement(root, "author"), "name").text = "Uptoken"
    SubElement(root, "link", rel="self", type="application/atom+xml", href="feed.atom")
    for entry in entries:
        node = SubElement(root, "entry")
        _text(node, "id", f"urn:uuid:{uuid5(_NAMESPACE, entry.key)}")
        _text(node, "title", entry.title)
        _text(node, "published", iso(entry.published_at))
        _text(node, "updated", iso(entry.updated_at))
        SubElement(node, "link", rel="alternate", href="./")
        _text(node, "content", entry.text or entry.title)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text.translate(_CONTROL)
