"""The alerts of one collector process: what it records goes in, rows to record come out, and channels are told.

Everything but the sending happens in the scheduler's thread, which alone talks to the store. An alert is recorded with
the probes that opened it, before its channel is told, and again when the channel took it: a process that is killed in
between tells twice, and never not at all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from alerts import gather
from alerts.dispatcher import Delivery, Dispatcher
from alerts.evaluate import Evaluator
from alerts.facts import EVERYTHING, TargetFacts, WatchedTarget
from alerts.history import History, slot_of
from alerts.lock import AlertLock
from alerts.messages import Item, Surroundings, compose, items_of
from alerts.occurrences import FLAPPING, SILENCED, Occurrences
from alerts.pacing import Pacing
from alerts.stops import KIND as STOPPED
from alerts.stops import StopAlerts
from alerts.subscriptions import Subscriptions
from settings.alerts import Channel
from settings.targets import Config
from store import Store, StoreError
from store.alert_tables import Alert
from store.clock import HOUR_MS, now_ms
from store.outcomes import ALERTS
from store.schema import Model, Probe, Row, Run

LOOK_AROUND_S = 60.0
LOOK_AT_TIME_S = 5.0
RETRY_S = 1.0
TRIES_OF_A_RUN = 2
"""A single run tries a channel so often; the next one goes on."""


class Alerting:
    """See the module. `single`: of one run, which evaluates and sends everything when its probes are recorded."""

    def __init__(
        self,
        config: Config,
        store: Store,
        location: str,
        lock_path: Path | None = None,
        *,
        single: bool = False,
        dispatcher: Dispatcher | None = None,
        clock: Callable[[], int] = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._store = store
        self._location = location
        self._single = single
        self._lock = AlertLock(lock_path)
        self._dispatcher = dispatcher or Dispatcher()
        self._clock, self._monotonic = clock, monotonic
        self._pacing: dict[str, Pacing] = {}
        self._stops = StopAlerts()
        self._waiting: list[Probe] = []
        self._evaluator: Evaluator | None = None
        self._histories: dict[str, History] = {}
        self._usual: dict[str, float] = {}
        self._usual_hour: int | None = None
        self._began_at: int | None = clock()
        self._catalog_changed = False
        self._around_at = self._time_at = self._retry_at = 0.0
        self._last_run_at = 0
        self._runs: list[Row] = []

    # -- what the scheduler calls

    def observe(self, rows: Iterable[Row]) -> list[Row]:
        """Take in what was just seen; returns the alerts that are to be recorded with it."""
        probes = []
        for row in rows:
            if isinstance(row, Probe) and row.location == self._location:
                probes.append(row)
            self._catalog_changed = self._catalog_changed or isinstance(row, Model)
        if self._evaluator is None:
            self._waiting += probes
            return []
        return self._take_in(self._evaluator, probes)

    def work(self, *, final: bool = False) -> list[Row]:
        """Look at what time and other programs changed, send what is due (`final`: everything that is pending), and
        return what is to be recorded. Never raises StoreError: what cannot be read now is read later.
        """
        now, at = self._clock(), self._monotonic()
        try:
            if (evaluator := self._activate(at, final=final)) is None:
                return self._take_runs()
            if at >= self._time_at or final:
                self._time_at = at + LOOK_AT_TIME_S
                evaluator.silences = gather.read_silences(self._store, self._location, now)
                evaluator.pass_time(now)
            if self._catalog_changed or at >= self._around_at:
                self._look_around(evaluator, now, at)
        except StoreError:  # the scheduler reports it when it writes
            if self._evaluator is None:
                return self._take_runs()
        assert self._evaluator is not None
        occurrences = self._evaluator.occurrences
        for delivery in self._dispatcher.take_ended():
            self._note_delivery(occurrences, delivery, now, at)
        changed = occurrences.take_changed()
        if not changed:  # else they are recorded first, and told the next time
            self._send_due(self._evaluator, now, at, final=final)
        return [*changed, *self._take_runs()]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way and, in a single run, nothing pending that could be sent."""
        if self._dispatcher.under_way:
            return False
        if not self._single or self._lock.is_held_by_loop:
            return True
        if (evaluator := self._evaluator) is None:
            return False
        now = self._clock()
        return not any(
            self._items(evaluator, name, now)
            for name, channel in evaluator.subscriptions.channels.items()
            if not self._is_given_up(channel)
        )

    def _is_given_up(self, channel: Channel) -> bool:
        """Whether this single run leaves a channel to the next one."""
        failures = self._pacing[channel.name].failures if channel.name in self._pacing else 0
        is_wrong = channel.url is None or channel.problem is not None
        return failures >= (1 if is_wrong else TRIES_OF_A_RUN)

    def reconfigure(self, config: Config) -> None:
        """Go on with another configuration."""
        self._config = config
        old = self._evaluator
        if old is None:
            return
        targets = gather.watched(config)
        self._evaluator = self._make_evaluator(targets, old.occurrences)
        self._evaluator.silences = old.silences
        keep = self._keep(targets, self._evaluator.subscriptions)
        try:
            slots = gather.read_slots(self._store, config, self._location, keep, self._clock())
        except StoreError:  # what is known from before
            slots = {name: self._histories[name].slots for name in keep.keys() & self._histories.keys()}
        self._histories = {name: History(length_ms, slots.get(name, ())) for name, length_ms in keep.items()}
        self._around_at = self._time_at = 0.0
        self._look_at_all(self._evaluator)

    def close(self) -> None:
        """Let another process go on."""
        self._lock.close()

    # -- taking over what the store knows

    def _activate(self, at: float, *, final: bool) -> Evaluator | None:
        """The evaluator, once this process may: when no other one does. Raises StoreError."""
        if self._evaluator is not None or (self._single and not final) or at < self._retry_at:
            return self._evaluator
        try:
            if not self._lock.take(as_loop=not self._single):
                self._retry_at = at if self._single else at + RETRY_S
                return None
        except OSError as problem:
            self._retry_at = at + LOOK_AROUND_S
            self._note_error(f"the lock file beside the store could not be made: {problem}")
            return None
        now = self._clock()
        targets = gather.watched(self._config)
        subscriptions = Subscriptions(self._config.alerts, targets)
        alerts = gather.read_alerts(self._store, self._location)
        if subscriptions.wanted(STOPPED):
            alerts = [alert for alert in alerts if alert.kind != STOPPED]  # taken over at each look around
        failing = None
        if self._single and subscriptions.wanted("slo_burn"):  # one slot more is no burn where none failed before
            failing = gather.failing_targets(self._store, targets, self._location, now)
        keep = self._keep(targets, subscriptions, failing)
        slots = gather.read_slots(self._store, self._config, self._location, keep, now)
        new = {(probe.target, probe.started_at) for probe in self._waiting}
        known = {name: [slot for slot in found if (name, slot.at) not in new] for name, found in slots.items()}
        self._histories = {name: History(length_ms, known.get(name, ())) for name, length_ms in keep.items()}
        evaluator = self._make_evaluator(targets, Occurrences(alerts, now))
        evaluator.silences = gather.read_silences(self._store, self._location, now)
        self._evaluator = evaluator
        self._look_at_all(evaluator)
        waiting, self._waiting = self._waiting, []
        self._feed(evaluator, waiting)
        return evaluator

    def _make_evaluator(self, targets: list[WatchedTarget], occurrences: Occurrences) -> Evaluator:
        newest = [(name, history.slots[-1]) for name, history in self._histories.items() if history.slots]
        subscriptions = Subscriptions(self._config.alerts, targets)
        return Evaluator(self._location, targets, subscriptions, occurrences, newest)

    @staticmethod
    def _keep(
        targets: Iterable[WatchedTarget], subscriptions: Subscriptions, failing: frozenset[str] | None = None
    ) -> dict[str, int]:
        return {
            target.name: gather.keep_ms(target, subscriptions, may_burn=failing is None or target.name in failing)
            for target in targets
        }

    def _look_at_all(self, evaluator: Evaluator) -> None:
        now = self._clock()
        for name, history in self._histories.items():
            if history.slots:
                evaluator.look_at(self._facts(evaluator, name, history, now), now)

    # -- evaluating

    def _take_in(self, evaluator: Evaluator, probes: Iterable[Probe]) -> list[Row]:
        self._feed(evaluator, probes)
        return evaluator.occurrences.take_changed()

    def _feed(self, evaluator: Evaluator, probes: Iterable[Probe]) -> None:
        now = self._clock()
        profiles = {target.name: target.profile for target in self._config.targets}
        for probe in sorted(probes, key=lambda probe: probe.started_at):
            history = self._histories.get(probe.target)
            if history is not None and profiles.get(probe.target) == probe.profile:
                slot = slot_of(probe)
                history.add(slot, now)
                evaluator.observe(self._facts(evaluator, probe.target, history, now), slot, now)

    def _facts(self, evaluator: Evaluator, name: str, history: History, now: int) -> TargetFacts:
        return TargetFacts(evaluator.targets[name], history.slots, self._usual_of(evaluator, now).get(name))

    def _usual_of(self, evaluator: Evaluator, now: int) -> Mapping[str, float]:
        """The usual TTFT at this hour, read once an hour, if a rule asks for it."""
        if now // HOUR_MS != self._usual_hour and evaluator.subscriptions.wanted("degraded"):
            self._usual_hour = now // HOUR_MS
            try:
                self._usual = gather.usual_ttft(self._store, evaluator.targets, self._location, now)
            except StoreError:  # nothing is called slow for an hour
                self._usual = {}
        return self._usual

    def _look_around(self, evaluator: Evaluator, now: int, at: float) -> None:
        self._around_at = at + LOOK_AROUND_S
        facts = gather.collector_facts(
            self._store, self._config, self._location, evaluator.subscriptions, now, began_at=self._began_at
        )
        self._began_at, self._catalog_changed = None, False
        if evaluator.subscriptions.wanted(STOPPED):
            self._stops.take_over(evaluator.occurrences, gather.read_stops(self._store, now), facts)
        evaluator.look_around(facts)
        evaluator.occurrences.forget_old(now)

    # -- sending

    def _send_due(self, evaluator: Evaluator, now: int, at: float, *, final: bool) -> None:
        for name, channel in evaluator.subscriptions.channels.items():
            if name in self._dispatcher.under_way:
                continue
            items = self._items(evaluator, name, now)
            pacing = self._pacing.setdefault(name, Pacing())
            if not items:
                pacing.waits_since = None
                continue
            if final and self._is_given_up(channel):
                continue
            if at >= (pacing.retry_at if final else pacing.due_at(items, at)):
                self._dispatcher.start(channel, compose(items, self._surroundings(evaluator, name, now)))

    def _items(self, evaluator: Evaluator, channel: str, now: int) -> list[Item]:
        occurrences = evaluator.occurrences
        reminders = (
            [
                alert
                for alert in occurrences.open_alerts()
                if alert.channel == channel and self._is_reminder_due(evaluator, alert, now)
            ]
            if evaluator.subscriptions.reminds
            else []
        )
        return items_of(occurrences.pending(channel), reminders)

    def _is_reminder_due(self, evaluator: Evaluator, alert: Alert, now: int) -> bool:
        if alert.sent_at is None or alert.kind == FLAPPING:
            return False
        every_s = next(
            (
                one.rule.remind_every_s
                for one in evaluator.subscriptions.of_target(alert.target)
                if one.kind == alert.kind and alert.channel in one.channels
            ),
            None,
        )
        last_at = max(alert.sent_at, alert.reminded_at or 0)
        if every_s is None or now - last_at < every_s * 1_000:
            return False
        return not evaluator.is_silenced(alert.target, now)

    def _surroundings(self, evaluator: Evaluator, channel: str, now: int) -> Surroundings:
        hosts = Counter(target.host for target in evaluator.targets.values())
        opened = Counter(
            (alert.kind, alert.host or "")
            for alert in evaluator.occurrences.open_alerts()
            if alert.channel == channel and alert.target != EVERYTHING and alert.held != SILENCED
        )
        return Surroundings(now, hosts, opened, self._config.collector.dashboard_url)

    def _note_delivery(self, occurrences: Occurrences, delivery: Delivery, now: int, at: float) -> None:
        pacing = self._pacing.setdefault(delivery.channel, Pacing())
        if delivery.error is None:
            told = []
            for part, key in delivery.message.items:
                column = {"opening": "sent_at", "recovery": "recovery_sent_at", "reminder": "reminded_at"}[part]
                if (alert := occurrences.get(key)) is not None:
                    told.append(Item(part, alert))
                    occurrences.update(key, **{column: now})
            pacing.note_sent(told, at)
        else:
            pacing.note_failed(at, delivery.wait_s)
        error = None if delivery.error is None else f"channel {delivery.channel}: {delivery.error}"
        rows = 0 if error else len(delivery.message.events)
        self._note_run(delivery.began_at, delivery.ended_at, rows, error)

    def _note_error(self, error: str) -> None:
        now = self._clock()
        self._note_run(now, now, 0, error)

    def _note_run(self, began_at: int, ended_at: int, rows: int, error: str | None) -> None:
        began_at = max(began_at, self._last_run_at + 1)  # a run is known by the millisecond it began in
        self._last_run_at = began_at
        self._runs.append(Run(ALERTS, began_at, self._location, max(ended_at, began_at), rows, 0, error))

    def _take_runs(self) -> list[Row]:
        runs, self._runs = self._runs, []
        return runs
