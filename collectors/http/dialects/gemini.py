"""Google's Gemini, native: `POST models/{model}:streamGenerateContent?alt=sse`.

The base URL ends with `/v1beta`, or where Vertex AI has the models of a publisher (`…/publishers/google`); where
neither is there, `/v1beta` is added. Tokens of thoughts are counted beside those of the answer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from collectors.http.dialects.base import (
    Chunk,
    Dialect,
    RequestSpec,
    chunk_of,
    end_of_stream,
    logprobs_of,
    object_in,
    objects,
    text_in,
    version_below,
    word,
)
from collectors.http.errors import ReportedError

LIMITED_ACCOUNT = "PUP_LIMITED_DISABLED"
UNSPECIFIED = ("FINISH_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED")
OTHER_PARTS = ("functionCall", "toolCall", "inlineData", "executableCode", "codeExecutionResult")


def path(base: str, model: str, stream: bool) -> str:
    """Where to POST below a base URL's path."""
    named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    how = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"{version_below(base, 'v1beta')}{quote(named, safe='/@.-_')}:{how}"


def body(wish: RequestSpec) -> dict[str, Any]:
    """The JSON of a request."""
    settings: dict[str, Any] = {"maxOutputTokens": wish.max_tokens, "temperature": wish.temperature}
    if wish.alternatives is not None:
        settings |= {"responseLogprobs": True, "logprobs": wish.alternatives, "topP": 1}
    if wish.reasoning_effort is not None:
        settings["thinkingConfig"] = {"thinkingLevel": wish.reasoning_effort}
    return {"contents": [{"role": "user", "parts": [{"text": wish.prompt}]}], "generationConfig": settings}


def read(value: dict[str, Any]) -> Chunk:
    """One event of a stream, or a whole response: they have the same shape."""
    chunk = chunk_of(value)
    chunk.model = word(value.get("modelVersion"))
    for candidate in objects(value.get("candidates")):
        for part in objects(object_in(candidate, "content").get("parts")):
            if part.get("thought") is True:
                chunk.reasoned = chunk.reasoned or bool(text_in(part, "text"))
            else:
                chunk.text += text_in(part, "text")
                chunk.carries_more = chunk.carries_more or any(part.get(name) for name in OTHER_PARTS)
        chunk.finish_reason = _reason(candidate.get("finishReason")) or chunk.finish_reason
        if "logprobsResult" in candidate and chunk.logprobs is None:
            steps = objects(object_in(candidate, "logprobsResult").get("topCandidates"))
            chunk.logprobs = logprobs_of(steps[0].get("candidates"), value="logProbability") if steps else None
    blocked = _reason(object_in(value, "promptFeedback").get("blockReason"))
    chunk.finish_reason = chunk.finish_reason or blocked
    chunk.filtered = blocked is not None
    if chunk.finish_reason == LIMITED_ACCOUNT and chunk.error is None:
        chunk.error = ReportedError("this account is limited or disabled", (LIMITED_ACCOUNT,), 403, LIMITED_ACCOUNT)
    return chunk


def _reason(value: Any) -> str | None:
    reason = word(value)
    return None if reason in UNSPECIFIED else reason


GEMINI = Dialect(
    name="gemini",
    gives="a Gemini response",
    ends_with="a finishReason",
    path=path,
    body=body,
    event=read,
    whole=read,
    end=end_of_stream(
        rb'"(?:finishReason|blockReason)"\s*:\s*"(?!FINISH_REASON_UNSPEC|BLOCK\w*_REASON_UNSPEC)[A-Z_]+"'
    ),
    key_header="x-goog-api-key",
    list_path=lambda base: f"{version_below(base, 'v1beta')}models?pageSize=1000",
    after_end_s=1.0,  # older models put a finishReason into each event: those that follow are still read
    may_be_llama_cpp=False,
)
