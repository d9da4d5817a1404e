"""More shapes of errors, each where it was reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.http.errors import read_error_body


@pytest.mark.parametrize(
    ("body", "described"),
    [
        # Alishahryar1/free-claude-code#1021
        ({"status": 404, "title": "Not Found", "detail": "Function 'x': Not found"}, "Function 'x': Not found"),
        ({"status": 403, "title": "Forbidden"}, "Forbidden"),
        ({"errors": [{"code": 7009, "message": "Upstream service unavailable"}]}, "7009: Upstream service unavailable"),
        ({"error": ["Error in `parameters`: too long"]}, "Error in `parameters`: too long"),
        ({"__type": "com.amazon#AccessDeniedException", "message": "no"}, "AccessDeniedException: no"),
        (
            {"error": {"message": "Error code: 401 - {'error': {'message': 'Incorrect key', 'code': 'invalid_api_key'}}"}},
            "Incorrect key",
        ),
        ({"error": {"message": "x: Error code: 429 - {'error': [broken"}}, "x: Error code: 429 - {'error': [broken"),
    ],
)  # fmt: skip
def test_more_shapes_of_an_error(body: dict[str, Any], described: str) -> None:
    found = read_error_body(json.dumps(body).encode())
    assert found is not None and found.describe() == described
