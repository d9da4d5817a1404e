"""The relay's own numbers for Prometheus, with OpenTelemetry's GenAI names where they exist."""

from __future__ import annotations

from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""OpenTelemetry's buckets for durations of GenAI clients."""
PER_TOKEN_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
ADDED_S = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class RecorderState(Protocol):
    """What the recorder says of itself."""

    @property
    def queued(self) -> int:
        """Rows that wait to be written."""

    @property
    def dropped(self) -> int:
        """Rows that a full queue lost."""

    @property
    def written(self) -> int:
        """Rows in the store."""


class Metrics:
    """One process's numbers. No label comes from a request but its model, where the relay has a route of that name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        by_target = ("gen_ai_request_model", "gen_ai_provider_name")

        def histogram(name: str, help_text: str, buckets: tuple[float, ...], labels: tuple[str, ...]) -> Histogram:
            return Histogram(name, help_text, labels, buckets=buckets, registry=self.registry)

        self._duration = histogram(
            "gen_ai_client_operation_duration_seconds",
            "From the request's sending to its response's end, by attempt.",
            SECONDS,
            (*by_target, "error_type"),
        )
        self._first_chunk = histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "From the client's request to its first content.",
            SECONDS,
            by_target,
        )
        self._first_token = histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request's sending to the model server's first token.",
            SECONDS,
            by_target,
        )
        self._per_token = histogram(
            "gen_ai_server_time_per_output_token_seconds", "Per token after the first.", PER_TOKEN_S, by_target
        )
        self._added = histogram(
            "uptoken_relay_added_seconds", "What the relay itself adds to a request's first content.", ADDED_S, ()
        )
        self._attempts = self._counter("uptoken_relay_attempts", "Tries at an endpoint.", ("target", "outcome"))
        self._requests = self._counter("uptoken_relay_requests", "Requests of clients.", ("status",))
        self._fallbacks = self._counter("uptoken_relay_fallbacks", "Requests that a later endpoint served.", ())
        self.in_flight = Gauge("uptoken_relay_in_flight", "Requests under way.", registry=self.registry)
        self._children: dict[tuple[Any, ...], Any] = {}

    def _counter(self, name: str, help_text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def watch_recorder(self, recorder: RecorderState) -> None:
        """Show what the recorder holds, wrote and lost."""
        for name, help_text in (
            ("queued", "Rows that wait to be written."),
            ("dropped", "Rows that a full queue or a broken store lost."),
            ("written", "Rows in the store."),
        ):
            gauge = Gauge(f"uptoken_relay_rows_{name}", help_text, registry=self.registry)
            gauge.set_function(lambda name=name: getattr(recorder, name))  # type: ignore[misc]

    def note_request(self, status: int, *, fell_back: bool = False) -> None:
        """A client's request ended with this status; 499 where the client went first."""
        self._child(self._requests, str(status)).inc()
        if fell_back:
            self._fallbacks.inc()

    def note_attempt(
        self,
        model: str,
        target: str,
        outcome: str,
        *,
        total_s: float | None,
        ttft_s: float | None,
        per_token_s: float | None,
    ) -> None:
        """An attempt ended."""
        self._child(self._attempts, target, outcome).inc()
        if total_s is not None:
            error = "" if outcome == "ok" else outcome
            self._child(self._duration, model, target, error).observe(total_s)
        if ttft_s is not None:
            self._child(self._first_token, model, target).observe(ttft_s)
        if per_token_s is not None:
            self._child(self._per_token, model, target).observe(per_token_s)

    def note_first_content(self, model: str, target: str, first_chunk_s: float, added_s: float) -> None:
        """A client got its first content."""
        self._child(self._first_chunk, model, target).observe(first_chunk_s)
        self._added.observe(added_s)

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
