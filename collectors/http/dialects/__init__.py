"""The APIs of model servers, one module each: how a probe becomes a request, and what a response says.

A new one is a module and a line here (and its name in `api` of the configuration).
"""

from __future__ import annotations

from collectors.http.dialects.anthropic import ANTHROPIC
from collectors.http.dialects.azure import AZURE
from collectors.http.dialects.base import Dialect
from collectors.http.dialects.chat import CHAT
from collectors.http.dialects.embeddings import EMBEDDINGS
from collectors.http.dialects.gemini import GEMINI
from collectors.http.dialects.responses import RESPONSES

DIALECTS: dict[str, Dialect] = {
    "chat": CHAT,
    "responses": RESPONSES,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "azure": AZURE,
    "embeddings": EMBEDDINGS,
}
"""By the target's `api`."""
