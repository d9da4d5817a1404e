"""No key in headers, parameters or the body of a request, and nothing there that a request cannot carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.targets import ConfigError, parse

PATH = Path("targets.toml")
GOOD = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://h/v1"\n'
RANDOM = "0f8d3c2b1a09f8e7d6c5b4a392817"
"""As keys of vendors without a form of their own are."""


def said(line: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(GOOD + line + "\n", PATH, {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer x"),
        ("authorization", "x"),
        ("api-key", "x"),
        ("X-Api-Key", "x"),
        ("x-goog-api-key", "x"),
        ("Ocp-Apim-Subscription-Key", "x"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Cookie", "a=b"),
        ("Helicone-Auth", "Bearer x"),
        ("cf-aig-authorization", "Bearer x"),
        ("x-portkey-virtual-key", "x"),
        ("X-Session-Token", "x"),
        ("X-Client-Secret", "x"),
        ("X-Password", "x"),
        ("X-Whatever", "Bearer abc"),
        ("X-Whatever", RANDOM),
        ("X-Whatever", "sk-abcdefghijklmnopqrstuv"),
    ],
)
def test_a_header_that_carries_a_key_is_refused_with_the_way_out(name: str, value: str) -> None:
    message = said(f'headers = {{ "{name}" = "{value}" }}')
    assert message.startswith(
        f"targets.toml, line 5: target 1 ('a'), headers: the header {name} contains a key, which does not belong in this file: "
    )
    assert len(value) < 5 or value not in message
    if name.lower() == "authorization":
        assert message.endswith("name the variable that holds it with api_key_env (or the file, with api_key_file)")
    elif name == "Proxy-Authorization":
        assert "HTTPS_PROXY" in message
    else:
        assert (
            f'with api_key_file), and the header with api_key_header = "{name}"; a target has only one key' in message
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Title", "Uptoken"),
        ("HTTP-Referer", "https://uptoken.example/status"),
        ("X-Max-Tokens", "100"),
        ("X-Token-Limit", "100"),
        ("X-Author", "me"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "prompt-caching-2024-07-31"),
        ("OpenAI-Organization", "org-a1B2c3D4e5F6g7H8i9J0k1L2"),  # an account's name, and no key
        ("OpenAI-Project", "proj_a1B2c3D4e5F6g7H8i9J0k1L2"),
        ("x-portkey-provider", "openai"),
        ("Helicone-Cache-Enabled", "true"),
        ("cf-aig-cache-key", "probe"),
        ("Idempotency-Key", "probe"),
        ("X-Request-Id", "123e4567-e89b-12d3-a456-426614174000"),
        ("X-Authenticated-By", "sso"),
    ],
)
def test_a_header_without_a_key_is_sent(name: str, value: str) -> None:
    target = parse(GOOD + f'headers = {{ "{name}" = "{value}" }}\n', PATH, {}).targets[0]
    assert dict(target.headers) == {name: value}


def test_an_openai_organization_that_is_a_key_is_refused() -> None:
    assert "contains a key" in said('headers = { OpenAI-Organization = "sk-abcdefghijklmnopqrstuv" }')


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "subscription-key", "access_token", "sig"])
def test_a_parameter_that_carries_a_key_is_refused(name: str) -> None:
    assert said(f'params = {{ {name} = "hush" }}') == (
        f"targets.toml, line 5: target 1 ('a'), params: {name!r} contains a key, which does not belong in this file: "
        "name the variable that holds it with api_key_env, and it will be sent in a header"
    )


def test_parameters_without_a_key_are_sent() -> None:
    line = 'params = { api-version = "2024-10-21", alt = "sse", max_tokens = "5", design = "x" }'
    assert len(parse(GOOD + line, PATH, {}).targets[0].params) == 4


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{ api_key = "hush" }', "api_key"),
        ('{ metadata = { token = "hush" } }', "metadata.token"),
        ('{ tools = [{ headers = { Authorization = "hush" } }] }', "tools.0.headers.Authorization"),
        ('{ user = "Bearer hush" }', "user"),
        ('{ key = ["hush"] }', "key.0"),
    ],
)
def test_a_field_of_the_body_that_holds_a_key_is_refused(body: str, where: str) -> None:
    assert said(f"extra_body = {body}") == (
        f"targets.toml, line 5: target 1 ('a'), extra_body: {where} contains a key, which does not belong in this "
        "file: name the variable that holds it with api_key_env"
    )


@pytest.mark.parametrize(
    "line",
    [f'params = {{ x = "{RANDOM}" }}', f'extra_body = {{ x = [{{ y = "{RANDOM}" }}] }}', f'reasoning_effort = "{RANDOM}"',
     f'params = {{ {RANDOM} = "x" }}', f"extra_body = {{ {RANDOM} = 1 }}", f'api_key_header = "{RANDOM}"'],
)  # fmt: skip
def test_what_looks_like_a_key_is_refused_and_not_repeated(line: str) -> None:
    message = said(line)
    assert "looks like a key" in message and RANDOM not in message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{ model = "x" }', "model cannot be replaced: set it with model"),
        ("{ messages = [] }", "messages cannot be replaced: the prompt is Uptoken's own; choose what it asks with check"),
        ("{ stream = false }", "stream cannot be replaced: set it with stream"),
        ("{ contents = [] }", "contents cannot be replaced: the prompt is Uptoken's own; choose what it asks with check"),
        ("{ generationConfig = { candidateCount = 9 } }", "generationConfig.candidateCount cannot be replaced: a probe requests one answer, and the budget relies on that"),
        ("{ n = 4 }", "n cannot be replaced: a probe requests one answer, and the budget relies on that"),
        ("{ since = 2026-01-02 }", 'since is a date or time, which JSON does not have; write it as text: "2026-01-02"'),
        ("{ a = [{ at = 07:32:00 }] }", 'a.0.at is a date or time, which JSON does not have; write it as text: "07:32:00"'),
        ("{ top_p = inf }", "top_p is inf, which JSON does not have; remove it or write a number"),
        ("{ top_p = nan }", "top_p is nan, which JSON does not have; remove it or write a number"),
    ],
)  # fmt: skip
def test_a_field_that_json_does_not_have_or_that_a_probe_sets_is_refused(body: str, message: str) -> None:
    assert said(f"extra_body = {body}") == f"targets.toml, line 5: target 1 ('a'), extra_body: {message}"


def test_other_fields_are_put_into_the_body_as_they_are() -> None:
    line = (
        "extra_body = { chat_template_kwargs = { enable_thinking = false }, prompt_cache_key = 'x', eos_token = '</s>', "
        "generationConfig = { thinkingConfig = { thinkingBudget = 0 } }, max_tokens = 64, top_token = 5, tools = [{ token = {} }] }"
    )
    assert parse(GOOD + line, PATH, {}).targets[0].extra_body["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("depth", [70, 5_000])
def test_a_body_that_is_nested_too_deep_is_said_so(depth: int) -> None:
    assert said("extra_body" + ".a" * depth + " = 1").endswith("nested too deep")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("X Api Key", "this is not a header name; write only the name, such as X-Api-Key"),
        ("Authorization: Bearer", "this is not a header name; write only the name, such as X-Api-Key"),
        ("Host", "host is set by each request itself; write a header such as X-Api-Key"),
    ],
)
def test_the_key_goes_only_into_a_header_that_may_carry_it(name: str, message: str) -> None:
    assert said(f'api_key_header = "{name}"') == f"targets.toml, line 5: target 1 ('a'), api_key_header: {message}"
