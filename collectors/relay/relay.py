"""What one relay is made of, and who may serve a request: routes, targets, what is known of them, and their health."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from collectors.prices import is_routed
from collectors.relay.call import Call
from collectors.relay.generations import Generations
from collectors.relay.health import Health, SeenPerformance
from collectors.relay.keys import DAY_MS, Hosts, Keys, Spending
from collectors.relay.knowledge import LEARNED_EVERY_S, Knowledge, knowledge_of, learn
from collectors.relay.metrics import Metrics
from collectors.relay.problems import ProblemError, report_failure
from collectors.relay.recorder import Recorder
from collectors.relay.upstream import Connections, Upstream, upstream_of
from collectors.scheduler.config_watch import ConfigWatch, InvalidConfig
from routing.provider_preferences import Preferences, read_preferences
from routing.relay_selection import EndpointState, rank
from routing.selection import EndpointPerformance
from settings.relay import RelaySettings, Route
from settings.targets import Config, ProbeTarget
from store import Selection, Store, StoreError
from store.clock import now_ms
from store.schema import REQUESTS, Model, Request

LOOKED_EVERY_S = 1.0
STATES_KEPT_S = 1.0
"""How long what is known of an endpoint's performance serves the ranking."""


@dataclass(frozen=True)
class Limits:
    """The times that a route allows, in seconds."""

    connect_s: float
    first_token_s: float
    idle_s: float
    total_s: float


@dataclass(frozen=True)
class Candidate:
    """An endpoint that may serve a request, in its route's terms."""

    upstream: Upstream
    route: str
    limits: Limits
    is_routed: bool
    """It is behind OpenRouter, which understands what a client says to a router."""

    @property
    def provider(self) -> str:
        """What a client is told of who served, where the response itself does not say."""
        return self.upstream.target.provider or self.upstream.name


