"""Sample code fits its model; that it runs is shown in tests/test_browser.py, against the real one."""

from __future__ import annotations

import ast
import json
import re
import shlex

import pytest

from pages.shared.samples import SAMPLES, Callee, curl, python_openai, python_requests

PLAIN = Callee("gemma-3-270m", "http://127.0.0.1:8095/v1", None)
ROUTED = Callee("google/gemma-3-1b-it:free", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", False, True)
SEEING = Callee("x/sees", "https://h/v1", "K", True)


@pytest.mark.parametrize("callee", [PLAIN, ROUTED, SEEING])
@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_sample_names_the_model_and_the_server(callee: Callee, name: str) -> None:
    code = SAMPLES[name][1](callee)
    assert callee.model in code
    assert callee.base_url in code
    assert (callee.key in code) == (callee.api_key_env is not None)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_an_image_is_asked_about_only_where_the_model_takes_images(name: str) -> None:
    write = SAMPLES[name][1]
    assert "image_url" in write(SEEING)
    assert "image" not in write(ROUTED)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_only_a_router_is_told_who_calls(name: str) -> None:
    write = SAMPLES[name][1]
    assert "X-Title" in write(ROUTED)
    assert "X-Title" not in write(PLAIN)


@pytest.mark.parametrize("callee", [PLAIN, ROUTED, SEEING])
def test_the_python_samples_are_python_and_the_curl_sample_sends_json(callee: Callee) -> None:
    ast.parse(python_openai(callee))
    ast.parse(python_requests(callee))
    words = shlex.split(re.sub(r"\\\\\n", " ", curl(callee)))
    assert json.loads(words[words.index("-d") + 1])["model"] == callee.model
