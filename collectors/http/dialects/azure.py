"""Azure OpenAI: Chat Completions below a deployment's own URL, or below the newer `/openai/v1`, with its own header.

The base URL is the resource's (`https://name.openai.azure.com`), a deployment's, or ends with `/openai/v1`, or with
`/models`, where Azure has the models of other makers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from collectors.http.dialects.chat import CHAT

API_VERSION = "2024-10-21"
"""What a deployment's URL needs where nothing says another version: the newest that is no preview."""
MODELS_API_VERSION = "2024-05-01-preview"
"""The same for `/models`, which has only previews."""


def path(base: str, model: str, _stream: bool) -> str:
    """Where to POST below a base URL's path."""
    base = base.rstrip("/")
    if "/deployments/" in f"{base}/" or base.endswith(("/v1", "/models")):
        return "chat/completions"
    below = "" if base.endswith("/openai") else "openai/"
    return f"{below}deployments/{quote(model, safe='')}/chat/completions"


def query(base: str) -> Mapping[str, str]:
    """`api-version`, which all but the newer URLs need."""
    base = base.rstrip("/")
    if base.endswith("/v1"):
        return {}
    return {"api-version": MODELS_API_VERSION if base.endswith("/models") else API_VERSION}


def list_path(base: str) -> str | None:
    """A deployment's name is its owner's own, and in no list of models."""
    return "models" if base.rstrip("/").endswith("/v1") else None


AZURE = replace(
    CHAT,
    name="azure",
    path=path,
    query=query,
    body=lambda wish: CHAT.body(replace(wish, provider=None)),
    list_path=list_path,
    key_header="api-key",
    may_be_llama_cpp=False,
)
