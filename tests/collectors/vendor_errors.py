"""Errors with a vendor's own codes and status objects, as they were reported."""

from __future__ import annotations

from typing import Any


def error(message: str, code: Any = None, type: Any = None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": None, "code": code} | more}


VENDORS: list[tuple[str, int, Any, str]] = [
    # where it was reported, the HTTP status, the body, the outcome
    (
        "modelscope/modelscope#1691 (MiniMax)",
        429,
        {"error": {"http_code": "429", "message": "insufficient balance (1008)", "type": "insufficient_balance_error"}},
        "caller_error",
    ),
    (
        "anthropics/claude-code#9201 (Zhipu)",
        429,
        {"type": "error", "error": {"type": "1113", "message": "Insufficient balance or no resource package."}},
        "caller_error",
    ),
    (
        "router-for-me/CLIProxyAPI#3859 (Anthropic)",
        400,
        {
            "type": "error",
            **error("Your credit balance is too low to access the Anthropic API.", None, "invalid_request_error"),
        },
        "caller_error",
    ),
    ("HKUDS/nanobot#3864 (Zhipu)", 429, error("该模型当前访问量过大，请您稍后再试", "1305"), "server_error"),
    ("Wei-Shaw/sub2api#2481 (OpenAI)", 400, error("Selected model is at capacity"), "server_error"),
    (
        "openai/codex#43337",
        200,
        {
            "type": "error",
            **error("Our servers are currently overloaded.", "server_is_overloaded", "service_unavailable_error"),
        },
        "stream_error",
    ),
    ("the same code with a 400", 400, error("x", "server_is_overloaded", "service_unavailable_error"), "server_error"),
    (
        "tashfeenahmed/freellmapi#522 (NVIDIA)",
        400,
        {"status": 400, "title": "Bad Request", "detail": "Function id '3b97': DEGRADED function cannot be invoked"},
        "server_error",
    ),
    (
        "Alishahryar1/free-claude-code#1021 (NVIDIA)",
        404,
        {"status": 404, "title": "Not Found", "detail": "Function '23d4': Not found for account 'Qawm'"},
        "not_found",
    ),
    (
        "cloudflare/ai#593",
        429,
        {
            "success": False,
            "errors": [{"code": 3040, "message": "AiError: Capacity temporarily exceeded, please try again."}],
        },
        "server_error",
    ),
    (
        "vanna-ai/vanna#1045 (ModelScope)",
        429,
        {"errors": {"message": "We have to rate limit you for model Qwen/Qwen3"}, "request_id": "22c0"},
        "rate_limited",
    ),
    (
        "tencentmusic/supersonic#1572 (DashScope)",
        400,
        {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
        "caller_error",
    ),
    (
        "can1357/oh-my-pi#8476 (DashScope): its words are OpenAI's of a quota, and it is a rate",
        429,
        error(
            "You exceeded your current quota, please check your plan",
            "Throttling.AllocationQuota",
            "insufficient_quota",
        ),
        "rate_limited",
    ),
    (
        "PaddlePaddle/ERNIE#1031",
        429,
        error("Rate limit reached for RPM", "rpm_rate_limit_exceeded", "rate_limit_exceeded"),
        "rate_limited",
    ),
    (
        "databricks/databricks-sdk-py#274, whichever status it has",
        400,
        {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "token bucket limit has been exceeded."},
        "rate_limited",
    ),
    ("ecmwf/WeatherGenerator#1482", 500, {"error_code": "RESOURCE_EXHAUSTED", "message": "Too many."}, "rate_limited"),
    (
        "aws-samples/bedrock-access-gateway#88 (Amazon)",
        400,
        {"__type": "com.amazon.coral.service#ThrottlingException", "message": "Too many requests, please wait."},
        "rate_limited",
    ),
    ("CherryHQ/cherry-studio#2959 (Moonshot)", 200, error("x", None, "rate_limit_reached_error"), "rate_limited"),
    (
        "liuw1535/antigravity2api-nodejs#140 (Google): the reason is more specific than the status",
        429,
        error("x", 429, status="RESOURCE_EXHAUSTED", details=[{"reason": "MODEL_CAPACITY_EXHAUSTED"}]),
        "server_error",
    ),
    (
        "BerriAI/litellm#4259: the status inside is the provider's",
        500,
        error(
            "Error code: 429 - {'error': {'code': 429, 'message': 'Quota exceeded', 'status': 'RESOURCE_EXHAUSTED'}}",
            500,
        ),
        "rate_limited",
    ),
    (
        "letta-ai/letta#3304",
        500,
        {
            "detail": "RATE_LIMIT_EXCEEDED: Rate limited by OpenAI: Error code: 429 - {'error': {'code': '1113', 'message': None}} [BYOK]"
        },
        "rate_limited",
    ),
    (
        "continuedev/continue#9689 (Gemini): JSON in the message",
        400,
        error('{\n  "error": {\n    "code": 429,\n    "message": "You exceeded your current quota"}}'),
        "rate_limited",
    ),
    (
        "huggingface/transformers#32665",
        503,
        {"error": "Model m is currently loading", "estimated_time": 20.0},
        "server_error",
    ),
    ("a list of sentences (Hugging Face)", 422, {"error": ["Error in `parameters`: too long"]}, "caller_error"),
]
