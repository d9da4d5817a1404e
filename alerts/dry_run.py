"""What a rule would have sent in the past: pure, for a page that shows it as a threshold is dragged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from alerts.evaluate import Evaluator
from alerts.facts import Slot, TargetFacts, WatchedTarget
from alerts.history import History
from alerts.messages import Item, Surroundings, compose
from alerts.occurrences import Occurrences, has_opening, has_recovery
from alerts.pacing import BETWEEN_S
from alerts.subscriptions import Subscriptions
from settings.alerts import AlertRule, AlertSettings, Channel
from store.clock import HOUR_MS

CHANNEL = "dry run"
KEPT_MS = 6 * HOUR_MS
"""As far back as any rule looks at slots, unless they are further apart."""


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
    usual_ttft_ms: Mapping[str, float] | None = None,
) -> list[PastMessage]:
    """The messages that a rule about targets would have sent over their slots, oldest first. Rules that do not look at
    probes send none here.
    """
    settings = AlertSettings((Channel(CHANNEL, "webhook", None),), (replace(rule, to=(CHANNEL,)),))
    occurrences = Occurrences((), 0)
    evaluator = Evaluator("", targets, Subscriptions(settings, targets), occurrences)
    by_name = {target.name: target for target in targets}
    needed = max(rule.after, rule.clear_after)
    histories = {target.name: History(max(KEPT_MS, target.reach_ms(needed))) for target in targets}
    moments = ((slot.at, name, slot) for name, listed in slots.items() if name in by_name for slot in listed)
    last_at = 0
    for at, name, slot in sorted(moments, key=itemgetter(0)):
        histories[name].add(slot, at)
        usual_ms = (usual_ttft_ms or {}).get(name)
        evaluator.pass_time(at)
        evaluator.observe(TargetFacts(by_name[name], histories[name].slots, usual_ms), slot, at)
        last_at = at
    return _messages(occurrences, last_at)


def _messages(occurrences: Occurrences, now: int) -> list[PastMessage]:
    """What is pending at the end is all that would have been sent; what came within 30 s is one message."""
    items = []
    for alert in occurrences.pending(CHANNEL):
        if has_opening(alert):
            items.append((alert.opened_at, Item("opening", replace(alert, closed_at=None))))
        if has_recovery(alert):
            items.append((alert.closed_at or alert.opened_at, Item("recovery", alert)))
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
