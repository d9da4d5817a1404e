"""What the vendors' servers send, built from the typed models of their own client packages, as bytes on the wire."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

from anthropic import types as claude
from anthropic.types.raw_message_delta_event import Delta
from anthropic.types.shared import ErrorResponse, OverloadedError
from google.genai import types as google
from openai.types import CreateEmbeddingResponse, Embedding
from openai.types import responses as oai
from openai.types.chat import ChatCompletionChunk
from openai.types.create_embedding_response import Usage as EmbeddingUsage
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from tests.fault_server import Script, chunked, event

Pieces = list[bytes | float]
STEP_S = 0.03


def sum_in(request: dict[str, Any]) -> str:
    """The answer to the sum that a probe asks for, wherever its dialect has the prompt."""
    found = re.search(r"What is (\d+) \+ (\d+)", json.dumps(request["body"]))
    return str(int(found[1]) + int(found[2])) if found else "42"


def answering(pieces: Callable[[str], Pieces], **more: Any) -> Script:
    """A server that streams what `pieces` makes of the right answer."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        chunked(*pieces(sum_in(request)), **more)(connection, request)

    return script


def named(model: Any) -> bytes:
    """An event that has its type for a name, as OpenAI's Responses and Anthropic send it."""
    return f"event: {model.type}\ndata: {model.model_dump_json(exclude_none=True)}\n\n".encode()


# -- OpenAI's Responses


def response(status: str, **more: Any) -> oai.Response:
    fixed = {"id": "resp_1", "created_at": 1.0, "model": "gpt-served", "object": "response", "output": []}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": status}
    return oai.Response.model_validate(fixed | rest | more)


def response_usage(output: int = 2, reasoning: int = 0, cached: int = 0) -> oai.ResponseUsage:
    return oai.ResponseUsage(
        input_tokens=20,
        output_tokens=output,
        total_tokens=20 + output,
        input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=reasoning),
    )


def response_text(text: str, number: int = 4) -> bytes:
    return named(
        oai.ResponseTextDeltaEvent(
            content_index=0,
            delta=text,
            item_id="msg_1",
            logprobs=[],
            output_index=0,
            sequence_number=number,
            type="response.output_text.delta",
        )
    )


def response_thought(text: str) -> bytes:
    return named(
        oai.ResponseReasoningSummaryTextDeltaEvent(
            delta=text,
            item_id="rs_1",
            output_index=0,
            sequence_number=3,
            summary_index=0,
            type="response.reasoning_summary_text.delta",
        )
    )


def response_begin() -> Pieces:
    """What comes before any token: the response so far, and an item of reasoning that is not shown."""
    item = oai.ResponseReasoningItem(id="rs_1", summary=[], type="reasoning", encrypted_content="gAAAAAB")
    return [
        named(oai.ResponseCreatedEvent(response=response("in_progress"), sequence_number=0, type="response.created")),
        named(
            oai.ResponseOutputItemAddedEvent(
                item=item, output_index=0, sequence_number=1, type="response.output_item.added"
            )
        ),
    ]


def response_end(status: str = "completed", **more: Any) -> bytes:
    kinds = {
        "completed": oai.ResponseCompletedEvent,
        "failed": oai.ResponseFailedEvent,
        "incomplete": oai.ResponseIncompleteEvent,
    }
    made = response(status, **({"usage": response_usage()} | more))
    return named(kinds[status](response=made, sequence_number=9, type=f"response.{status}"))


def responses_stream(text: str) -> Pieces:
    return [*response_begin(), STEP_S, response_text(text[:1]), STEP_S, response_text(text[1:]), response_end()]


def incomplete(reason: str) -> IncompleteDetails:
    return IncompleteDetails.model_validate({"reason": reason})


# -- Anthropic's Messages


def message(**more: Any) -> claude.Message:
    fixed = {"id": "msg_1", "content": [], "model": "claude-served", "role": "assistant", "type": "message"}
    used = claude.Usage(input_tokens=12, output_tokens=1, cache_read_input_tokens=8, cache_creation_input_tokens=0)
    return claude.Message.model_validate(fixed | {"usage": used} | more)


def message_start() -> bytes:
    return named(claude.RawMessageStartEvent(message=message(), type="message_start"))


def block_start(block: Any) -> bytes:
    return named(claude.RawContentBlockStartEvent(content_block=block, index=0, type="content_block_start"))


def block_delta(delta: Any) -> bytes:
    return named(claude.RawContentBlockDeltaEvent(delta=delta, index=0, type="content_block_delta"))


def claude_text(text: str) -> bytes:
    return block_delta(claude.TextDelta(text=text, type="text_delta"))


def claude_thought(text: str) -> bytes:
    return block_delta(claude.ThinkingDelta(thinking=text, type="thinking_delta"))


