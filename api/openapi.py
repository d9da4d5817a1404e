"""`/api/v1/openapi.json`: the description of the API. It is kept by hand; the tests check responses against it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request

from api.endpoint import Answer

PATH = "/api/v1/openapi.json"
FILE = Path(__file__).with_name("openapi.json")


def openapi(_request: Request) -> Answer:
    """The file."""
    return Answer(_read(), max_age_s=300)


@cache
def _read() -> bytes:
    return FILE.read_bytes()
