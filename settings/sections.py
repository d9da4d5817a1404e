"""The sections of `targets.toml`, with their defaults and limits."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator

from settings.alerts import AlertSection, ChannelSection
from settings.base import PrintableName, Section
from settings.durations import seconds
from settings.maintenance import MaintenanceSection
from settings.relay import RelaySection, RouteSection
from settings.request_settings import checked_body, checked_headers, checked_key_header, checked_params
from settings.secrecy import looks_secret
from settings.workloads import WorkloadSection

FREE_EVERY_S = 1_800.0


"""Free models allow 50 requests a day in all, so they are asked less often unless the file says otherwise."""


THROUGHPUT_EVERY_S = 3_600.0


IDENTITY_EVERY_S = 3_600.0


"""How often a free local server is checked for still serving the same model, unless its target says otherwise."""


CAPABILITIES_EVERY_S, CONTEXT_EVERY_S = 86_400.0, 7 * 86_400.0


"""How often it is tested for what it claims to do, and for the size of its context, where the file does not say."""


LARGEST_LIMIT = 1_024


"""The most output tokens that a probe asks for where a server wants more than the profile does, unless its target says
otherwise.
"""


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=1, le=7 * 86_400)]


Timeout = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=600)]


Parallel = Annotated[int, Field(ge=1, le=256)]


Requests = Annotated[int, Field(ge=0, le=10**9)]


OutputTokens = Annotated[int, Field(ge=1, le=1_000_000)]


Api = Literal["chat", "responses", "anthropic", "gemini", "azure", "embeddings"]


Check = Literal["sum", "echo", "off"]


Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


def _off_or_seconds(value: Any) -> Any:
    return None if value == "off" else seconds(value)


def _daily_or_seconds(value: Any) -> Any:
    return (CAPABILITIES_EVERY_S if value else None) if isinstance(value, bool) else _off_or_seconds(value)


Sometimes = Annotated[Annotated[float, Field(ge=1, le=7 * 86_400)] | None, BeforeValidator(_off_or_seconds)]


Daily = Annotated[Annotated[float, Field(ge=60, le=7 * 86_400)] | None, BeforeValidator(_daily_or_seconds)]


NAMES_A_KEY = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)


_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class CollectorSection(Section):
    """`[collector]`: what holds for every target."""

    every: Duration = 60.0
    timeout: Timeout = 30.0
    confirm_after: Timeout = 10.0
    throughput_every: Sometimes = THROUGHPUT_EVERY_S
    usd_per_day: Usd = Decimal("0.25")
    free_requests_per_day: Requests = 48
    local_servers_every: Duration = 3_600.0
    catalog_every: Duration = 21_600.0
    endpoint_stats_every: Duration = 600.0
    usage_every: Duration = 43_200.0
    retention_days: Annotated[int, Field(ge=2, le=36_500)] = 400
    max_parallel: Parallel | None = None
    dashboard_url: str | None = None
    heartbeat_url: Annotated[str, Field(min_length=1)] | None = None
    heartbeat_url_env: Annotated[str, Field(pattern=_VARIABLE)] | None = None
    heartbeat_url_file: Annotated[str, Field(min_length=1)] | None = None
    heartbeat_token_env: Annotated[str, Field(pattern=_VARIABLE)] | None = None

    @field_validator("dashboard_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)


class OpenRouterSection(Section):
    """`[openrouter]`: where the router is."""

    base_url: str = "https://openrouter.ai/api/v1"
    watch: tuple[str, ...] = ()
    management_key_env: Annotated[str, Field(pattern=_VARIABLE)] = "OPENROUTER_MANAGEMENT_KEY"

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class TargetSection(Section):
    """`[[target]]`: one thing that is probed."""

    name: PrintableName = Field(min_length=1, max_length=200)
    model: str = Field(min_length=1, max_length=300)
    base_url: str
    every: Duration | None = None
    timeout: Timeout | None = None
    profile: Literal["ping", "throughput"] = "ping"
    throughput_every: Sometimes = None
    api_key_env: str | None = Field(None, pattern=_VARIABLE)
    api_key_file: str | None = Field(None, min_length=1)
    provider: str | None = Field(None, min_length=1)
    requests_per_day: Requests | None = None
    max_parallel: Parallel | None = None
    usd_per_million_input: Usd | None = None
    usd_per_million_output: Usd | None = None
    usd_per_million_cached: Usd | None = None
    usd_per_request: Usd | None = None
    headers: Annotated[dict[str, str], AfterValidator(checked_headers)] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    enabled: bool = True
    api: Api = "chat"
    api_key_header: Annotated[Annotated[str, Field(min_length=1)] | None, AfterValidator(checked_key_header)] = None
    params: Annotated[dict[str, str], AfterValidator(checked_params)] = Field(default_factory=dict)
    extra_body: Annotated[dict[str, Any], AfterValidator(checked_body)] = Field(default_factory=dict)
    stream: bool = True
    max_tokens: OutputTokens = LARGEST_LIMIT
    reasoning_effort: str | None = None
    check: Check = "sum"
    ttft_max: Timeout | None = None
    slo: Annotated[float, Field(ge=50, lt=100)] | None = None
    identity: Sometimes = None
    capabilities: Daily = None
    capabilities_context: Sometimes = None

    @field_validator("reasoning_effort")
    @classmethod
    def _is_word(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[a-z]{1,20}", value):
            raise ValueError(f"{value!r:.80}: write one word, such as low")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


class File(Section):
    """The file, as it is written."""

    collector: CollectorSection = CollectorSection()
    openrouter: OpenRouterSection = OpenRouterSection()
    target: tuple[TargetSection, ...] = ()
    relay: RelaySection | None = None
    route: tuple[RouteSection, ...] = ()
    maintenance: tuple[MaintenanceSection, ...] = ()
    workload: tuple[WorkloadSection, ...] = ()
    channel: tuple[ChannelSection, ...] = ()
    alert: tuple[AlertSection, ...] = ()


def _model_of(annotation: Any) -> type[BaseModel]:
    """The section's model, of which there is one, one or none, or several."""
    return annotation if isinstance(annotation, type) else get_args(annotation)[0]


