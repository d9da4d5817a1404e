"""The vendors' own clients read the same servers as the probes."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google

from tests.collectors import vendors
from tests.collectors.dialects import KEY
from tests.collectors.vendors import answering
from tests.fault_server import GOOD, FaultServer, answer, chunked

MESSAGES: Any = [{"role": "user", "content": "What is 20 + 22?"}]


def test_openais_client_reads_what_the_probes_read() -> None:
    with FaultServer(answering(vendors.responses_stream)) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        seen = list(client.responses.create(model="m", input="What is 20 + 22?", stream=True))
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "42"
    with FaultServer(answer(200, vendors.embedding())) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        assert client.embeddings.create(model="m", input="x", encoding_format="float").data[0].embedding == [
            0.1,
            -0.2,
            0.3,
        ]
    with FaultServer(answering(vendors.chat_stream)) as server:
        azure = openai.AzureOpenAI(
            azure_endpoint=f"http://127.0.0.1:{server.port}", api_key=KEY, api_version="2024-10-21", max_retries=0
        )
        chunks = list(azure.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    sent = server.requests[0]
    assert sent["line"] == "POST /openai/deployments/m/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert sent["headers"]["api-key"] == KEY


def test_openais_client_waits_for_done_as_a_probe_does() -> None:
    """Though the finish reason and the usage came (`test_a_stream_that_stays_open_without_done_is_a_timeout`)."""
    with FaultServer(chunked(*GOOD[:-1], 3.0)) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0, timeout=1.0)
        with pytest.raises(openai.APITimeoutError):
            list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def test_anthropics_client_reads_what_the_probes_read() -> None:
    with FaultServer(answering(vendors.claude_stream)) as server:
        client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY, max_retries=0)
        with client.messages.stream(model="m", max_tokens=16, messages=MESSAGES) as stream:
            assert "".join(stream.text_stream) == "42"
            assert stream.get_final_message().usage.output_tokens == 15
    sent = server.requests[0]
    assert sent["line"] == "POST /v1/messages HTTP/1.1"
    assert sent["headers"]["authorization"] == f"Bearer {KEY}"  # as `api_key_header = "Authorization"` sends it
    with FaultServer(chunked(vendors.message_start(), vendors.OVERLOADED)) as server:
        client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY, max_retries=0)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(client.messages.create(model="m", max_tokens=16, messages=MESSAGES, stream=True))


def test_googles_client_reads_what_the_probes_read() -> None:
    with FaultServer(answering(vendors.gemini_stream)) as server:
        options = google.HttpOptions(base_url=f"http://127.0.0.1:{server.port}", api_version="v1beta")
        client = genai.Client(api_key=KEY, http_options=options)
        seen = list(client.models.generate_content_stream(model="m", contents="What is 20 + 22?"))
    assert "".join(part.text or "" for part in seen) == "42"
    assert seen[-1].usage_metadata is not None and seen[-1].usage_metadata.thoughts_token_count == 30
    sent = server.requests[0]
    assert sent["line"] == "POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1"
    assert sent["headers"]["x-goog-api-key"] == KEY
