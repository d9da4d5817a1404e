"""Where the scheduler meets the alerting that it was handed. What goes wrong there stops no probe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from collectors.contract import Alerting, MakeAlerting
from collectors.http.redaction import root_cause, safe_error
from collectors.scheduler.console import report_bug
from collectors.scheduler.recorder import Recorder
from settings.targets import Config
from store.clock import now_ms
from store.outcomes import ALERTS
from store.schema import Row, Run

POLL_S = 0.02
STOPPED_S = 5.0
"""How long a process that is told to stop waits for channels that have not said yet whether they take a message."""
AFTER_A_BUG_S = 60.0


class AlertHook:
    """The alerting of one process; none while its configuration has no channel."""

    def __init__(self, make: MakeAlerting | None, config: Config, location: str, recorder: Recorder) -> None:
        self._make = make
        self._location = location
        self._recorder = recorder
        self._alerting: Alerting | None = None
        self._rests_until = 0.0
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Follow a changed configuration."""
        if self._alerting is not None:
            self._guard(lambda alerting: alerting.reconfigure(config))
        elif self._make is not None:
            self._alerting = self._make(config)

    def observe(self, rows: Iterable[Row]) -> None:
        """Let rows be evaluated that were just added to the recorder."""
        seen = list(rows)
        if self._alerting is not None and seen:
            self._guard(lambda alerting: self._recorder.add(alerting.observe(seen)))

    def work(self, *, final: bool = False) -> None:
        """Record what channels took and what time changed, and send what is due."""
        if self._alerting is None:
            return
        new: list[Row] = []
        self._guard(lambda alerting: new.extend(alerting.work(final=final)))
        if new:
            self._recorder.add(new)
            self._recorder.try_to_save()

    def finish(self, for_s: float, stop: threading.Event, *, final: bool) -> None:
        """Send and record until nothing is left to do, for so long at most."""
        began = time.monotonic()
        while self._alerting is not None and self._rests_until <= time.monotonic():
            self.work(final=final and not stop.is_set())
            passed_s = time.monotonic() - began
            if self._alerting.is_idle or passed_s > for_s or (stop.is_set() and passed_s > STOPPED_S):
                return
            time.sleep(POLL_S)

    def close(self) -> None:
        """Let another process go on."""
        if self._alerting is not None:
            self._alerting.close()

    def _guard(self, use: Callable[[Alerting], None]) -> None:
        """A bug in a rule is reported, and the alerting rests for a minute; probing goes on."""
        if self._alerting is None or time.monotonic() < self._rests_until:
            return
        try:
            use(self._alerting)
        except Exception as problem:  # noqa: BLE001  whatever it is
            self._rests_until = time.monotonic() + AFTER_A_BUG_S
            report_bug(ALERTS, problem)
            now = now_ms()
            error = safe_error(f"alerting failed: {root_cause(problem)}")
            self._recorder.add([Run(ALERTS, now, self._location, now, 0, 0, error)])
