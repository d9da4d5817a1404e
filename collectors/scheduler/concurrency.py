"""How many probes run at the same time: a location's profiles of a target take turns, and a server that works on few
requests at once gets no more of them, in all runs together. Otherwise one probe's time would be in another one's.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from collectors.prices import is_routed
from collectors.request import dialect_of, own_headers
from collectors.scheduler.lock import LockedError, hold_permit
from collectors.scheduler.shared_state import SharedState
from settings.targets import Config, ProbeTarget
from store.clock import now_ms

PROPS_TIMEOUT_S = 2.0
ASK_AGAIN_MS = 60_000
STOP_POLL_S = 0.5
NO_LIMIT = 0


class ConcurrencyLimits:
    """Permits to probe, by target and by server."""

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
    def hold(self, target: ProbeTarget, stop: threading.Event) -> Iterator[bool]:
        """Hold the target's turn and a permit of its server, waiting for both; yields false when `stop` came first."""
        with self._permit(f"target {self._shared.location} {target.name}", 1, stop) as is_first:
            if not is_first:
                yield False
                return
            limit = self.limit(target)
            if limit == NO_LIMIT:
                yield True
                return
            with self._permit(f"server {server_of(target.base_url)}", limit, stop) as is_served:
                yield is_served

    @contextmanager
    def _permit(self, name: str, count: int, stop: threading.Event) -> Iterator[bool]:
        """Hold one of `count` permits of all runs. No more threads of this run poll the file than could get one:
        hundreds would take the processor from those that probe.
        """
        with self._guard:
            queue = self._queues.setdefault((name, count), threading.Semaphore(count))
        while not queue.acquire(timeout=STOP_POLL_S):
            if stop.is_set():
                yield False
                return
        try:
            with hold_permit(self._shared.lock_path, name, count, stop) as is_held:
                yield is_held
        finally:
            queue.release()

    def limit(self, target: ProbeTarget) -> int:
        """How many probes the target's server gets at once: the smallest `max_parallel` of its targets, else what a
        llama.cpp server states. A server with one target is not asked, since its profiles take turns anyway;
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
            stated = _read_total_slots(target)
            if stated is not None:
                slots, asked_at = stated, now
            else:  # what is known stays, and a server that hangs delays its targets by one request, not each in turn
                asked_at = now - max(0, every_ms - ASK_AGAIN_MS)
            with suppress(LockedError), self._shared.exclusive():
                self._shared.server_slots[server] = (slots, asked_at)
            return slots


def server_of(base_url: str) -> str:
    """Scheme, host and port: what answers there is one server."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _read_total_slots(target: ProbeTarget) -> int | None:
    """What llama.cpp's server states in `GET /props`; `NO_LIMIT` for another server, null without a response."""
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
