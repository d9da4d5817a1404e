"""Which channels get which kind of alert about which target, and by which rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alerts.facts import EVERYTHING, WatchedTarget
from alerts.registry import COLLECTOR_RULES, TARGET_RULES
from settings.alerts import AlertRule, AlertSettings

FALLBACK = AlertRule((), (), (), ())
"""By which an alert recovers whose rule is gone."""
RECOVERED = "recovered"


@dataclass(frozen=True)
class Subscription:
    """The channels that one rule serves with one kind. `opening` is false for a rule that wants recoveries alone."""

    kind: str
    rule: AlertRule
    channels: tuple[str, ...]
    opening: bool = True


class Subscriptions:
    """Every subscription of a configuration. Of several rules for one channel and kind, the first one counts."""

    def __init__(self, settings: AlertSettings, targets: Iterable[WatchedTarget]) -> None:
        self.channels = {channel.name: channel for channel in settings.channels}
        self._of_target: dict[str, tuple[Subscription, ...]] = {}
        known: dict[tuple[AlertRule, ...], tuple[Subscription, ...]] = {}
        for target in targets:
            rules = tuple(rule for rule in settings.rules if rule.matches(target.name, target.tags))
            if rules not in known:
                known[rules] = _subscriptions(rules)
            self._of_target[target.name] = known[rules]
        self._of_target[EVERYTHING] = known.setdefault(settings.rules, _subscriptions(settings.rules))
        self._rules: dict[str, dict[int, AlertRule]] = {}
        self._channels: dict[str, set[str]] = {}
        for one in (one for listed in known.values() for one in listed):
            self._rules.setdefault(one.kind, {})[id(one.rule)] = one.rule
            self._channels.setdefault(one.kind, set()).update(one.channels)

    def of_target(self, name: str) -> tuple[Subscription, ...]:
        """The subscriptions for a target (`*`: for the collector)."""
        return self._of_target.get(name, ())

    def wanted(self, kind: str) -> bool:
        """Whether any channel gets a kind."""
        return kind in self._rules

    def rules_of(self, kind: str) -> list[AlertRule]:
        """The rules that are about a kind."""
        return list(self._rules.get(kind, {}).values())

    def channels_of(self, kind: str) -> list[str]:
        """The channels that get a kind about any target."""
        return sorted(self._channels.get(kind, ()))

    @property
    def reminds(self) -> bool:
        """Whether any rule reminds."""
        return any(rule.remind_every_s is not None for rules in self._rules.values() for rule in rules.values())

    def slots_needed(self) -> int:
        """The most slots in a row that any rule looks at."""
        rules = [rule for rules in self._rules.values() for rule in rules.values()]
        return max(max(rule.after, rule.clear_after) for rule in (*rules, FALLBACK))


def _subscriptions(rules: tuple[AlertRule, ...]) -> tuple[Subscription, ...]:
    listed: list[Subscription] = []
    for kind in (*TARGET_RULES, *COLLECTOR_RULES):
        served: set[str] = set()
        wanting = [(rule, True) for rule in rules if kind in rule.on]
        if kind == "down":
            wanting += [(rule, False) for rule in rules if RECOVERED in rule.on and kind not in rule.on]
        for rule, opening in wanting:
            if channels := tuple(dict.fromkeys(name for name in rule.to if name not in served)):
                served.update(channels)
                listed.append(Subscription(kind, rule, channels, opening))
    return tuple(listed)
