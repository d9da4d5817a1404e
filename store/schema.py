"""The tables: one frozen dataclass for the rows of each, in the order in which they are exported and backed up."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import get_type_hints

# handed on, so that who asks for the tables finds them all declared
from store.table import TABLE_OF as TABLE_OF
from store.table import TABLES as TABLES
from store.table import Column as Column
from store.table import Flag, Integer, Real, TargetName, table
from store.table import Moment as Moment
from store.table import Row as Row
from store.table import Table as Table
from store.table import Text as Text

ALL_TOGETHER = "all"

LAG_LIMIT_MS = 20.0
"""Above this oversleep of the collector's own machine a sample is marked and left out of latency percentiles."""


@table(
    "probes",
    key=("target", "started_at", "location", "profile"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
    added=("first_answer_ms", "itl_p50_ms", "itl_p99_ms", "system_fingerprint", "measured_outcome"),
)
@dataclass(frozen=True, slots=True)
class Probe(Row):
    """One small request to a target, and how it ended. Definitions: data/README.md."""

    target: Text
    started_at: Moment
    location: Text
    profile: Text
    stands_for_s: Real
    outcome: Text
    http_status: Integer | None = None
    lag_ms: Real | None = None
    connect_ms: Real | None = None
    ttft_ms: Real | None = None
    total_ms: Real | None = None
    tokens_per_second: Real | None = None
    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    reasoning_tokens: Integer | None = None
    cached_tokens: Integer | None = None
    tokens_source: Text | None = None
    cost_usd: Real | None = None
    answer_ok: Flag | None = None
    provider: Text | None = None
    served_model: Text | None = None
    finish_reason: Text | None = None
    route: Text | None = None
    error: Text | None = None
    first_answer_ms: Real | None = None
    itl_p50_ms: Real | None = None
    itl_p99_ms: Real | None = None
    system_fingerprint: Text | None = None
    measured_outcome: Text | None = None  # of a probe that was excluded, which counts as paused


RELAY = "relay"
"""The relay's name in `runs`, and as a source of `usage`."""
TRAFFIC = "traffic"
"""The profile under which roll-ups count the relay's attempts: series of their own, beside those of the probes."""


@table(
    "requests",
    key=("target", "started_at", "request_id", "attempt"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
)
@dataclass(frozen=True, slots=True)
class Request(Row):
    """One attempt of one real request at one endpoint, as the relay made it. Definitions: data/README.md.

    Nothing in it is of a prompt, an answer or a key. For the roll-ups it is an observation of the profile `traffic`
    that decides no slot.
    """

    target: Text
    started_at: Moment
    request_id: Text
    attempt: Integer  # 1 for the first one of a request
    location: Text
    route: Text  # the model that the client asked for
    api: Text  # chat, completions, embeddings, messages
    streamed: Flag
    outcome: Text  # of a probe's outcomes; what its client broke off: ok after the first content, caller_error before
    served: Flag  # it is the attempt whose response the client got
    cancelled: Flag  # the client went before it was over
    model: Text | None = None  # the target's, as it was sent
    provider: Text | None = None
    app: Text | None = None  # an origin, as in https://app.example
    app_title: Text | None = None
    app_categories: Text | None = None
    key_name: Text | None = None
    connect_ms: Real | None = None
    ttft_ms: Real | None = None
    first_answer_ms: Real | None = None
    total_ms: Real | None = None
    tokens_per_second: Real | None = None
    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    reasoning_tokens: Integer | None = None
    cached_tokens: Integer | None = None
    tokens_source: Text | None = None
    cost_usd: Real | None = None
    http_status: Integer | None = None
    error: Text | None = None  # a code, never a server's own words
    finish_reason: Text | None = None
    served_model: Text | None = None
    fallback_for: TargetName | None = None  # the target that was tried before, and failed
    added_ms: Real | None = None  # the relay's own time

    @property
    def profile(self) -> str:
        """As an observation."""
        return TRAFFIC

    @property
    def stands_for_s(self) -> float:
        """As an observation: traffic decides no slot of a schedule."""
        return 0.0

    @property
    def lag_ms(self) -> float | None:
        """As an observation: the relay has no watchdog."""
        return None

    @property
    def answer_ok(self) -> bool | None:
        """As an observation: nobody knows what a right answer would be."""
        return None

    @property
    def measured_outcome(self) -> str | None:
        """As an observation: no attempt is excluded."""
        return None


@table(
    "hourly",
    key=("target", "location", "profile", "hour"),
    time="hour",
    owner="target",
    on_conflict="derived",
)
@dataclass(frozen=True, slots=True)
class Hour(Row):
    """What the probes of one series came to in an hour (UTC), as it is exported; `store.rollups` has how it is kept."""

    target: Text
    location: Text
    profile: Text
    hour: Moment
    up_s: Real
    down_s: Real
    not_counted_s: Real
    ok: Integer
    failed: Integer
    not_counted: Integer
    ttft_p50_ms: Real | None
    ttft_p75_ms: Real | None
    ttft_p90_ms: Real | None
    ttft_p95_ms: Real | None
    ttft_p99_ms: Real | None
    total_p50_ms: Real | None
    total_p75_ms: Real | None
    total_p90_ms: Real | None
    total_p95_ms: Real | None
    total_p99_ms: Real | None
    tokens_per_second_p50: Real | None
    tokens_per_second_p75: Real | None
    tokens_per_second_p90: Real | None
    tokens_per_second_p95: Real | None
    tokens_per_second_p99: Real | None
    prompt_tokens: Integer
    completion_tokens: Integer
    cost_usd: Real | None


Day = table("daily", key=("target", "location", "profile", "day"), time="day", owner="target", on_conflict="derived")(
    make_dataclass(
        "Day",
        [("day" if name == "hour" else name, hint) for name, hint in get_type_hints(Hour, include_extras=True).items()],
        bases=(Row,),
        frozen=True,
        namespace={"__doc__": "What the probes of one series came to in a day (UTC)."},
    )
)


@table(
    "incidents",
    key=("target", "location", "profile", "began_at"),
    time="began_at",
    owner="target",
    on_conflict="derived",
)
@dataclass(frozen=True, slots=True)
class Incident(Row):
    """A stretch of confirmed failures of one series, from the first one to the first success (null: still going on)."""

    target: Text
    location: Text
    profile: Text
    began_at: Moment
    ended_at: Moment | None
    cause: Text
    probes: Integer
    error: Text | None = None


@table(
    "targets",
    key=("name", "location"),
    time="updated_at",
    owner="name",
    on_conflict="replace",
    added=("api", "api_key_header", "params", "answer_check", "maintenance", "ttft_max_s", "slo"),
)
@dataclass(frozen=True, slots=True)
class Target(Row):
    """What is probed from one location, as its collector last read it from the configuration."""

    name: TargetName
    location: Text
    state: Text  # active, waiting_for_key, disabled, removed
    model: Text
    base_url: Text
    every_s: Real
    profile: Text
    updated_at: Moment
    throughput_every_s: Real | None = None
    provider: Text | None = None
    api_key_env: Text | None = None
    tags: Text | None = None
    api: Text | None = None
    api_key_header: Text | None = None
    params: Text | None = None
    answer_check: Text | None = None
    maintenance: Text | None = None
    ttft_max_s: Real | None = None
    slo: Real | None = None


@table(
    "models",
    key=("source", "model", "valid_from"),
    time="valid_from",
    owner="model",
    on_conflict="version",
    added=("expires_at",),
)
@dataclass(frozen=True, slots=True)
class Model(Row):
    """What a source says of a model, from `valid_from` until `valid_to` (null: still so). Prices are exact decimals."""

    source: TargetName  # openrouter, or the target's name for a local server
    model: Text
    valid_from: Moment
    valid_to: Moment | None = None
    name: Text | None = None
    created_at: Moment | None = None
    description: Text | None = None
    context_tokens: Integer | None = None
    max_output_tokens: Integer | None = None
    usd_per_million_input: Text | None = None
    usd_per_million_output: Text | None = None
    usd_per_request: Text | None = None
    input_modalities: Text | None = None
    output_modalities: Text | None = None
    supported_parameters: Text | None = None
    canonical_slug: Text | None = None
    more_prices: Text | None = None
    expires_at: Moment | None = None


@table(
    "endpoints", key=("source", "model", "tag", "valid_from"), time="valid_from", owner="model", on_conflict="version"
)
@dataclass(frozen=True, slots=True)
class Endpoint(Row):
    """One provider's hosting of a model, from `valid_from` until `valid_to` (null: still so)."""

    source: TargetName
    model: Text
    tag: Text  # the source's own name of the endpoint, such as "deepinfra/bf16"
    valid_from: Moment
    valid_to: Moment | None = None
    provider: Text | None = None
    quantization: Text | None = None
    context_tokens: Integer | None = None
    max_output_tokens: Integer | None = None
    max_prompt_tokens: Integer | None = None
    usd_per_million_input: Text | None = None
    usd_per_million_output: Text | None = None
    usd_per_request: Text | None = None
    supported_parameters: Text | None = None
    more_prices: Text | None = None
    zero_retention: Flag | None = None


@table("endpoint_stats", key=("model", "tag", "source", "seen_at"), time="seen_at", owner="model", on_conflict="ignore")
@dataclass(frozen=True, slots=True)
class EndpointStats(Row):
    """What a source reports of an endpoint at a moment. Uptimes are shares, 0 to 1."""

    source: Text
    model: Text
    tag: Text
    seen_at: Moment
    provider: Text | None = None
    status: Integer | None = None
    uptime_5m: Real | None = None
    uptime_30m: Real | None = None
    uptime_1d: Real | None = None
    latency_p50_ms: Real | None = None
    latency_p75_ms: Real | None = None
    latency_p90_ms: Real | None = None
    latency_p99_ms: Real | None = None
    tokens_per_second_p50: Real | None = None
    tokens_per_second_p75: Real | None = None
    tokens_per_second_p90: Real | None = None
    tokens_per_second_p99: Real | None = None


@table(
    "usage",
    key=("source", "day", "model", "variant", "app", "provider"),
    time="day",
    owner="model",
    on_conflict="replace_partition",
)
@dataclass(frozen=True, slots=True)
class Usage(Row):
    """Tokens really processed in a day (UTC), as a source tells them: by model, by app, or of an account by provider.

    Where a source does not tell them apart it is `all`: the figures are for all of them together.
    """

    source: Text  # openrouter_models, openrouter_apps (both public); openrouter_account, relay (one's own)
    day: Moment
    model: Text = ALL_TOGETHER
    variant: Text = ALL_TOGETHER
    app: Text = ALL_TOGETHER
    provider: Text = ALL_TOGETHER
    tokens: Integer | None = None
    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    reasoning_tokens: Integer | None = None
    cached_tokens: Integer | None = None
    requests: Integer | None = None
    cost_usd: Real | None = None


@table(
    "runs",
    key=("collector", "started_at", "location"),
    time="started_at",
    owner="collector",
    on_conflict="ignore",
    added=("runs", "queued"),
)
@dataclass(frozen=True, slots=True)
class Run(Row):
    """One run of a collector: the system's own health; of those older than a month, all of an hour (`runs`)."""

    collector: Text
    started_at: Moment
    location: Text
    ended_at: Moment
    rows: Integer
    skipped: Integer = 0
    error: Text | None = None
    runs: Integer | None = None  # null: one
    queued: Integer | None = None  # of the relay: the most rows that waited to be written at once

    @property
    def count(self) -> int:
        """How many runs the row stands for."""
        return 1 if self.runs is None else self.runs


@table("budgets", key=("location", "day"), time="day", owner="location", on_conflict="replace")
@dataclass(frozen=True, slots=True)
class Budget(Row):
    """What a collector may use in a UTC day, and what is used of it or set aside for probes that are under way."""

    location: Text
    day: Moment
    usd: Real
    usd_per_day: Real
    free_requests: Integer
    free_requests_per_day: Integer
    updated_at: Moment


PROBES = TABLES["probes"]
REQUESTS = TABLES["requests"]
OBSERVED = (PROBES, REQUESTS)
"""The tables that roll-ups are made from."""
HOURLY = TABLES["hourly"]
DAILY = TABLES["daily"]
INCIDENTS = TABLES["incidents"]
TARGETS = TABLES["targets"]
MODELS = TABLES["models"]
ENDPOINTS = TABLES["endpoints"]
ENDPOINT_STATS = TABLES["endpoint_stats"]
USAGE = TABLES["usage"]
RUNS = TABLES["runs"]
BUDGETS = TABLES["budgets"]

# after those above: the order of the tables is that in which they are exported
import store.alert_tables  # noqa: E402  declares its tables for every importer of this module
import store.capability_tables  # noqa: E402
import store.identity_tables  # noqa: E402
import store.workload_tables  # noqa: E402, F401
from store.target_tables import ADAPTATIONS as ADAPTATIONS  # noqa: E402
from store.target_tables import CERTIFICATES as CERTIFICATES  # noqa: E402
from store.target_tables import EXCLUSIONS as EXCLUSIONS  # noqa: E402
from store.target_tables import PAUSES as PAUSES  # noqa: E402
from store.target_tables import RATE_LIMITS as RATE_LIMITS  # noqa: E402
from store.target_tables import Adaptation as Adaptation  # noqa: E402
from store.target_tables import Certificate as Certificate  # noqa: E402
from store.target_tables import Exclusion as Exclusion  # noqa: E402
from store.target_tables import Pause as Pause  # noqa: E402
from store.target_tables import RateLimit as RateLimit  # noqa: E402
