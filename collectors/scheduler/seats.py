"""Who may probe at the same time: a location's profiles of a target take turns, and a server that works on few requests
at once gets no more of them, in all runs together. Otherwise one probe's time would be in another one's.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from collectors.request import dialect_of, own_headers
from collectors.scheduler.lock import LockedError, seat
from collectors.scheduler.prices import is_routed
from collectors.scheduler.shared_state import SharedState
from settings.targets import Config, ProbeTarget
from store.clock import now_ms

PROPS_TIMEOUT_S = 2.0
ASK_AGAIN_MS = 60_000
STOP_POLL_S = 0.5
NO_LIMIT = 0


class Seats:
    """The limits of all servers."""

    def __init__(self, config: Config, shared: SharedState) -> None:
        self._config = config
        self._shared = shared
        self._guard = threading.Lock()
        self._queues: dict[tuple[str, int], threading.Semaphore] = {}
        self._asking: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._targets: dict[str, list[ProbeTarget]] = defaultdict(list)
        for target in config.targets:
            self._targets[server_of(target.base_url)].append(target)

    @contextmanager
    def take(self, target: ProbeTarget, stop: threading.Event) -> Iterator[bool]:
        """Wait for the target's turn and for a place at its server; yields false when `stop` came first."""
        with self._seat(f"target {self._shared.location} {target.name}", 1, stop) as is_first:
            if not is_first:
                yield False
                return
            limit = self.limit(target)
            if limit == NO_LIMIT:
                yield True
                return
            with self._seat(f"server {server_of(target.base_url)}", limit, stop) as is_served:
                yield is_served

    @contextmanager
    def _seat(self, name: str, count: int, stop: threading.Event) -> Iterator[bool]:
        """Hold one of `count` seats of all runs. No more threads of this one than could have one ask for it: hundreds
        that poll a file would take the processor from those that probe.
        """
        with self._guard:
            queue = self._queues.setdefault((name, count), threading.Semaphore(count))
        while not queue.acquire(timeout=STOP_POLL_S):
            if stop.is_set():
                yield False
                return
        try:
            with seat(self._shared.lock_path, name, count, stop) as taken:
                yield taken
        finally:
            queue.release()

    def limit(self, target: ProbeTarget) -> int:
        """How many probes the target's server gets at once: the least `max_parallel` of its targets, else what a
        llama.cpp server says of itself. A server with one target is not asked, since its profiles take turns anyway;
        nor is one behind TLS, which may be a provider's.
        """
        server = server_of(target.base_url)
        configured = [t.max_parallel for t in self._targets[server] if t.max_parallel is not None]
        if configured:
            return min(configured)
        if len(self._targets[server]) < 2 or not server.startswith("http://") or is_routed(target, self._config):
            return NO_LIMIT
        if not dialect_of(target).may_be_llama_cpp:
            return NO_LIMIT
        with self._asking[server]:
            now, every_ms = now_ms(), round(self._config.collector.local_servers_every * 1_000)
            slots, asked_at = self._shared.server_slots.get(server, (NO_LIMIT, 0))
            if abs(now - asked_at) < every_ms:
                return slots
            said = _total_slots(target)
            if said is not None:
                slots, asked_at = said, now
            else:  # what is known stays, and a server that hangs delays its targets by one question, not each in turn
                asked_at = now - max(0, every_ms - ASK_AGAIN_MS)
            with suppress(LockedError), self._shared.exclusive():
                self._shared.server_slots[server] = (slots, asked_at)
            return slots


def server_of(base_url: str) -> str:
    """Scheme, host and port: what answers there is one server."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _total_slots(target: ProbeTarget) -> int | None:
    """What `GET /props` of llama.cpp's server says; `NO_LIMIT` for another server, null when none answered."""
    import requests

    from collectors.http.get_json import get_json

    try:
        props = get_json(f"{server_of(target.base_url)}/props", own_headers(target), PROPS_TIMEOUT_S)
    except requests.RequestException:
        return None
    except ValueError:
        return NO_LIMIT
    slots = props.get("total_slots") if isinstance(props, dict) else None
    return slots if isinstance(slots, int) and not isinstance(slots, bool) and slots > 0 else NO_LIMIT
