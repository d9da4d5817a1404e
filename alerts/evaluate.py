"""From findings to what channels are told: opens and closes alerts, and holds back what should not be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from alerts import flapping
from alerts.facts import EVERYTHING, CollectorFacts, Finding, Slot, TargetFacts, WatchedTarget
from alerts.occurrences import (
    FLAPPING,
    NOT_PROBED,
    OFFLINE,
    RECOVERY_ONLY,
    SILENCED,
    Occurrences,
    key_of,
    recovers,
)
from alerts.offline import OfflineWatch
from alerts.registry import COLLECTOR_RULES, TARGET_RULES
from alerts.subscriptions import FALLBACK, Subscription, Subscriptions
from settings.target_selection import matches
from store.alert_tables import Alert, Silence
from store.outcomes import INTERNAL_ERROR


class Evaluator:
    """The alerts of one location, and what is known of its targets. Does no input or output."""

    def __init__(
        self,
        location: str,
        targets: Iterable[WatchedTarget],
        subscriptions: Subscriptions,
        occurrences: Occurrences,
        newest: Iterable[tuple[str, Slot]] = (),
    ) -> None:
        """`newest`: the newest slots of all targets, by name: whether the network is there."""
        self.location = location
        self.targets: Mapping[str, WatchedTarget] = {target.name: target for target in targets}
        self.subscriptions = subscriptions
        self.occurrences = occurrences
        self.silences: tuple[Silence, ...] = ()
        self._offline = OfflineWatch(slot for name, slot in newest if self._is_remote(name))

    def _is_remote(self, name: str) -> bool:
        target = self.targets.get(name)
        return target is not None and target.is_remote

    # -- what probes show

    def observe(self, facts: TargetFacts, slot: Slot, now: int) -> None:
        """Take in one more probe of a target: `facts` has it, too."""
        if self._is_remote(facts.target.name):
            self._note_network(slot, now)
        if slot.decides or slot.outcome == INTERNAL_ERROR:
            self.look_at(facts, now)

    def look_at(self, facts: TargetFacts, now: int) -> None:
        """Apply every rule to a target as it is."""
        name = facts.target.name
        covered: set[tuple[str, str]] = set()
        for subscription in self.subscriptions.of_target(name):
            covered.update((subscription.kind, channel) for channel in subscription.channels)
            rule = TARGET_RULES.get(subscription.kind)
            if rule is not None and (finding := rule.find(facts, subscription.rule)) is not None:
                self._apply(finding, subscription, now)
        for alert in self.occurrences.open_of(name):
            rule = TARGET_RULES.get(alert.kind)
            if rule is not None and (alert.kind, alert.channel) not in covered:
                self._close_by(alert, rule.find(facts, FALLBACK))

    def apply(self, finding: Finding, now: int) -> None:
        """Open or close what was found about a target, for every channel that gets its kind."""
        for subscription in self.subscriptions.of_target(finding.target):
            if subscription.kind == finding.kind:
                self._apply(finding, subscription, now)

    def _note_network(self, slot: Slot, now: int) -> None:
        since = self._offline.note(slot)
        if since is None:
            return
        for channel in self.subscriptions.channels_of("down"):
            alert = self._alert(Finding(OFFLINE, EVERYTHING, True, since, since, cause="no network"), channel)
            if not self.occurrences.has(key_of(alert)):
                self.occurrences.put(replace(alert, closed_at=slot.at, ended_at=slot.at))

    # -- what else is known

    def look_around(self, facts: CollectorFacts) -> None:
        """Apply the rules that look at other things than probes."""
        for kind, rule in COLLECTOR_RULES.items():
            for settings in self.subscriptions.rules_of(kind):
                for finding in rule.find(facts, settings):
                    for subscription in self.subscriptions.of_target(finding.target):
                        if subscription.kind == kind and subscription.rule is settings:
                            self._apply(finding, subscription, facts.now)
            self._close_uncovered(kind, facts)

    def _close_uncovered(self, kind: str, facts: CollectorFacts) -> None:
        """Close what no rule is about any more."""
        uncovered = [
            alert for alert in self.occurrences.open_alerts() if alert.kind == kind and not self._covers(alert)
        ]
        if uncovered:
            findings = {(one.target, self._place(one)): one for one in COLLECTOR_RULES[kind].find(facts, FALLBACK)}
            for alert in uncovered:
                self._close_by(alert, findings.get((alert.target, alert.location)))

    def _covers(self, alert: Alert) -> bool:
        listed = self.subscriptions.of_target(alert.target)
        return any(one.kind == alert.kind and alert.channel in one.channels for one in listed)

    def pass_time(self, now: int) -> None:
        """What time alone changes: what is not probed any more, what was held back, and what stopped flapping."""
        for alert in self.occurrences.open_alerts():
            if alert.target != EVERYTHING and alert.target not in self.targets and alert.location == self.location:
                self.occurrences.put(replace(alert, closed_at=now, ended_at=now, closed_by=NOT_PROBED))
            elif alert.kind == FLAPPING:
                self._end_flapping(alert, now)
        for alert in self.occurrences.open_alerts():
            if alert.held in (SILENCED, FLAPPING, OFFLINE):
                self._hold(alert, self._reason_to_hold(alert, now))

    # -- opening and closing

    def _apply(self, finding: Finding, subscription: Subscription, now: int) -> None:
        for channel in subscription.channels:
            known = self.occurrences.open_alert(finding.kind, finding.target, channel, self._place(finding))
            if finding.holds and known is None:
                self._open(finding, channel, subscription, now)
            elif not finding.holds and known is not None:
                self._close_by(known, finding)
                self._note_change(self.occurrences.get(key_of(known)) or known, now)

    def _open(self, finding: Finding, channel: str, subscription: Subscription, now: int) -> None:
        alert = self._alert(finding, channel)
        if finding.once and any(
            known.kind == finding.kind for known in self.occurrences.of_series(finding.target, channel)
        ):
            return
        if (known := self.occurrences.get(key_of(alert))) is not None:
            if known.closed_by is None or finding.kind in TARGET_RULES or not recovers(known):
                return
            alert = replace(alert, opened_at=now)
        if not recovers(alert):
            alert = replace(alert, closed_at=alert.opened_at, ended_at=alert.opened_at)
        self.occurrences.put(alert)
        self._note_change(alert, now)
        self._hold(alert, self._reason_to_hold(alert, now) if subscription.opening else RECOVERY_ONLY)

    def _close_by(self, alert: Alert, finding: Finding | None) -> None:
        if finding is not None and not finding.holds:
            closed_at = max(finding.at, alert.opened_at)
            ended_at = finding.ended_at if finding.ended_at is not None else closed_at
            self.occurrences.put(replace(alert, closed_at=closed_at, ended_at=max(ended_at, alert.since)))

    def _alert(self, finding: Finding, channel: str) -> Alert:
        target = self.targets.get(finding.target)
        return Alert(
            target=finding.target,
            kind=finding.kind,
            location=self._place(finding),
            channel=channel,
            opened_at=finding.at,
            since=min(finding.since, finding.at),
            host=target.host if target is not None else None,
            cause=finding.cause,
            detail=finding.detail,
        )

    def _place(self, finding: Finding) -> str:
        return finding.location or self.location

    # -- holding back

    def _reason_to_hold(self, alert: Alert, now: int) -> str | None:
        """Why an opening is not sent now. Recoveries are never held back."""
        if self.is_silenced(alert.target, now):
            return SILENCED
        if alert.target == EVERYTHING or alert.kind == FLAPPING:
            return None
        if self._offline.since is not None and alert.kind in TARGET_RULES:
            return OFFLINE
        is_flapping = self.occurrences.open_alert(FLAPPING, alert.target, alert.channel, alert.location) is not None
        return FLAPPING if is_flapping and alert.kind in flapping.STATES else None

    def _hold(self, alert: Alert, reason: str | None) -> None:
        known = self.occurrences.get(key_of(alert))
        if known is not None and known.held != reason and known.sent_at is None:
            self.occurrences.put(replace(known, held=reason))

    def is_silenced(self, target: str, now: int) -> bool:
        """Whether a person wants no new alert about a target."""
        return any(
            silence.began_at <= now < silence.ends_at and matches(target, [silence.target]) for silence in self.silences
        )

    def _note_change(self, alert: Alert, now: int) -> None:
        """A change of a target's state; the fifth in an hour says that it is flapping, and nothing else."""
        if alert.kind not in flapping.STATES:
            return
        if self.occurrences.open_alert(FLAPPING, alert.target, alert.channel, alert.location) is not None:
            return
        at = max(alert.opened_at, alert.closed_at or 0)
        moments = flapping.changes(self.occurrences.recent(alert.target, alert.channel, at), at)
        if not flapping.is_flapping(moments):
            return
        cause = f"{len(moments)} changes in an hour"
        finding = Finding(FLAPPING, alert.target, True, moments[-1], moments[0], cause=cause)
        opened = self._alert(finding, alert.channel)
        if not self.occurrences.has(key_of(opened)):
            self.occurrences.put(opened)
            self._hold(opened, self._reason_to_hold(opened, now))

    def _end_flapping(self, alert: Alert, now: int) -> None:
        moments = flapping.changes(self.occurrences.recent(alert.target, alert.channel, now), now)
        if flapping.is_over(moments, now):
            last_at = moments[-1] if moments else now
            self.occurrences.put(
                replace(alert, closed_at=max(now, alert.opened_at), ended_at=max(last_at, alert.since))
            )
