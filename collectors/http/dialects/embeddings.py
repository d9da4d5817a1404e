"""OpenAI's Embeddings: `POST embeddings`. One vector comes at once, so there is no stream, no answer and no limit."""

from __future__ import annotations

from typing import Any

from collectors.http.dialects.base import Chunk, Dialect, RequestSpec, chunk_of, end_of_stream, objects, pin, word


def body(wish: RequestSpec) -> dict[str, Any]:
    """The JSON of a request."""
    return {"model": wish.model, "input": wish.prompt} | pin(wish)


def whole(value: dict[str, Any]) -> Chunk:
    """A response that is one JSON object."""
    chunk = chunk_of(value)
    chunk.model = word(value.get("model"))
    chunk.provider = word(value.get("provider"))
    vectors = [entry.get("embedding") for entry in objects(value.get("data"))]
    chunk.carries_more = any(map(_is_vector, [*vectors, value.get("embeddings")]))  # the latter are Ollama's own
    return chunk


def _is_vector(value: Any) -> bool:
    """A list of numbers, or the same in base64."""
    return bool(value) and isinstance(value, list | str)


EMBEDDINGS = Dialect(
    name="embeddings",
    gives="an embedding",
    path=lambda _base, _model, _stream: "embeddings",
    body=body,
    event=whole,
    whole=whole,
    end=end_of_stream(),
    streams=False,
    makes_text=False,
)
