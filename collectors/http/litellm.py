"""What a LiteLLM proxy says in its headers of the way a request took and of its cost.

https://docs.litellm.ai/docs/proxy/response_headers; the values were recorded from version 1.108.7. Of
`x-litellm-model-api-base` nothing is kept: such an address can hold a key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from collectors.http.dialects.base import word

MOST_STEPS = 32


def litellm_route(headers: Mapping[str, str], asked_model: Any, http_status: int) -> str | None:
    """The attempts as a JSON list in the shape of `reply.route_of`; null when no LiteLLM answered.

    A provider is a model group of the proxy's configuration. The first attempt was at the group that was asked for, the
    last at the one that answered; what was tried between them is counted there, not named.
    """
    group = word(headers.get("x-litellm-model-group"))
    model = word(headers.get("x-litellm-model-name")) or word(headers.get("x-litellm-model-id"))
    if group is None and model is None:
        return None
    fallbacks = _count(headers.get("x-litellm-attempted-fallbacks"))
    asked = word(asked_model)
    failed = [{"provider": asked if n == 0 else None, "model": None, "status": None} for n in range(fallbacks)]
    return json.dumps([*failed, {"provider": group or model, "model": model, "status": http_status}])


def litellm_cost_usd(headers: Mapping[str, str]) -> float | None:
    """What the response cost; null for 0, which LiteLLM also says when it does not know the price."""
    try:
        cost_usd = float(headers.get("x-litellm-response-cost", ""))
    except ValueError:
        return None
    return cost_usd if math.isfinite(cost_usd) and 0 < cost_usd < 10**6 else None


def _count(value: str | None) -> int:
    return min(int(value), MOST_STEPS - 1) if value and re.fullmatch(r"[0-9]{1,9}", value) else 0
