"""What an error is about decides its outcome: each row is a wording that was reported, and says where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.http.classifier import CODES, KIND_OF_STATUS, LEFT_OPEN, MESSAGES, OUTCOMES, STATUS_WORDS, outcome_of
from collectors.http.errors import ReportedError, read_error, read_error_body
from tests.collectors.vendor_errors import VENDORS, error

OVERLOADED = "The engine is currently overloaded, please try again later"
COOLDOWN = "No deployments available for selected model, Try again in 60 seconds. Passed model=claude. "
LITELLM = "\n\nLiteLLM: model group 'busy' failed with the error above and no fallback model group was found for it."


REPORTED: list[tuple[str, int, Any, str]] = [
    # where it was reported, the HTTP status, the body, the outcome
    # -- a 429 is about the caller's rate or quota ...
    ("openai: no details", 429, error("slow down"), "rate_limited"),
    ("no body at all", 429, {}, "rate_limited"),
    (
        "a rate limit of OpenAI",
        429,
        error("Rate limit reached for gpt-4o on tokens per min (TPM)", "rate_limit_exceeded", "tokens"),
        "rate_limited",
    ),
    (
        "ChatGPTNextWeb/NextChat#3123",
        429,
        error(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "rate_limited",
    ),
    (
        "nminaya/grammar-nazi-bot#959 (Cerebras)",
        429,
        {
            "message": "Requests per minute limit exceeded - too many requests sent.",
            "type": "too_many_requests_error",
            "param": "quota",
            "code": "request_quota_exceeded",
        },
        "rate_limited",
    ),
    (
        "raycast/extensions#31107 (Mistral)",
        429,
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
        "rate_limited",
    ),
    (
        "Aculeasis/openrouter-proxy#1, open-webui/computer#293",
        429,
        error(
            "Provider returned error",
            429,
            metadata={"raw": "google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream."},
        ),
        "rate_limited",
    ),
    (
        "BerriAI/litellm#40002: the budget of a key",
        429,
        error("Budget has been exceeded! Key=e7fb Current cost: 0.0, Max budget: 2.5", "429", "budget_exceeded"),
        "rate_limited",
    ),
    (
        "BerriAI/litellm#20867, recorded from 1.108.7: the rpm of a deployment",
        429,
        error("No deployments available for selected model.", "429", "rate_limit_error"),
        "rate_limited",
    ),
    (
        "BerriAI/litellm#14144: the budget of a deployment",
        429,
        error("No deployments available - crossed budget: Exceeded budget for deployment", "429"),
        "rate_limited",
    ),
    (
        "BerriAI/litellm#7669: usage-based routing, nothing in cooldown",
        429,
        error(COOLDOWN + "pre-call-checks=True, cooldown_list=[]", "429", "rate_limit_error"),
        "rate_limited",
    ),
    # -- ... or about the provider's capacity ...
    ("MoonshotAI/kimi-cli#2571", 429, error(OVERLOADED, None, "engine_overloaded_error"), "server_error"),
    ("a gateway that keeps only the words of it", 429, error(OVERLOADED), "server_error"),
    (
        "LiteLLM 1.108.7, recorded in front of it",
        429,
        error(
            f"litellm.RateLimitError: RateLimitError: OpenAIException - {OVERLOADED}{LITELLM}",
            "429",
            "throttling_error",
        ),
        "server_error",
    ),
    (
        "openai/openai-python#414",
        429,
        error(
            "That model is currently overloaded with other requests. You can retry your request", None, "server_error"
        ),
        "server_error",
    ),
    ("openai/codex#46956", 429, error("Selected model is at capacity. Please try a different model."), "server_error"),
    (
        "huggingface/text-generation-inference#439",
        429,
        {"error": "Model is overloaded", "error_type": "overloaded"},
        "server_error",
    ),
    (
        "google-gemini/gemini-cli#19911",
        429,
        [
            error(
                "No capacity available for model gemini-3-flash-preview on the server", 429, status="RESOURCE_EXHAUSTED"
            )
        ],
        "server_error",
    ),
    (
        "markusylisiurunen/tau#79 (Azure)",
        429,
        error("The system is currently experiencing high demand and cannot process your request.", "NoCapacity"),
        "server_error",
    ),
    (
        "sandialabs/atlas-ui-3#111 (Cerebras behind LiteLLM)",
        429,
        error("litellm.RateLimitError: CerebrasException - We're experiencing high traffic right now!", "429"),
        "server_error",
    ),
    (
        "continuedev/continue#6185 (Mistral)",
        429,
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "invalid_request_error",
        },
        "server_error",
    ),
    (
        "the same through OpenRouter",
        429,
        error(
            "Provider returned error", 429, metadata={"raw": json.dumps(error(OVERLOADED, None, "overloaded_error"))}
        ),
        "server_error",
    ),
    ("laravel/ai#925 (Groq)", 498, error("Flex tier capacity exceeded", "capacity_exceeded"), "server_error"),
    # -- ... or about a router none of whose deployments is healthy
    (
        "BerriAI/litellm#5764",
        429,
        error(COOLDOWN + "pre-call-checks=False, cooldown_list=[('c9d4', {'Exception Received': '529'})]", None),
        "server_error",
    ),
    (
        "BerriAI/litellm#3933, before there was a cooldown_list",
        429,
        error(COOLDOWN + "pre-call-checks=False, allowed_model_region=n/a"),
        "server_error",
    ),
    (
        "LiteLLM 1.108.7, recorded",
        429,
        error(
            "No deployments available for selected model, Try again in 60 seconds. All deployments for selected model are in "
            "cooldown. Passed model=bad. pre-call-checks=True, cooldown_list=['580fcc4d', 'c630b3ad']",
            "429",
            "all_deployments_in_cooldown",
        ),
        "server_error",
    ),
    ("BerriAI/litellm#2493", 429, error("No healthy deployment available, passed model=x"), "server_error"),
    (
        "the same with a 400",
        400,
        error("You passed in model=x. There are no healthy deployments for this model", 400),
        "server_error",
    ),
    # -- a model that is not there, with whichever status
    (
        "skorokithakis/sysaidmin#9",
        400,
        error("The requested model 'gpt-4-1106-preview' does not exist.", "model_not_found", "invalid_request_error"),
        "not_found",
    ),
    (
        "deepwn/addi#13 (DeepSeek)",
        400,
        error("Model Not Exist", "invalid_request_error", "invalid_request_error"),
        "not_found",
    ),
    (
        "LiteLLM 1.108.7, recorded; BerriAI/litellm#3142",
        400,
        error(
            "/chat/completions: Invalid model name passed in model=nomodel. Call `/v1/models`",
            "400",
            "invalid_request_error",
        ),
        "not_found",
    ),
    (
        "RightNow-AI/openfang#60 (Groq)",
        400,
        error("The model `deepseek-r1` has been decommissioned and is no longer supported.", "model_decommissioned"),
        "not_found",
    ),
    ("ollama/ollama#3876", 404, {"error": "model 'llama3' not found, try pulling it first"}, "not_found"),
    (
        "netease-youdao/QAnything#555 (Ollama)",
        400,
        error('model "ollama" not found, try pulling it first', None, "api_error"),
        "not_found",
    ),
    (
        "Alishahryar1/free-claude-code#166 (OpenRouter)",
        404,
        error("No endpoints found for stepfun/step-3.5-flash:free.", 404),
        "not_found",
    ),
    ("OpenRouter's wording for a wrong name", 400, error("acme/nothing is not a valid model ID", 400), "not_found"),
    ("QuantumNous/new-api#6310", 503, error("No available channel for model x", "model_not_found"), "not_found"),
    (
        "runpod-workers/worker-vllm#57",
        200,
        {"code": 404, "message": "The model `x` does not exist.", "object": "error", "type": "NotFoundError"},
        "not_found",
    ),
    # -- the user's credit, key or request
    (
        "Gitlawb/openclaude#43 (OpenRouter)",
        402,
        error("Insufficient credits. This account never purchased credits.", 402),
        "caller_error",
    ),
    ("OpenCSGs/csghub-server#1369", 200, error("Insufficient credits", 402), "caller_error"),
    ("DeepSeek, in a gateway's 500", 500, error("Insufficient Balance", "insufficient_balance"), "caller_error"),
    (
        "zeroclaw-labs/zeroclaw#194 (Gemini)",
        400,
        [error("API key not valid.", 400, status="INVALID_ARGUMENT")],
        "caller_error",
    ),
    ("a wrong key", 401, error("Incorrect API key provided", "invalid_api_key"), "caller_error"),
    ("a wrong key, in a stream", 200, error("Incorrect API key provided: sk-1"), "caller_error"),
    (
        "BerriAI/litellm#14144: the same budget with a 400",
        400,
        error("Budget has been exceeded! Team=99c7"),
        "caller_error",
    ),
    ("a request that is too long, in a stream", 200, error("too long", "context_length_exceeded"), "caller_error"),
    ("a bad request, in a stream", 200, error("messages is not a list", 400), "caller_error"),
    (
        "a bad request, in a stream, in words",
        200,
        error("messages is no list", None, "invalid_request_error"),
        "caller_error",
    ),
    # -- the same inside a 200; what would count as down is `stream_error` there
    (
        "diegosouzapw/OmniRoute#8210",
        200,
        error("Worker local total request limit reached (33/32)", 429),
        "rate_limited",
    ),
    ("a rate limit that says no code", 200, error("Rate limit exceeded: free-models-per-day"), "rate_limited"),
    ("a quota that says no code", 200, error("You exceeded your current quota"), "rate_limited"),
    ("no credit that says no code", 200, error("Your credit balance is too low"), "caller_error"),
    (
        "Doriandarko/claude-engineer#161 (Anthropic)",
        200,
        {"type": "error", **error("Overloaded", None, "overloaded_error")},
        "stream_error",
    ),
    (
        "Wei-Shaw/sub2api#4516 (OpenAI)",
        200,
        error("Our servers are currently overloaded.", None, "invalid_request_error"),
        "stream_error",
    ),
    ("vllm-project/guidellm#743", 200, error("TimeoutError", 504, "GatewayTimeout"), "stream_error"),
    ("lm-sys/FastChat#3160", 200, {"object": "error", "message": "EngineCore died", "code": 500}, "stream_error"),
    ("all deployments in cooldown, in a stream", 200, error(COOLDOWN + "cooldown_list=['a']"), "stream_error"),
    *VENDORS,
    # -- a code outranks the status, and the status outranks the message
    ("a code in a 500", 500, error("x", "rate_limit_exceeded"), "rate_limited"),
    ("a code in another spelling", 500, error("x", "RateLimitExceeded"), "rate_limited"),
    ("a status in the body of a 500", 500, error("x", 429), "rate_limited"),
    (
        "a rate limit with a 413 (Groq)",
        413,
        error("Request too large on tokens per minute (TPM)", "rate_limit_exceeded", "tokens"),
        "rate_limited",
    ),
    ("a message in a 500", 500, error("Rate limit exceeded"), "server_error"),
    ("a message in a 500", 500, error("model 'x' not found"), "server_error"),
    ("a message in a 401", 401, error("The server is overloaded"), "caller_error"),
    ("a message in a 404", 404, error("Rate limit exceeded"), "not_found"),
    ("anthropics/claude-code#5184", 529, error("Overloaded", None, "overloaded_error"), "server_error"),
    (
        "google-gemini/gemini-cli#23520",
        503,
        error("No capacity available for model on the server", 503),
        "server_error",
    ),
    ("a time-out of a gateway", 408, {}, "timeout"),
    ("a teapot", 418, {}, "caller_error"),
]


@pytest.mark.parametrize(("status", "body", "outcome"), [row[1:] for row in REPORTED], ids=[row[0] for row in REPORTED])
def test_what_an_error_is_about_decides_its_outcome(status: int, body: Any, outcome: str) -> None:
    reported = read_error_body(json.dumps(body).encode()) or ReportedError()
    assert outcome_of(reported, status) == outcome


def test_the_message_of_a_400_about_something_else_is_not_about_a_model() -> None:
    for message in (
        "Could not finish the message because max_tokens or model output limit was reached.",
        "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Selected model needs a system message; the key `messages` was not found",
        "This model's maximum context length is 4096 tokens",
    ):
        assert outcome_of(ReportedError(message), 400) == "caller_error", message


@pytest.mark.parametrize("code", [code for codes in CODES.values() for code in codes])
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_a_specific_code_has_one_outcome_with_any_status(code: str, status: int) -> None:
    kind = next(kind for kind, codes in CODES.items() if code in codes)
    inside = "stream_error" if OUTCOMES[kind] == "server_error" else OUTCOMES[kind]
    assert outcome_of(read_error({"type": code, "message": "x"}), status) == (
        inside if status == 200 else OUTCOMES[kind]
    )


def test_no_word_stands_in_two_tables() -> None:
    plain = [code.replace("_", "") for codes in CODES.values() for code in (*codes,)] + [
        word.replace("_", "") for word in STATUS_WORDS
    ]
    assert len(plain) == len(set(plain))
    assert {kind for kind, _ in MESSAGES} <= set(OUTCOMES)
    assert set().union(*LEFT_OPEN.values()) | set(KIND_OF_STATUS.values()) <= set(OUTCOMES)
