"""How long servers ask to be left alone, as public reports quote them. Each row: what came, the wait, who reported it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.http.errors import ReportedError, read_error_body
from collectors.http.rate_limits import Allowance, RateLimits, read_limits, wait_ms
from collectors.http.waits import LONGEST_BELIEVED_MS, moment, wait_in_words

AT = 1_795_640_400_000  # 2026-11-25 21:00:00 UTC

HEADERS: list[tuple[dict[str, str], int | None, str]] = [
    ({"Retry-After": "30"}, 30_000, "RFC 9110, 10.2.3"),
    ({"Retry-After": "3600"}, 3_600_000, "dhkts1/teamclaude-rs#179"),
    ({"retry-after": "0.25"}, 250, "decimals: openai-python accepts them"),
    ({"Retry-After": "Wed, 25 Nov 2026 21:02:00 GMT"}, 120_000, "RFC 9110, 10.2.3"),
    # the server's clock is an hour ahead: what it says is two minutes after its own Date
    (
        {"Retry-After": "Wed, 25 Nov 2026 22:02:00 GMT", "Date": "Wed, 25 Nov 2026 22:00:00 GMT"},
        120_000,
        "RFC 9110, 6.6.1",
    ),
    ({"retry-after-ms": "1500", "retry-after": "2"}, 1_500, "openai/openai-python, _base_client.py"),
    ({"x-ms-retry-after-ms": "86"}, 86, "Azure's documents"),
    ({"Retry-After": "1795640460"}, 60_000, "an epoch: openclaw/clawhub#407, cloudfoundry/cloud_controller_ng#2544"),
    ({"Retry-After": "86400"}, 86_400_000, "alex-wolf-ps/dbchatprov2#2"),
    (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-25T21:00:01Z",
            "anthropic-ratelimit-tokens-remaining": "16000",
            "anthropic-ratelimit-tokens-reset": "2026-11-25T21:09:00Z",
        },
        1_000,
        "no retry-after: anthropics/anthropic-sdk-typescript#357",
    ),
    ({"anthropic-ratelimit-unified-reset": "1795658400"}, 18_000_000, "router-for-me/CLIProxyAPI#3148"),
    ({"x-ratelimit-remaining-requests": "12", "x-rate-limit-reset-tokens": "55"}, 55_000, "openai/openai-python#937"),
    ({"x-ratelimit-reset-tokens-minute": "41.5"}, 41_500, "QwenLM/qwen-code#670"),
    (
        {"ratelimit": '"api";r=0;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
        55_000,
        "huggingface_hub#3553",
    ),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360_000, "OpenAI's documents"),
    # Azure since November 2025
    ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, None, "openai/openai-dotnet#838"),
    ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "17ms"}, None, "something is left"),
    ({"Retry-After": "-5"}, None, "nonsense"),
    ({"Retry-After": "0"}, None, "nonsense"),
    ({"Retry-After": "soon"}, None, "nonsense"),
    ({"Retry-After": "NaN"}, None, "nonsense"),
    ({"Retry-After": "Wed, 25 Nov 2020 21:02:00 GMT"}, None, "the past"),
    ({"Retry-After": "900000000"}, None, "28 years"),
    ({"Retry-After": "9" * 5_000}, None, "huge"),
]


@pytest.mark.parametrize(("headers", "expected", "_source"), HEADERS)
def test_a_refusals_headers_say_how_long_to_wait(headers: dict[str, str], expected: int | None, _source: str) -> None:
    assert wait_ms(headers, 429, None, AT) == expected


BODIES: list[tuple[Any, int | None, str]] = [
    (
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39s"},
                ],
            }
        },
        39_000,
        "RooCodeInc/Roo-Code#2118",
    ),
    ([{"error": {"code": 429, "details": [{"retryDelay": "45.837906927s"}]}}], 45_838, "dcdpr/jp#1061"),
    ({"error": {"message": "Quota. Please retry in 58.934310785s."}}, 58_934, "googleapis/python-genai#2114"),
    (
        {
            "error": {
                "message": "Rate limit exceeded: free-models-per-day",
                "code": 429,
                "metadata": {
                    "headers": {
                        "X-RateLimit-Limit": "50",
                        "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": str(AT + 10_800_000),
                    }
                },
            }
        },
        10_800_000,
        "Gitlawb/openclaude#936",
    ),
    (
        {"error": {"message": "Rate limit reached for gpt-4 on tokens. Please try again in 6m0s. Visit https://x"}},
        360_000,
        "OpenAI's documents",
    ),
    (
        {"error": {"message": "Limit 500000, Used 442231, Requested 249686. Please try again in 23.03s. Visit"}},
        23_030,
        "earendil-works/pi#2366",
    ),
    ({"error": {"message": "Please try again in 120ms."}}, 120, "OpenAI's documents"),
    (
        {"error": {"message": "Limit 500000, Used 500370. Please try again in 1m47.5854s."}},
        107_585,
        "stockbot-on-groq#46",
    ),
    (
        {"error": {"message": "Rate limit reached for model. Please try again in 7m12s."}},
        432_000,
        "danielmiessler/Fabric#364",
    ),
    (
        {"error": {"code": "429", "message": "exceeded the token rate limit. Please retry after 45 seconds."}},
        45_000,
        "icereed/paperless-gpt#814",
    ),
    ({"error": {"message": "request reached max RPM: 3, please try again after 1 seconds"}}, 1_000, "kimi-cc#16"),
    (
        {"error": {"type": "usage_limit_reached", "resets_at": 1, "resets_in_seconds": 529498}},
        529_498_000,
        "router-for-me/CLIProxyAPI#1666",
    ),
    ({"error": {"type": "usage_limit_reached", "resets_at": AT // 1_000 + 90}}, 90_000, "james-6-23/codex2api#9"),
    ({"detail": {"message": "slow down", "retry_after_ms": 750}}, 750, "diegosouzapw/OmniRoute#7961"),
    ({"error": {"message": "slow down", "retry_after": 12.5}}, 12_500, "Cloudflare's documents"),
    ({"error": {"message": '{"error": {"details": [{"retryDelay": "26s"}]}}'}}, 26_000, "diegosouzapw/OmniRoute#7961"),
    (
        {"error": {"message": "Provider", "metadata": {"raw": '{"retry_after": 7}'}}},
        7_000,
        "a provider behind OpenRouter",
    ),
    ({"error": {"message": "Try again later. Limit: 10 requests per 60 seconds"}}, None, "no wait is named"),
    (
        {"error": {"message": "usage limit ... try again at 7:58 PM"}},
        None,
        "openai/codex#43892: a clock without a zone",
    ),
    ({"error": {"retry_after": "soon", "details": "none", "metadata": {"headers": ["x"]}}}, None, "nonsense"),
    ({"error": {"retry_after": -3, "resets_at": True, "retry_after_ms": [1]}}, None, "nonsense"),
]


@pytest.mark.parametrize(("body", "expected", "_source"), BODIES)
def test_an_errors_body_says_how_long_to_wait(body: Any, expected: int | None, _source: str) -> None:
    import json

    assert wait_ms({}, 429, read_error_body(json.dumps(body).encode()), AT) == expected


def test_what_the_header_says_outranks_the_body_and_both_outrank_a_reset() -> None:
    error = ReportedError("Please try again in 20s.")
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8.64s"}
    assert wait_ms(headers | {"Retry-After": "5"}, 429, error, AT) == 5_000
    assert wait_ms(headers, 429, error, AT) == 20_000
    assert wait_ms(headers, 429, None, AT) == 8_640


USED_UP = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}


@pytest.mark.parametrize(
    ("status", "error", "with_header", "with_reset"),
    [
        (429, None, 5_000, 9_000),
        (503, None, 5_000, 9_000),
        (529, None, 5_000, 9_000),
        (500, None, 5_000, None),
        (502, ReportedError("bad gateway"), 5_000, None),
        (500, ReportedError(codes=("rate_limit_exceeded",)), 5_000, 9_000),
        (403, ReportedError(codes=("insufficient_quota",)), 5_000, 9_000),
        (401, ReportedError("no key"), None, None),
        (404, None, None, None),
        (200, None, None, None),
        (200, ReportedError("slow down", status=429), 5_000, 9_000),
        (200, ReportedError("the engine is overloaded"), 5_000, 9_000),
        (200, ReportedError("it broke"), None, None),
    ],
)
def test_which_responses_ask_for_a_rest(
    status: int, error: ReportedError | None, with_header: int | None, with_reset: int | None
) -> None:
    assert wait_ms({"Retry-After": "5"}, status, error, AT) == with_header
    assert wait_ms(USED_UP, status, error, AT) == with_reset


def _said(**headers: str) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


LIMITS: list[tuple[dict[str, str], Allowance, Allowance, str]] = [
    (
        _said(
            x_ratelimit_limit_requests="14400",
            x_ratelimit_limit_tokens="18000",
            x_ratelimit_remaining_requests="14370",
            x_ratelimit_remaining_tokens="17997",
            x_ratelimit_reset_requests="2m59.56s",
            x_ratelimit_reset_tokens="7.66s",
        ),
        Allowance(14_400, 14_370, AT + 179_560),
        Allowance(18_000, 17_997, AT + 7_660),
        "Groq: Pythagora-io/gpt-pilot#862; OpenAI: vercel/ai#5223",
    ),
    (
        _said(
            anthropic_ratelimit_requests_limit="5",
            anthropic_ratelimit_requests_remaining="0",
            anthropic_ratelimit_requests_reset="2026-11-25T21:01:00Z",
            anthropic_ratelimit_tokens_limit="25000",
            anthropic_ratelimit_tokens_remaining="16000",
            anthropic_ratelimit_tokens_reset="2026-11-25T21:02:00Z",
        ),
        Allowance(5, 0, AT + 60_000),
        Allowance(25_000, 16_000, AT + 120_000),
        "anthropics/anthropic-sdk-typescript#357",
    ),
    (
        {
            "anthropic-ratelimit-input-tokens-limit": "20000",
            "anthropic-ratelimit-input-tokens-remaining": "1000",
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-remaining": "7000",
        },
        Allowance(),
        Allowance(20_000, 1_000),
        "the tightest of two: Anthropic's documents",
    ),
    (
        {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49", "X-RateLimit-Reset": str(AT + 5_000)},
        Allowance(50, 49, AT + 5_000),
        Allowance(),
        "OpenRouter, milliseconds: Gitlawb/openclaude#936",
    ),
    (
        {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "18", "x-ratelimit-reset": str(AT // 1_000 + 7)},
        Allowance(20, 18, AT + 7_000),
        Allowance(),
        "seconds since 1970: openclaw/clawhub#407",
    ),
    (
        {"RateLimit-Limit": "300, 300;w=5", "RateLimit-Remaining": "219", "RateLimit-Reset": "2"},
        Allowance(300, 219, AT + 2_000),
        Allowance(),
        "seconds left: novuhq/docs#718",
    ),
    (
        {"ratelimit": '"api";r=489;t=189', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
        Allowance(500, 489, AT + 189_000),
        Allowance(),
        "huggingface/huggingface_hub#3553",
    ),
    (
        {"RateLimit": "limit=100, remaining=50, reset=5"},
        Allowance(100, 50, AT + 5_000),
        Allowance(),
        "draft-ietf-httpapi-ratelimit-headers-07",
    ),
    (
        _said(
            x_ratelimit_limit_tokens_minute="5000000",
            x_ratelimit_remaining_tokens_minute="4999911",
            x_ratelimit_tokens_query_cost="52",
            x_ratelimit_limit_req_minute="720",
            x_ratelimit_remaining_req_minute="717",
        ),
        Allowance(720, 717),
        Allowance(5_000_000, 4_999_911),
        "mistralai/client-ts#169",
    ),
    (
        _said(
            x_ratelimitbysize_limit_minute="500000",
            x_ratelimitbysize_remaining_minute="499000",
            x_ratelimitbysize_limit_month="1000000",
            x_ratelimitbysize_remaining_month="10000",
        ),
        Allowance(),
        Allowance(1_000_000, 10_000),
        "the tightest of two windows: Mistral, promptfoo/promptfoo#10577",
    ),
    (
        _said(
            x_ratelimit_limit_requests_day="14400",
            x_ratelimit_remaining_requests_day="14399",
            x_ratelimit_reset_requests_day="33011.38",
            x_ratelimit_limit_tokens_minute="60000",
            x_ratelimit_remaining_tokens_minute="59932",
            x_ratelimit_reset_tokens_minute="11.38",
        ),
        Allowance(14_400, 14_399, AT + 33_011_380),
        Allowance(60_000, 59_932, AT + 11_380),
        "Cerebras: QwenLM/qwen-code#670",
    ),
    (
        _said(x_ratelimit_limit_tokens_prompt="3600000", x_ratelimit_remaining_tokens_prompt="3599000"),
        Allowance(),
        Allowance(3_600_000, 3_599_000),
        "Fireworks' documents",
    ),
    (
        _said(
            x_tokenlimit_limit="1000", x_tokenlimit_remaining="900", x_ratelimit_limit="10", x_ratelimit_remaining="9"
        ),
        Allowance(10, 9),
        Allowance(1_000, 900),
        "Together's documents",
    ),
    (
        {"llm_provider-x-ratelimit-limit-requests": "100", "llm_provider-x-ratelimit-remaining-requests": "3"}
        | {"x-ratelimit-limit-requests": "1000", "x-ratelimit-remaining-requests": "900"},
        Allowance(100, 3),
        Allowance(),
        "the provider's behind LiteLLM: Aider-AI/aider#5722",
    ),
    (
        {"x-trial-endpoint-call-limit": "40", "x-trial-endpoint-call-remaining": "39"},
        Allowance(40, 39),
        Allowance(),
        "Cohere's documents",
    ),
    (
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"},
        Allowance(),
        Allowance(),
        "openai-dotnet#838",
    ),
    ({"x-ratelimit-limit-images": "5", "x-ratelimit-remaining-images": "4"}, Allowance(), Allowance(), "not asked for"),
    ({"x-ratelimit-remaining": "nan", "x-ratelimit-limit": "1e9"}, Allowance(), Allowance(), "nonsense"),
    ({"x-ratelimit-remaining": "9" * 99, "x-ratelimit-limit": "٣"}, Allowance(), Allowance(), "nonsense"),
    ({"content-type": "text/event-stream"}, Allowance(), Allowance(), "most servers"),
]


@pytest.mark.parametrize(("headers", "requests", "tokens", "_source"), LIMITS)
def test_headers_say_what_is_left(
    headers: dict[str, str], requests: Allowance, tokens: Allowance, _source: str
) -> None:
    assert read_limits(headers, AT) == RateLimits(requests, tokens)


NAMES = st.sampled_from(sorted({name for headers, *_ in [*HEADERS, *LIMITS] for name in headers}))
VALUES = st.text(max_size=40) | st.from_regex(r"[-+0-9.eE;,=\"rtqmsh ]{0,40}") | st.integers().map(str)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | VALUES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "details", "metadata", "headers", "retryDelay", "retry_after", "message", "raw", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(headers=st.dictionaries(NAMES, VALUES, max_size=6), body=JSON, status=st.sampled_from([200, 429, 500, 503]))
def test_nothing_from_outside_raises_or_is_believed_beyond_a_year(
    headers: dict[str, str], body: Any, status: int
) -> None:
    import json

    wait = wait_ms(headers, status, read_error_body(json.dumps(body).encode()), AT)
    assert wait is None or 0 <= wait <= LONGEST_BELIEVED_MS
    limits = read_limits(headers, AT)
    for one in (limits.requests, limits.tokens):
        assert one.reset_at is None or AT <= one.reset_at <= AT + LONGEST_BELIEVED_MS
        assert all(count is None or 0 <= count < 10**15 for count in (one.limit, one.remaining))


@given(st.text(max_size=200))
def test_any_text_is_a_wait_or_none(text: str) -> None:
    said = wait_in_words(f"try again in {text}")
    assert said is None or 0 < said <= LONGEST_BELIEVED_MS
    assert moment(text, AT) is None or moment(text, AT) > AT  # type: ignore[operator]
