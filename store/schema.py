"""The shape of the rows: one frozen dataclass a table, and what the files and engines need to know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, make_dataclass
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

Text = Annotated[str, "text"]
Integer = Annotated[int, "integer"]
Real = Annotated[float, "real"]
Flag = Annotated[bool, "flag"]
Moment = Annotated[int, "moment"]
"""Milliseconds since 1970-01-01T00:00:00Z; ISO 8601 with offset in every file that leaves the store."""

Kind = Literal["text", "integer", "real", "flag", "moment"]

Outcome = Literal[
    "ok",
    "timeout",
    "connection_error",
    "server_error",
    "stream_error",
    "invalid_response",
    "empty",
    "rate_limited",
    "caller_error",
    "not_found",
    "offline",
    "internal_error",
]
INTERNAL_ERROR = "internal_error"
"""Uptoken itself failed while probing: it says nothing of the target, and is shown where the collectors are."""
UP: frozenset[str] = frozenset({"ok"})
DOWN: frozenset[str] = frozenset(
    {"timeout", "connection_error", "server_error", "stream_error", "invalid_response", "empty"}
)
NOT_COUNTED: frozenset[str] = frozenset({"rate_limited", "caller_error", "not_found", "offline", INTERNAL_ERROR})
MAY_BE_BILLED: frozenset[str] = frozenset(
    {"ok", "timeout", "stream_error", "invalid_response", "empty", INTERNAL_ERROR}
)
"""Outcomes in which a model may have worked: what a row's cost does not say is reckoned at its worst."""

ALL_TOGETHER = "all"

LAG_LIMIT_MS = 20.0
"""Above this oversleep of the collector's own machine a sample is marked and left out of latency percentiles."""


@dataclass(frozen=True, slots=True)
class Row:
    """What every row of every table is: a frozen dataclass that declares its table with `table`."""


OnConflict = Literal["ignore", "replace", "replace_partition", "version", "derived"]


@dataclass(frozen=True)
class Column:
    """One column: its name, its kind, and whether it may be null."""

    name: str
    kind: Kind
    nullable: bool


@dataclass(frozen=True)
class Table:
    """A table: its rows' class, its columns in order, its primary key, and what a row does that meets another one.

    `time` is the column that a time window selects by, `owner` the one that a target's (or model's, or collector's)
    name selects by. `on_conflict`: `ignore` keeps the row that is there, `replace` replaces it, `version` closes the
    open row of the same key when something changed, and does nothing when nothing did. `replace_partition` is for what
    a source states as a whole: rows that are written replace all rows with the same first two columns. `derived` rows
    cannot be written: the store makes them from the probes. `added` columns came later: files that an older Uptoken
    exported lack them.
    """

    name: str
    row: Callable[..., Row]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    time: str
    owner: str
    on_conflict: OnConflict
    added: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def newest_first(self) -> tuple[str, ...]:
        """What rows are ordered by, descending, when the newest come first: of one moment, the last by key."""
        return (self.time, *(name for name in self.key if name != self.time))

    @property
    def is_derived(self) -> bool:
        """Whether the store makes its rows: they can be read and exported, and neither written nor imported."""
        return self.on_conflict == "derived"

    @property
    def is_dated(self) -> bool:
        """Whether a row is of the moment that its key names, and goes when that moment never was."""
        return self.time in self.key and not self.is_derived

    @property
    def help(self) -> str:
        """What a row is, in one sentence: the first one of its class's docstring."""
        return (self.row.__doc__ or "").split("\n\n")[0].replace("\n    ", " ").split(". ")[0].rstrip(".")

    def values(self, row: Row) -> tuple[Any, ...]:
        """The row as a tuple, in the columns' order."""
        values: tuple[Any, ...] = attrgetter(*self.names)(row)
        return values


def _columns(row_type: type) -> tuple[Column, ...]:
    hints = get_type_hints(row_type, include_extras=True)
    columns = []
    for item in fields(row_type):
        hint = hints[item.name]
        nullable = type(None) in getattr(hint, "__args__", ())
        inner = next(a for a in hint.__args__ if a is not type(None)) if nullable else hint
        columns.append(Column(item.name, inner.__metadata__[0], nullable))
    return tuple(columns)


TABLES: dict[str, Table] = {}
TABLE_OF: dict[type[Row], Table] = {}
Declared = TypeVar("Declared", bound=type[Row])


def table(
    name: str, *, key: tuple[str, ...], time: str, owner: str, on_conflict: OnConflict, added: tuple[str, ...] = ()
) -> Callable[[Declared], Declared]:
    """Declare the table of a row class: everything about tables derives from this, but for SQLite's migration."""

    def declare(row: Declared) -> Declared:
        TABLES[name] = TABLE_OF[row] = Table(name, row, key, _columns(row), time, owner, on_conflict, added)
        return row

    return declare


@table(
    "probes",
    key=("target", "started_at", "location", "profile"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
    added=("first_answer_ms", "itl_p50_ms", "itl_p99_ms", "system_fingerprint"),
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
    fallback_for: Text | None = None  # the target that was tried before, and failed
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
    added=("api", "api_key_header", "params", "answer_check"),
)
@dataclass(frozen=True, slots=True)
class Target(Row):
    """What is probed from one location, as its collector last read it from the configuration."""

    name: Text
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

    source: Text  # openrouter, or the target's name for a local server
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

    source: Text
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


@table(
    "endpoint_stats",
    key=("model", "tag", "source", "seen_at"),
    time="seen_at",
    owner="model",
    on_conflict="ignore",
)
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


@table(
    "budgets",
    key=("location", "day"),
    time="day",
    owner="location",
    on_conflict="replace",
)
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


@table(
    "adaptations",
    key=("target", "base_url", "model", "field"),
    time="noticed_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class Adaptation(Row):
    """A request field that a server refused, and what is sent in its place (null: nothing)."""

    target: Text
    base_url: Text
    model: Text
    field: Text
    replacement: Text | None
    noticed_at: Moment


@table(
    "rate_limits",
    key=("target", "location"),
    time="updated_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class RateLimit(Row):
    """What a server last said that a target may still send, and until when the target rests because it asked for it."""

    target: Text
    location: Text
    updated_at: Moment
    rests_until: Moment | None = None
    reason: Text | None = None
    requests_limit: Integer | None = None
    requests_remaining: Integer | None = None
    requests_reset_at: Moment | None = None
    tokens_limit: Integer | None = None
    tokens_remaining: Integer | None = None
    tokens_reset_at: Moment | None = None


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
ADAPTATIONS = TABLES["adaptations"]
RATE_LIMITS = TABLES["rate_limits"]
