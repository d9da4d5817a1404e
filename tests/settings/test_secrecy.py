"""What looks like a secret, and what does not."""

from __future__ import annotations

import pytest

from settings.secrecy import hidden, looks_secret

# made up, in the forms of their vendors
SECRETS = [
    "sk-proj-Zq83hfKw02LmXv77abcdEFGH",
    "sk-or-v1-0f8d3c2b1a09f8e7d6c5b4a39281706f",
    "sk-ant-api03-Zq83hfKw02LmXv77-abc_DEF",
    "gsk_Zq83hfKw02LmXv77abcdEFGHijkl",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "xai-Zq83hfKw02LmXv77abcdEFGHijkl",
    "pplx-Zq83hfKw02LmXv77abcdEFGHijkl",
    "nvapi-Zq83hfKw02LmXv77-abcdEFGHijkl",
    "r8_Zq83hfKw02LmXv77abcdEFGHijkl",
    "fw_Zq83hfKw02LmXv77abcdEFGHijkl",
    "csk-zq83hfkw02lmxv77abcdefgh",
    "tgp_v1_Zq83hfKw02LmXv77abcdEFGHijkl",
    "AIzaSyZq83hfKw02LmXv77abcdEFGHijklmnop",
    "AKIAZQ83HFKW02LMXV77",
    "ghp_Zq83hfKw02LmXv77abcdEFGHijklmnopqrst",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN PRIVATE KEY-----",
]
WORDS = ["0f8d3c2b1a09f8e7d6c5b4a39281706f", "Zq83hfKw02LmXv77abcdEFGHij12", "zQ8hfKw02LmX5v77abcdE3Gh"]
HARMLESS = [
    "google/gemma-3-1b-it:free",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "publishers/anthropic/models/claude-3-5-sonnet@20240620",
    "@cf/meta/llama-3.1-8b-instruct",
    "ft:gpt-4o-mini-2024-07-18:acme:uptime:9aBcDeFg",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcd1234efgh",
    "pplx-70b-online",
    "hf_transformers_benchmark",
    "sk-learn",
    "OPENROUTER_API_KEY",
    "MYCOMPANYOPENROUTERAPIKEY2024",
    "owner:ada@example.com",
    "https://openrouter.ai/api/v1",
    "http://127.0.0.1:8095/v1",
    "http://[::1]:8095/v1",
    "https://api.cloudflare.com/client/v4/accounts/0f8d3c2b1a09f8e7d6c5b4a39281706f/ai/v1",
    "https://zq83hfkw02lmxv77.us-east-1.aws.endpoints.huggingface.cloud/v1",
    "Gemma 3 270M, this machine",
    "123e4567-e89b-12d3-a456-426614174000",
    "sqlite:////var/lib/uptoken/data/uptoken.db",
    "clickhouse://reader@host:8123/uptoken",
    "",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_of_a_vendors_form_is_found_anywhere(secret: str) -> None:
    assert looks_secret(secret)
    for text in (secret, f"Incorrect API key provided: {secret}.", f"https://host/v1/{secret}", f'"{secret}",'):
        assert secret not in hidden(text)


@pytest.mark.parametrize("secret", WORDS)
def test_a_value_that_is_one_long_random_word_looks_secret(secret: str) -> None:
    assert looks_secret(secret)
    assert not looks_secret(f"https://host/{secret}/v1")  # an account's number, say


@pytest.mark.parametrize("value", HARMLESS)
def test_what_belongs_into_a_configuration_does_not(value: str) -> None:
    assert not looks_secret(value)
    assert hidden(value) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clickhouse://ada:hunter2@host:8123/db", "clickhouse://ada:…@host:8123/db"),
        ("clickhose:/ada:hunter2@host", "clickhose:/ada:…@host"),
        ("clickhouse://ada:p@ss/w:rd@host", "clickhouse://ada:…@host"),
        ("clickhouse://ada:hunter2", "clickhouse://ada:…"),
        ("http://proxy:3128 failed", "http://proxy:3128 failed"),
        ("https://h/v1?api-version=1&api_key=hunter2&x=1", "https://h/v1?api-version=1&api_key=[key]&x=1"),
        ("no 'Authorization: Bearer hunter2x9' here", "no 'Authorization: Bearer [key]' here"),
    ],
)
def test_logins_in_urls_and_headers_are_hidden(text: str, expected: str) -> None:
    assert hidden(text) == expected
