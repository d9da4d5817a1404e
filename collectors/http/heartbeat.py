"""Tells a dead man's switch at each tick that the collector lives, from a thread of its own: no probe waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from collectors.http.redaction import root_cause, safe_error
from settings.heartbeat import HeartbeatSettings

TIMEOUT_S = 3.0
"""For the connection, and for the response."""
LAST_S = 6.0
"""How long a run waits for its last heartbeat before it exits."""


class Heartbeat:
    """Sends the newest heartbeat. While one is under way the next ones become one, a failure if one of them is."""

    def __init__(self, settings: HeartbeatSettings | None, say: Callable[[str], None]) -> None:
        """`say` gets a sentence when a heartbeat cannot be sent, and when one can be again."""
        self.settings = settings
        self.has_failed = False
        """Something failed since the last heartbeat: the next one is a failure."""
        self._say = say
        self._ready = threading.Condition()
        self._pending: bool | None = None
        self._is_closed = False
        self._problem: str | None = None
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """Send a heartbeat soon, a failed one when something failed since the last; never waits."""
        failed, self.has_failed = self.has_failed, False
        if self.settings is None:
            return
        with self._ready:
            self._pending = failed or bool(self._pending)
            self._ready.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the system has no thread left: the next tick tries again
                self._thread = None

    def close(self) -> None:
        """Give the last one a moment to leave."""
        with self._ready:
            self._is_closed = True
            self._ready.notify_all()
        if self._thread is not None:
            self._thread.join(LAST_S)

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._pending is not None or self._is_closed)
                if self._pending is None:
                    return
                failed, self._pending, settings = self._pending, None, self.settings
            if settings is not None:
                self._note(_problem_of_sending(settings, failed=failed))

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            self._say(f"heartbeat: {problem}; the next tick tries again" if problem else "heartbeat: sent again")
        self._problem = problem


def _problem_of_sending(settings: HeartbeatSettings, *, failed: bool) -> str | None:
    from collectors.http.connection import session_for

    url = settings.fail_url if failed else settings.url
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    try:
        with (
            session_for(url) as session,
            session.request(
                settings.method, url, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
            ) as response,
        ):
            return None if response.status_code < 300 else f"the receiver returned HTTP {response.status_code}"
    except Exception as problem:  # noqa: BLE001  whatever it is, probing goes on
        return f"it could not be sent: {safe_error(root_cause(problem))}"
