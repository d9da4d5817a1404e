"""What an error is about, and the outcome that follows: the same wherever and in whichever words it is written.

A specific code in the body outranks the HTTP status. The status outranks the message, which decides only what its
status leaves open: a 429 can be about the caller's rate, the provider's capacity or a router's broken deployments, and
a 400 about a model that is not there. The tables, with where each wording was reported: docs/outcomes.md.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Literal

from collectors.http.errors import ReportedError

Kind = Literal["rate", "quota", "credit", "key", "request", "gone", "capacity", "no_deployment", "timeout", "other"]

OUTCOMES: dict[Kind, str] = {
    "rate": "rate_limited",
    "quota": "rate_limited",
    "credit": "caller_error",
    "key": "caller_error",
    "request": "caller_error",
    "gone": "not_found",
    "capacity": "server_error",
    "no_deployment": "server_error",
    "timeout": "timeout",
    "other": "server_error",
}
"""The outcome of a response that is not a 2xx. Inside a 2xx, what would count as down is `stream_error`."""

DOWN_OUTCOMES = ("server_error", "timeout")

CODES: dict[Kind, tuple[str, ...]] = {
    "rate": (
        "rate_limit_exceeded",
        "request_quota_exceeded",
        "token_quota_exceeded",
        "requests_limit_exceeded",
        "request_limit_exceeded",
        "rate_limit_reached",
        "rate_limit_reached_error",
        "rpm_rate_limit_exceeded",
        "tpm_rate_limit_exceeded",
        "throttling_rate_quota",
        "throttling_burst_rate",
        "throttling_allocation_quota",
    ),
    "quota": (
        "insufficient_quota",
        "insufficient_user_quota",
        "exceeded_current_quota_error",
        "budget_exceeded",
        "allocation_quota_free_tier_only",
        "token_quota_reached",
        "service_quota_exceeded_exception",
    ),
    "credit": (
        "insufficient_credits",
        "insufficient_balance",
        "insufficient_balance_error",
        "arrearage",
        "account_overdue_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "payment_required",
    ),
    "key": ("invalid_api_key", "api_key_invalid", "authentication_error", "unauthenticated", "account_deactivated"),
    "request": (
        "context_length_exceeded",
        "exceed_context_size_error",
        "unsupported_parameter",
        "unsupported_value",
        "request_too_large",
    ),
    "gone": (
        "model_not_found",
        "model_not_exist",
        "model_decommissioned",
        "model_not_supported",
        "no_such_model",
        "unknown_model",
        "model_not_open",
        "invalid_endpoint_or_model_not_found",
    ),
    "capacity": (
        "overloaded",
        "overloaded_error",
        "engine_overloaded",
        "engine_overloaded_error",
        "server_overloaded",
        "server_is_overloaded",
        "model_overloaded",
        "capacity_exceeded",
        "service_tier_capacity_exceeded",
        "model_capacity_exhausted",
        "no_capacity",
        "queue_exceeded",
    ),
    "no_deployment": ("all_deployments_in_cooldown",),
}
"""Specific codes. Case, `_`, `-` and blanks in them do not matter: `RateLimitExceeded` is `rate_limit_exceeded`."""

STATUS_WORDS: dict[str, int] = {
    "rate_limit_error": 429,
    "rate_limited": 429,
    "resource_exhausted": 429,
    "throttling_error": 429,
    "throttling": 429,
    "throttling_exception": 429,
    "too_many_requests": 429,
    "too_many_requests_error": 429,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "service_unavailable_exception": 503,
    "permission_error": 403,
    "access_denied_exception": 403,
    "permission_denied": 403,
    "not_found": 404,
    "not_found_error": 404,
    "resource_not_found_exception": 404,
    "bad_request_error": 400,
    "invalid_argument": 400,
    "validation_exception": 400,
    "invalid_request_error": 400,
}
"""Words that say no more than an HTTP status does."""

SPECIFIC_STATUSES = frozenset({401, 402, 403, 404, 410, 413, 429, 502, 503, 504, 529})
"""Statuses in a body that say more than the response's own: not 400, 422 and 500, which are said of everything."""