SECTIONS = {name: _model_of(field.annotation) for name, field in File.model_fields.items()}
"""By its heading, the model of each section."""
SEVERAL = frozenset(name for name, field in File.model_fields.items() if get_origin(field.annotation) is tuple)
"""The sections that there may be several of: `[[name]]`."""


def checked_variable(value: str) -> str:
    """The name of an environment variable. Raises ValueError for what is none, or may be the key itself."""
    if not re.fullmatch(_VARIABLE, value) or looks_secret(value):
        raise ValueError(
            "this must be the name of the environment variable that holds the key, such as ACME_API_KEY, not the key "
            "itself, which is never written down: export ACME_API_KEY=… and give that name. A key that was typed here "
            "may be in your shell's history: consider replacing it"
        )
    return value


def checked_url(value: str) -> str:
    """A base URL without a trailing slash. Raises ValueError for what is none, or has a key or an ending in it."""
    try:
        parts = urlsplit(value)
    except ValueError:  # whose message has the login in it
        raise ValueError("this is not a base URL; write it as https://host/v1") from None
    try:
        _ = parts.port
    except ValueError:  # its words could have a part of a key
        raise ValueError(
            "its port is not a number up to 65535; write it as https://host/v1 or https://host:8443/v1"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a key does not belong in the URL; name the variable that holds it with api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = "this" if looks_secret(value) else repr(value)
        raise ValueError(f"{shown} is not a base URL; write it as https://host/v1")
    if parts.fragment:
        raise ValueError("remove the part that begins with #: it is never sent to a server")
    for name, given in parse_qsl(parts.query, keep_blank_values=True):
        if NAMES_A_KEY.search(name) or looks_secret(given):
            raise ValueError(f"remove {name!r} from the query: a key belongs in api_key_env")
    if ending := re.search(r"/(?:chat/completions|responses|messages|embeddings|models/[^/]+:\w+)/?$", parts.path):
        where = ending.group().rstrip("/")
        raise ValueError(f"remove {where}: the base URL ends before it, as in https://host/v1")
    return value.rstrip("/")