def message_delta(stop: str, output: int = 15) -> bytes:
    delta = Delta.model_validate({"stop_reason": stop})
    used = claude.MessageDeltaUsage(output_tokens=output)
    return named(claude.RawMessageDeltaEvent(delta=delta, type="message_delta", usage=used))


MESSAGE_STOP = named(claude.RawMessageStopEvent(type="message_stop"))
CLAUDE_PING = b'event: ping\ndata: {"type": "ping"}\n\n'
OVERLOADED = named(ErrorResponse(error=OverloadedError(message="Overloaded", type="overloaded_error"), type="error"))


def claude_stream(text: str) -> Pieces:
    return [
        message_start(),
        block_start(claude.TextBlock(text="", type="text")),
        CLAUDE_PING,
        STEP_S,
        claude_text(text[:1]),
        STEP_S,
        claude_text(text[1:]),
        named(claude.RawContentBlockStopEvent(index=0, type="content_block_stop")),
        message_delta("end_turn"),
        MESSAGE_STOP,
    ]


# -- Google's Gemini


def gemini_body(
    *parts: google.Part, finish: str | None = None, used: dict[str, int] | None = None, **more: Any
) -> dict[str, Any]:
    content = google.Content(parts=list(parts), role="model") if parts else None
    candidate = google.Candidate(content=content, finish_reason=finish, index=0)
    usage = google.GenerateContentResponseUsageMetadata(**({"prompt_token_count": 20} | (used or {})))
    made = google.GenerateContentResponse(
        **({"candidates": [candidate], "usage_metadata": usage, "model_version": "gemini-served"} | more)
    )
    return dict(json.loads(made.model_dump_json(exclude_none=True, by_alias=True)))


def gemini_event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


def gemini_text(text: str, **more: Any) -> bytes:
    return gemini_event(gemini_body(google.Part(text=text), **more))


ANSWERED = {"candidates_token_count": 2, "thoughts_token_count": 30, "total_token_count": 52}


def gemini_stream(text: str) -> Pieces:
    return [STEP_S, gemini_text(text[:1]), STEP_S, gemini_text(text[1:], finish="STOP", used=ANSWERED)]


# -- OpenAI's Chat Completions, as Azure serves them, and Embeddings


def chat_event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    fixed = {"id": "c", "created": 1, "model": "gpt-served", "object": "chat.completion.chunk"}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    made = ChatCompletionChunk.model_validate(
        fixed | {"choices": [choice], "system_fingerprint": "fp_44709d6fcb"} | more
    )
    return b"data: " + made.model_dump_json(exclude_none=True).encode() + b"\n\n"


def chat_stream(text: str) -> Pieces:
    used = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
    return [
        chat_event({"role": "assistant", "content": ""}),
        STEP_S,
        chat_event({"content": text[:1]}),
        STEP_S,
        chat_event({"content": text[1:]}),
        chat_event({}, "stop"),
        chat_event({}, choices=[], usage=used),
        b"data: [DONE]\n\n",
    ]


TOP = [{"token": " yes", "logprob": -0.5, "bytes": [32]}, {"token": " no", "logprob": -1.25, "bytes": [32]}]


def token_with(top: list[dict[str, Any]]) -> bytes:
    """The first token of a stream with its logprobs, as OpenAI's own client reads it."""
    logprobs = {"content": [{"token": " yes", "logprob": -0.5, "bytes": [32], "top_logprobs": top}], "refusal": None}
    choice = {"index": 0, "delta": {"content": " yes"}, "finish_reason": None, "logprobs": logprobs}
    body = {"id": "1", "created": 1, "object": "chat.completion.chunk", "model": "m-1", "choices": [choice]}
    ChatCompletionChunk.model_validate(body)
    return event(body)


def embedding() -> dict[str, Any]:
    made = CreateEmbeddingResponse(
        data=[Embedding(embedding=[0.1, -0.2, 0.3], index=0, object="embedding")],
        model="embed-served",
        object="list",
        usage=EmbeddingUsage(prompt_tokens=20, total_tokens=20),
    )
    return dict(json.loads(made.model_dump_json(exclude_none=True)))


# -- by dialect


STREAMS = {
    "chat": chat_stream,
    "azure": chat_stream,
    "responses": responses_stream,
    "anthropic": claude_stream,
    "gemini": gemini_stream,
}
WHOLE: dict[str, Any] = {
    "chat": lambda text: {
        "model": "gpt-served",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 2},
    },
    "responses": lambda text: response(
        "completed",
        usage=response_usage(),
        output=[
            {
                "id": "m",
                "role": "assistant",
                "status": "completed",
                "type": "message",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
    ).model_dump(exclude_none=True),
    "anthropic": lambda text: message(
        content=[claude.TextBlock(text=text, type="text")], stop_reason="end_turn"
    ).model_dump(exclude_none=True),
    "gemini": lambda text: gemini_body(google.Part(text=text), finish="STOP", used=ANSWERED),
}
WHOLE["azure"] = WHOLE["chat"]