KIND_OF_STATUS: dict[int, Kind] = {
    401: "key",
    402: "credit",
    403: "key",
    404: "gone",
    408: "timeout",
    410: "gone",
    429: "rate",
}
"""Any other 4xx is about the request, and a 5xx says nothing but that the server failed."""

_NAME = r"""(?:["'`][^"'`]{1,200}["'`]|\S{1,200})"""
_MESSAGES: tuple[tuple[Kind, str], ...] = (
    ("no_deployment", r"no deployments available for selected model, try again(?!.*cooldown_list=\[\])"),
    ("no_deployment", r"all deployments\b.{0,60}\bin cooldown|no healthy (?:deployments?|upstream)"),
    (
        "gone",
        rf"\bmodel[:=,]? ?(?:{_NAME},? )?(?:was |is |could |does |has |been )*"
        r"(?:not found|not be found|not exist|doesn't exist|decommissioned)",
    ),
    ("gone", r"invalid model name passed|not a valid model id|\b(?:no such|unknown) model\b"),
    (
        "capacity",
        r"\boverloaded\b|\b(?:at|no|out of|insufficient) capacity\b|\bcapacity (?:temporarily )?(?:exceeded|exhausted)",
    ),
    ("capacity", r"\bDEGRADED function\b|访问量过大|负载已饱和"),
    ("capacity", r"\b(?:high|peak) (?:demand|traffic|load)\b|\b(?:server|service|system) is (?:too )?busy"),
    (
        "credit",
        r"insufficient (?:account )?(?:balance|credits?|funds)|no credits?\b|credit balance is too low|余额不足|欠费",
    ),
    ("quota", r"exceeded your (?:current )?quota|quota (?:was |has been |is )?exceeded|budget has been exceeded"),
    (
        "rate",
        r"\brate.?limit|too many (?:requests|tokens)|(?:requests|tokens) per (?:second|minute|hour|day)"
        r"|并发数过高|频率过高",
    ),
    ("key", r"(?:invalid|incorrect|wrong|missing) (?:api )?key|api key (?:not valid|is invalid|not found)"),
)
MESSAGES = tuple((kind, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for kind, pattern in _MESSAGES)
"""The first that matches and that the status leaves open."""

LEFT_OPEN: dict[int | None, frozenset[Kind]] = {
    None: frozenset(kind for kind, _ in MESSAGES),
    400: frozenset({"no_deployment", "gone", "capacity"}),
    403: frozenset({"gone"}),
    422: frozenset({"gone"}),
    429: frozenset({"no_deployment", "capacity", "credit"}),
}
"""What the message may decide, by status; null is an error inside a 2xx that says no status."""


def outcome_of(error: ReportedError, http_status: int) -> str:
    """The outcome of an error in a response with this HTTP status."""
    inside = HTTPStatus.OK <= http_status < HTTPStatus.MULTIPLE_CHOICES
    outcome = OUTCOMES[kind_of(error, None if inside else http_status)]
    return "stream_error" if inside and outcome in DOWN_OUTCOMES else outcome


def kind_of(error: ReportedError, http_status: int | None) -> Kind:
    """What an error is about; `http_status` is null for one inside a 2xx."""
    codes = [_plain(code) for code in error.codes]
    for code in codes:
        if code in _KIND_OF_CODE:
            return _KIND_OF_CODE[code]
    words = [_STATUS_OF_WORD[code] for code in codes if code in _STATUS_OF_WORD]
    written = [status for status in (error.status, *words) if status in SPECIFIC_STATUSES]
    status = written[0] if written else http_status or error.status
    for kind, pattern in MESSAGES:
        if kind in LEFT_OPEN.get(status, frozenset()) and pattern.search(error.message):
            return kind
    status = status or next(iter(words), None)
    if status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "other"
    return KIND_OF_STATUS.get(status, "request")


def _plain(code: str) -> str:
    return re.sub(r"[\W_]", "", code).lower()


_KIND_OF_CODE: dict[str, Kind] = {_plain(code): kind for kind, codes in CODES.items() for code in codes}
_STATUS_OF_WORD = {_plain(word): status for word, status in STATUS_WORDS.items()}
