"""A wrong key or value of targets.toml gets the right one, under the names that other tools use for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.sections import SECTIONS
from settings.targets import ConfigError, parse
from settings.unknown_keys import _GUESSES, VALUES, _by_guess

PATH = Path("targets.toml")
GOOD = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://h/v1"\n'
KEYS = {"": list(SECTIONS)} | {name: list(model.model_fields) for name, model in SECTIONS.items()}
ENV_NOTE = " It names the environment variable that holds the key; the key itself does not belong in this file"
UNIT = ' A duration includes its unit, as in "30s"'
MILLION = " It is in USD per million tokens"


def said(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH, {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right", "note"),
    [
        ("url", "base_url", ""),
        ("endpoint", "base_url", ""),
        ("api_base", "base_url", ""),  # LiteLLM
        ("openai_api_base", "base_url", ""),  # LangChain
        ("baseURL", "base_url", ""),  # openai-node
        ("base-url", "base_url", ""),
        ("BASE_URL", "base_url", ""),
        ("host", "base_url", ""),
        ("azure_endpoint", "base_url", ""),
        ("api_key", "api_key_env", ENV_NOTE),
        ("apiKey", "api_key_env", ENV_NOTE),
        ("key", "api_key_env", ENV_NOTE),
        ("bearer_token", "api_key_env", ENV_NOTE),  # Prometheus
        ("credentials_file", "api_key_file", ""),  # Prometheus
        ("interval", "every", ""),  # Gatus, Uptime Kuma
        ("scrape_interval", "every", ""),  # Prometheus
        ("interval_seconds", "every", UNIT),
        ("timeout_s", "timeout", UNIT),
        ("request_timeout", "timeout", ""),  # LangChain
        ("timeoutMs", "timeout", UNIT),
        ("input_price", "usd_per_million_input", MILLION),
        ("input_cost_per_token", "usd_per_million_input", f"{MILLION}: 1,000,000 times the price of one"),  # LiteLLM
        ("input_cost_per_1k_tokens", "usd_per_million_input", f"{MILLION}: 1,000 times the price of a thousand"),
        ("output_cost_per_token", "usd_per_million_output", f"{MILLION}: 1,000,000 times the price of one"),
        ("cache_read_input_token_cost", "usd_per_million_cached", f"{MILLION}: 1,000,000 times the price of one"),
        ("input_cost_per_request", "usd_per_request", ""),  # LiteLLM
        ("max_output_tokens", "max_tokens", " It limits the output tokens that a probe may request"),
        ("disabled", "enabled", " It means the opposite: enabled = false"),
        ("active", "enabled", ""),
        ("dialect", "api", ""),
        ("type", "api", ""),
        ("custom_llm_provider", "api", ""),  # LiteLLM
        ("wire_api", "api", ""),  # Codex
        ("query", "params", ' It is a table, such as {api-version = "2024-10-21"}'),
        ("api_version", "params", ' It is a table, such as {api-version = "2024-10-21"}'),  # LiteLLM, openai
        ("extra_headers", "headers", ""),  # openai, LiteLLM
        ("defaultHeaders", "headers", ""),  # openai-node
        ("deployment", "model", ""),
        ("model_name", "model", ""),
        ("title", "name", ""),
        ("labels", "tags", ""),  # Prometheus
        ("concurrency", "max_parallel", ""),
        ("streaming", "stream", ""),  # LangChain
        ("disable_streaming", "stream", " It means the opposite: stream = false"),  # LangChain
        ("thinking", "reasoning_effort", ""),
        ("model_kwargs", "extra_body", " It is a table of fields of the request's body"),  # LangChain
        ("temperature", "extra_body", " It is a table of fields of the request's body"),
        ("prompt", "check", ' The prompt is Uptoken\'s own: "sum", "echo" or "off"'),
        ("rpd", "requests_per_day", ""),
        ("evrey", "every", ""),
        ("usd_per_milion_input", "usd_per_million_input", ""),
    ],
)
def test_a_wrong_key_of_a_target_gets_the_right_one(wrong: str, right: str, note: str) -> None:
    assert said(GOOD + f'{wrong} = "x"\n') == (
        f"targets.toml, line 5: target 1 ('a') has no {wrong!r}; did you mean {right!r}?{note}"
    )


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ('[collector]\ninterval = "5s"\n' + GOOD, "[collector] has no 'interval'; did you mean 'every'?"),
        ("[collector]\ndaily_budget = 1\n" + GOOD, "has no 'daily_budget'; did you mean 'usd_per_day'?"),
        ("[collector]\nretries = 3\n" + GOOD, "did you mean 'confirm_after'? A failed probe is repeated once, this long after it"),
        ('[collector]\nmodel = "m"\n' + GOOD, "[collector] has no 'model'; 'model' is a key of [[target]]"),
        (GOOD + "budget = 1\n", "target 1 ('a') has no 'budget'; 'usd_per_day' is a key of [collector]"),
        (GOOD + "retention_days = 3\n", "has no 'retention_days'; 'retention_days' is a key of [collector]"),
        (GOOD + 'proxy = "http://p"\n', "has no 'proxy'; a proxy is set by the environment variable HTTPS_PROXY"),
        ('[openrouter]\napi_key = "x"\n' + GOOD, f"did you mean 'management_key_env'?{ENV_NOTE}"),
        (GOOD.replace("[[target]]", "[[targets]]"), "the file has no 'targets'; did you mean 'target'? Each one starts with a line [[target]]"),
        (GOOD.replace("[[target]]", "[[models]]"), "the file has no 'models'; did you mean 'target'? Each one starts with a line [[target]]"),
        (GOOD.replace("[[target]]", "[[endpoint]]"), "the file has no 'endpoint'; did you mean 'target'? Each one starts with a line [[target]]"),
        (GOOD.replace("[[target]]", "[target]"), "targets.toml, line 1: [[target]]: start each target with a line [[target]], in double brackets"),
        ('every = "5s"\n' + GOOD, "the file has no 'every'; 'every' is a key of [collector]"),
        ('[defaults]\nevery = "5s"\n' + GOOD, "the file has no 'defaults'; did you mean 'collector'?"),
    ],
)  # fmt: skip
def test_a_wrong_key_elsewhere_gets_the_right_one_or_its_section(text: str, end: str) -> None:
    assert said(text).endswith(end)


@pytest.mark.parametrize(
    ("key", "wrong", "right"),
    [
        ("api", "openai", "chat"),
        ("api", "chat/completions", "chat"),
        ("api", "OpenAI", "chat"),
        ("api", "claude", "anthropic"),
        ("api", "messages", "anthropic"),
        ("api", "antropic", "anthropic"),
        ("api", "google", "gemini"),
        ("api", "vertex_ai", "gemini"),
        ("api", "azure_openai", "azure"),
        ("api", "AzureOpenAI", "azure"),
        ("api", "embedding", "embeddings"),
        ("check", "none", "off"),
        ("check", "repeat", "echo"),
        ("check", "math", "sum"),
        ("profile", "speed", "throughput"),
    ],
)
def test_a_wrong_value_gets_the_right_one(key: str, wrong: str, right: str) -> None:
    assert said(GOOD + f'{key} = "{wrong}"\n').endswith(f"; did you mean {right!r}?")


def test_each_guess_means_one_key_that_there_is_and_is_none_itself() -> None:
    for section, table in _GUESSES.items():
        assert table.keys() <= set(KEYS[section])
        words = [guess for guesses in table.values() for guess in guesses.split()]
        assert sorted(words) == sorted(set(words)), f"a guess stands twice in {section!r}"
        assert not _by_guess(table).keys() & set(KEYS[section])
    for table in VALUES.values():
        assert not _by_guess(table).keys() & table.keys()
