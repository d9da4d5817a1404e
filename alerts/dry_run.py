"""What a rule would have sent in the past: pure, for a page that shows it as a threshold is dragged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from alerts.evaluate import Evaluator
from alerts.facts import CollectorFacts, Finding, Slot, TargetFacts, WatchedTarget
from alerts.history import History
from alerts.messages import Item, Surroundings, compose, items_of
from alerts.occurrences import Key, Occurrences, key_of
from alerts.pacing import BETWEEN_S
from alerts.subscriptions import Subscriptions
from settings.alerts import AlertRule, AlertSettings, Channel
from store.clock import HOUR_MS

CHANNEL = "dry run"
KEPT_MS = 6 * HOUR_MS
"""As far back as any rule looks at slots, unless they are further apart."""
UsualTtft = Callable[[str, int], float | None]


@dataclass(frozen=True)
class PastMessage:
    """One message that would have been sent: when (milliseconds UTC), its text, and how many events it has."""

    at: int
    text: str
    events: int


def past_messages(
    rule: AlertRule,
    targets: Sequence[WatchedTarget],
    slots: Mapping[str, Sequence[Slot]],
    usual_ttft_ms: UsualTtft | None = None,
    unobserved: Collection[int] = (),
) -> list[PastMessage]:
    """The messages that a rule about targets would have sent for their slots, oldest first. `usual_ttft_ms` gives a
    target's usual TTFT at a moment. Slots at the moments `unobserved` are only history for the others.
    """
    occurrences, evaluator = _start(rule, targets)
    by_name = {target.name: target for target in targets}
    needed = max(rule.after, rule.clear_after)
    histories = {target.name: History(max(KEPT_MS, target.reach_ms(needed))) for target in targets}
    moments = ((slot.at, name, slot) for name, listed in slots.items() if name in by_name for slot in listed)
    for at, name, slot in sorted(moments, key=itemgetter(0)):
        histories[name].add(slot, at)
        if at in unobserved:
            continue
        usual_ms = usual_ttft_ms(name, at) if usual_ttft_ms is not None else None
        evaluator.pass_time(at)
        evaluator.observe(TargetFacts(by_name[name], histories[name].slots, usual_ms), slot, at)
    return _messages(occurrences, {})


def messages_from_findings(rule: AlertRule, target: WatchedTarget, findings: Iterable[Finding]) -> list[PastMessage]:
    """The messages for a rule's findings about a target; both are oldest first."""
    occurrences, evaluator = _start(rule, [target])
    for finding in findings:
        evaluator.pass_time(finding.at)
        evaluator.apply(finding, finding.at)
    return _messages(occurrences, {})


def messages_from_facts(
    rule: AlertRule, targets: Sequence[WatchedTarget], facts: Sequence[CollectorFacts]
) -> list[PastMessage]:
    """The messages that a rule about anything but probes would have sent, by the facts of some moments, oldest
    first.
    """
    occurrences, evaluator = _start(rule, targets, facts[0].location if facts else "")
    found_at: dict[tuple[str, Key], int] = {}
    for known in facts:
        evaluator.pass_time(known.now)
        evaluator.look_around(known)
        for item in items_of(occurrences.pending(CHANNEL), most=None):
            found_at.setdefault((item.part, key_of(item.alert)), known.now)
    return _messages(occurrences, found_at)


def _start(rule: AlertRule, targets: Sequence[WatchedTarget], location: str = "") -> tuple[Occurrences, Evaluator]:
    settings = AlertSettings((Channel(CHANNEL, "webhook", None),), (replace(rule, to=(CHANNEL,)),))
    occurrences = Occurrences((), 0)
    return occurrences, Evaluator(location, targets, Subscriptions(settings, targets), occurrences)


def _messages(occurrences: Occurrences, found_at: Mapping[tuple[str, Key], int]) -> list[PastMessage]:
    """One message for all that came within 30 s. What is pending at the end is all that would have been sent.
    `found_at`: when something was found, if later than its beginning or end.
    """
    items = []
    for item in items_of(occurrences.pending(CHANNEL), most=None):
        alert, is_opening = item.alert, item.part == "opening"
        at = alert.opened_at if is_opening else alert.closed_at or alert.opened_at
        shown = replace(alert, closed_at=None) if is_opening else alert
        items.append((found_at.get((item.part, key_of(alert)), at), Item(item.part, shown)))
    items.sort(key=itemgetter(0))
    groups: list[list[tuple[int, Item]]] = []
    for at, item in items:
        if not groups or at - groups[-1][0][0] > BETWEEN_S * 1_000:
            groups.append([])
        groups[-1].append((at, item))
    return [
        PastMessage(
            group[0][0], compose([item for _, item in group], Surroundings(group[0][0], {}, {})).text, len(group)
        )
        for group in groups
    ]
