"""`/api/v1/models` and `/api/v1/endpoints`: what the catalogs say now. Columns: data/README.md."""

from __future__ import annotations

from starlette.requests import Request

from api.endpoint import Answer
from api.parameters import one
from api.rows import row_as_json
from pages.queries import cache
from pages.queries.source import store_url

MODEL_PARAMETERS = ("source", "model")
ENDPOINT_PARAMETERS = ("model",)
MAX_AGE_S = 60


def model_list(request: Request) -> Answer:
    """The models of all sources, of one `source`, or of one name."""
    source, name = one(request, "source"), one(request, "model")
    listed = [
        model for model in cache.models(store_url()) if source in (None, model.source) and name in (None, model.model)
    ]
    return Answer({"models": [row_as_json(model) for model in listed]}, max_age_s=MAX_AGE_S)


def endpoint_list(request: Request) -> Answer:
    """The endpoints of all models, or of one."""
    listed = cache.endpoints(store_url(), one(request, "model"))
    return Answer({"endpoints": [row_as_json(endpoint) for endpoint in listed]}, max_age_s=MAX_AGE_S)
