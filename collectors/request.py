"""What is sent to a target, in its dialect: where to, with which headers, and which JSON.

Cheap to import: prices ask here how many tokens a probe may come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collectors.http.adaptations import Change, adapt, limit_of
from collectors.http.addresses import below, names_in_query, path_of
from collectors.http.dialects import DIALECTS
from collectors.http.dialects.base import Dialect, RequestSpec
from collectors.http.prompt import MAX_TOKENS
from settings.targets import ProbeTarget
from settings.version import VERSION

USER_AGENT = f"uptoken/{VERSION} (self-hosted model monitor)"


def dialect_of(target: ProbeTarget) -> Dialect:
    """The dialect that a target speaks."""
    return DIALECTS[target.api]


def request_url(target: ProbeTarget) -> str:
    """Where its probes go."""
    dialect = dialect_of(target)
    return _url(target, dialect, dialect.path(path_of(target.base_url), target.model, _streams(target)))


def list_url(target: ProbeTarget) -> str | None:
    """Where its server lists its models; null where it has no such list."""
    dialect = dialect_of(target)
    path = dialect.list_path(path_of(target.base_url))
    return None if path is None else _url(target, dialect, path)


def _url(target: ProbeTarget, dialect: Dialect, path: str) -> str:
    said = names_in_query(target.base_url)
    needed = dialect.query(path_of(target.base_url))
    return below(target.base_url, path, {n: v for n, v in needed.items() if n not in said} | dict(target.params))


def _streams(target: ProbeTarget) -> bool:
    return target.stream and dialect_of(target).streams


def request_body(target: ProbeTarget, profile: str, prompt: str, changes: list[Change] | None = None) -> dict[str, Any]:
    """The JSON that a probe sends, with what its server made of it (`changes`)."""
    return adapted_body(target, dialect_of(target).body(request_spec(target, profile, prompt)), changes or [])


def request_spec(target: ProbeTarget, profile: str, prompt: str) -> RequestSpec:
    """The request of a profile, before a dialect words it."""
    return RequestSpec(
        model=target.model,
        prompt=prompt,
        max_tokens=min(_output_tokens(target, profile), target.max_tokens),
        stream=_streams(target),
        provider=target.provider,
        reasoning_effort=target.reasoning_effort,
    )


def _output_tokens(target: ProbeTarget, profile: str) -> int:
    """The output limit of a profile; of workloads the largest, which is what one may cost."""
    given = [one.output_tokens for one in target.workloads] if profile == "workloads" else []
    return max(given, default=MAX_TOKENS[profile])


def adapted_body(target: ProbeTarget, body: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """A body with the target's own fields, and without those that its server refuses."""
    return adapt(_merged(body, target.extra_body), changes, target.max_tokens)


def _merged(body: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` over a body, into the objects that both have."""
    merged = dict(body)
    for name, value in more.items():
        known = merged.get(name)
        both = isinstance(known, dict) and isinstance(value, Mapping)
        merged[name] = _merged(known, value) if both and known is not None else value
    return merged


def request_headers(target: ProbeTarget) -> dict[str, str]:
    """The headers that a probe sends, the key among them."""
    kind = "text/event-stream" if _streams(target) else "application/json"
    return {"Content-Type": "application/json", "Accept": kind, "User-Agent": USER_AGENT} | own_headers(target)


def own_headers(target: ProbeTarget) -> dict[str, str]:
    """The headers that every request to a target has: its key as its dialect wants it, and its own."""
    dialect = dialect_of(target)
    headers = dict(dialect.headers)
    if target.key is not None:
        name = target.api_key_header or dialect.key_header
        headers[name] = f"Bearer {target.key}" if name.lower() == "authorization" else target.key
    return headers | dict(target.headers)


def most_output_tokens(target: ProbeTarget, profile: str, changes: list[Change] | None = None) -> int:
    """The output tokens that a probe may be billed: its limit, as its server made it; 0 without text."""
    if not dialect_of(target).makes_text:
        return 0
    limit = limit_of(request_body(target, profile, "", changes))
    return target.max_tokens if limit is None else limit