class Relay:
    """Everything that requests share. Used in one event loop; the recorder and `learn` have threads of their own."""

    def __init__(
        self,
        config: Config,
        location: str,
        recorder: Recorder | None,
        open_store: Callable[[], Store] | None = None,
        allowed_hosts: tuple[str, ...] = (),
        watch: ConfigWatch | None = None,
        refusal: Callable[[Config], str | None] = lambda _config: None,
    ) -> None:
        """`watch`: whether the configuration was changed since; without it nobody looks. `refusal`: why a changed one
        cannot be served by; null when it can.
        """
        self.location = location
        self.recorder = recorder
        self.spending = Spending()
        self.hosts = Hosts(allowed_hosts)
        self.metrics = Metrics()
        if recorder is not None:
            self.metrics.watch_recorder(recorder)
        self.generations = Generations()
        self.health = Health((), now_ms)
        self.refuses_usage: set[str] = set()
        """Targets whose servers do not take the field that asks for a stream's usage."""
        self.connections: Connections
        self._open_store = open_store
        self._watch = watch
        self._refusal = refusal
        self._periodic: list[asyncio.Task[None]] = []
        # a draw among endpoints is no secret
        self._random = random.Random()  # nosec B311
        self._finishing: set[asyncio.Task[None]] = set()
        self._states: dict[str, tuple[float, EndpointState]] = {}
        self.take(config)

    def take(self, config: Config) -> None:
        """Serve by this configuration from now on. Requests that are under way end as they began."""
        settings = config.relay or RelaySettings()
        self.config = config
        self.keys = Keys(settings.keys)
        self.spending.usd_per_day = settings.usd_per_day
        self.knowledge: Knowledge = knowledge_of(config)
        self.upstreams = {target.name: upstream_of(target) for target in config.targets if not target.waits_for_key}
        self._routes = {route.model: route for route in config.routes}
        self._states.clear()

    async def open(self) -> None:
        """Begin: inside the event loop, before the first request."""
        self.connections = Connections()
        if self._open_store is not None:
            await self._learn_once()
            self._periodic.append(asyncio.create_task(self._keep_learning()))
        if self._watch is not None:
            self._periodic.append(asyncio.create_task(self._follow_configuration(self._watch)))

    async def close(self) -> None:
        """End, when no request is under way any more. Waits until the last rows are written."""
        for task in self._periodic:
            task.cancel()
        await self.connections.close()
        if self.recorder is not None:
            await asyncio.to_thread(self.recorder.close, 5.0)

    def finish_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what no client has to wait for."""
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    async def _keep_learning(self) -> None:
        while True:
            await asyncio.sleep(LEARNED_EVERY_S)
            await self._learn_once()

    async def _follow_configuration(self, watch: ConfigWatch) -> None:
        """Take over what is changed. A wrong file is said once, and the configuration from before stays in force."""
        while True:
            await asyncio.sleep(LOOKED_EVERY_S)
            found = await asyncio.to_thread(watch.look)
            if found is None:
                continue
            why = (found.error if found.is_news else None) if isinstance(found, InvalidConfig) else self._refusal(found)
            if why is not None:
                print(f"{why}\nthe relay keeps the configuration from before", file=sys.stderr, flush=True)
            elif isinstance(found, Config):
                self.take(found)
                print(f"{found.path} was changed: the relay serves by it now", flush=True)
                if self._open_store is not None:
                    await self._learn_once()
            if isinstance(found, Config):
                watch.confirm(found)

    async def _learn_once(self) -> None:
        """A store that cannot be read leaves everything as it is. In a thread of its own: one that hangs keeps only
        itself waiting.
        """
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                self._read_store()
            except (StoreError, OSError):
                pass
            except Exception as problem:  # noqa: BLE001  its words are not ours
                report_failure(problem)
            finally:
                with suppress(RuntimeError):  # the loop has ended meanwhile
                    loop.call_soon_threadsafe(done.set)

        threading.Thread(target=read, name="relay-learn", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 5.0)

    def _read_store(self) -> None:
        assert self._open_store is not None
        store = self._open_store()
        try:
            self.knowledge = learn(store, self.config)
            if not self._spent_is_known:
                self._read_spending(store)
        finally:
            store.close()

    _spent_is_known = False

    def _read_spending(self, store: Store) -> None:
        """What was spent today before this process began."""
        now = now_ms()
        since = Selection(since=now // DAY_MS * DAY_MS, until=now)
        for key_name, usd, at in store.read(REQUESTS, since, columns=("key_name", "cost_usd", "started_at")):
            self.spending.note(key_name, usd, at)
        self._spent_is_known = True

    @property
    def names(self) -> list[str]:
        """What clients can ask for: routes first, then targets."""
        return [*self._routes, *(name for name in self.upstreams if name not in self._routes)]

    def note(self, row: Request, upstream_id: str | None) -> None:
        """An attempt has ended."""
        self.generations.note(row, upstream_id)
        self.spending.note(row.key_name, row.cost_usd, row.started_at)
        if self.recorder is not None:
            self.recorder.record(row)

    def endpoints_of(self, name: str) -> list[Candidate]:
        """The endpoints behind a name that a client may ask for, in the order of the configuration."""
        route = self._routes.get(name)
        if route is None:
            upstream = self.upstreams.get(name)
            if upstream is None:
                return []
            route = _route_of(upstream.target)
        limits = Limits(
            route.connect_timeout_s, route.first_token_timeout_s, route.idle_timeout_s, route.total_timeout_s
        )
        ways = [self.upstreams[target.name] for target in route.targets if target.name in self.upstreams]
        return [Candidate(way, route.model, limits, is_routed(way.target, self.config)) for way in ways]

    def candidates(self, call: Call) -> list[Candidate]:
        """Who may serve a request, in the order in which they are tried. Raises ProblemError where nobody may."""
        preferences = read_preferences(call.body)
        found: dict[str, Candidate] = {}
        reasons: list[str] = []
        is_known = False
        for name in preferences.models:
            named = self.endpoints_of(name)
            is_known = is_known or bool(named)
            fitting = [one for one in named if one.upstream.takes(call.api) and not self._cannot_stream(one, call)]
            reasons += [f"{one.upstream.name} does not take {call.api} requests" for one in named if one not in fitting]
            ranked, rejected = self._ranked(fitting, preferences, name)
            reasons += rejected
            for one in ranked:
                found.setdefault(one.upstream.name, one)
        if not is_known:
            raise ProblemError(404, "The relay has no such model: GET /v1/models lists them.")
        if not found:
            said = "; ".join(dict.fromkeys(reasons)) or "none has a key"
            raise ProblemError(404, f"No endpoint of this model can take the request: {said}.")
        return self._rested(list(found.values()))

    def _cannot_stream(self, candidate: Candidate, call: Call) -> bool:
        changes = self.knowledge.changes.get(candidate.upstream.name, [])
        never_streams = not candidate.upstream.target.stream or ("stream", "false") in changes
        return call.streamed and never_streams

    def _ranked(
        self, candidates: list[Candidate], preferences: Preferences, name: str
    ) -> tuple[list[Candidate], list[str]]:
        by_name = {one.upstream.name: one for one in candidates}
        route = self._routes.get(name)
        strategy = route.strategy if route is not None else "order"
        states = [self._state(one) for one in candidates]
        if route is None or not route.trusts_tests:
            states = [replace(state, lacks=frozenset()) if state.lacks else state for state in states]
        ranking = rank(states, preferences.needs, strategy, now_ms(), self._random)
        rejected = [f"{one.target}: {', '.join(one.reasons)}" for one in ranking.rejected]
        return [by_name[target] for target in ranking.order], rejected

    def _state(self, candidate: Candidate) -> EndpointState:
        name, now_s = candidate.upstream.name, time.monotonic()
        known = self._states.get(name)
        if known is None or now_s - known[0] > STATES_KEPT_S:
            known = self._states[name] = (now_s, self._fresh_state(candidate))
        resting, is_ejected = self.health.resting_until(name), self.health.is_ejected(name)
        state = known[1]
        if (resting, is_ejected) == (state.resting_until, state.is_ejected):
            return state
        return replace(state, resting_until=resting, is_ejected=is_ejected)

    def _fresh_state(self, candidate: Candidate) -> EndpointState:
        name, target = candidate.upstream.name, candidate.upstream.target
        model, endpoint = self.knowledge.models.get(name), self.knowledge.endpoints.get(name)
        context = (endpoint and endpoint.context_tokens) or (model.context_tokens if model is not None else None)
        return EndpointState(
            target=name,
            provider=target.provider or (endpoint.provider if endpoint else None) or name,
            endpoint=endpoint,
            price=self.knowledge.prices.get(name),
            context_tokens=context,
            performance=_merged(self.knowledge.performance.get(name), self.health.performance(name)),
            resting_until=None,
            is_ejected=False,
            cached_share=self.knowledge.cached_shares.get(name, 0.0),
            input_modalities=_modalities(model),
            lacks=self.knowledge.lacks.get(name, frozenset()),
        )

    def _rested(self, candidates: list[Candidate]) -> list[Candidate]:
        """Without those that asked for a rest, those of which too much fails behind the others; where all rest, the one
        that returns soonest.
        """
        awake = [one for one in candidates if self.health.resting_until(one.upstream.name) is None]
        if not awake:
            return [min(candidates, key=lambda one: self.health.returns_at(one.upstream.name))]
        sound = [one for one in awake if not self.health.is_ejected(one.upstream.name)]
        return sound + [one for one in awake if one not in sound]


def _modalities(model: Model | None) -> tuple[str, ...] | None:
    listed = None if model is None else model.input_modalities
    return tuple(word.strip() for word in listed.split(",")) if listed else None


def _merged(probed: EndpointPerformance | None, seen: SeenPerformance) -> EndpointPerformance:
    """Probes and traffic: of each figure the traffic's, where enough of it passed."""
    if probed is None:
        return EndpointPerformance(seen.success, seen.ttft_ms, seen.tokens_per_second, seen.had_outage)
    return EndpointPerformance(
        probed.success if seen.success is None else seen.success,
        probed.ttft_ms if seen.ttft_ms is None else seen.ttft_ms,
        probed.tokens_per_second if seen.tokens_per_second is None else seen.tokens_per_second,
        probed.had_outage or seen.had_outage,
    )


def _route_of(target: ProbeTarget) -> Route:
    """What a target's own name stands for."""
    return Route(target.name, (target,), "order")
