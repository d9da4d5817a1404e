"""A wrong configuration names the file, the line, what is wrong and what would be right."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from settings.sections import CollectorSection, OpenRouterSection, TargetSection
from settings.targets import ConfigError, load, parse

GOOD = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://h/v1"\n'
PATH = Path("targets.toml")


def test_what_a_target_does_not_say_comes_from_the_collector_section() -> None:
    config = parse('[collector]\nevery = "2m"\ntimeout = "5s"\n' + GOOD, PATH, {})
    target = config.targets[0]
    assert (target.every_s, target.timeout_s, target.profile, target.throughput_every_s) == (120, 5, "ping", 3_600)
    assert target.schedules == (("ping", 120), ("throughput", 3_600))
    assert not target.waits_for_key


def test_a_free_model_is_asked_every_half_hour_and_has_no_throughput_probe_unless_it_says_so() -> None:
    free = GOOD.replace('"m"', '"google/gemma-3-1b-it:free"')
    assert parse(free, PATH, {}).targets[0].schedules == (("ping", 1_800),)
    said = parse(free + 'every = "10m"\nthroughput_every = "6h"\n', PATH, {}).targets[0]
    assert said.schedules == (("ping", 600), ("throughput", 21_600))


def test_throughput_can_be_switched_off() -> None:
    assert parse(GOOD + 'throughput_every = "off"\n', PATH, {}).targets[0].schedules == (("ping", 60),)
    assert parse('[collector]\nthroughput_every = "off"\n' + GOOD, PATH, {}).targets[0].schedules == (("ping", 60),)


def test_a_target_waits_until_its_key_is_set() -> None:
    text = GOOD + 'api_key_env = "MY_KEY"\n'
    assert parse(text, PATH, {}).targets[0].waits_for_key
    assert parse(text, PATH, {"MY_KEY": "  "}).targets[0].waits_for_key
    ready = parse(text, PATH, {"MY_KEY": "sk-canary"}).targets[0]
    assert (ready.waits_for_key, ready.key) == (False, "sk-canary")
    assert "sk-canary" not in repr(ready)


def test_a_price_is_exact() -> None:
    target = parse(GOOD + "usd_per_million_input = 0.1\nusd_per_million_output = 0.30\n", PATH, {}).targets[0]
    assert target.usd_per_million_input == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[target]", "targets.toml is not valid TOML: Expected ']]' at the end of an array declaration "),
        ("", "targets.toml has no [[target]]: there is nothing to probe. The README shows one to copy"),
        (
            '[[target]]\nname = "a"\nmodel = "m"\n',
            "targets.toml, line 1: target 1 ('a') needs base_url "
            "(the URL of its API, such as https://openrouter.ai/api/v1)",
        ),
        (
            GOOD + 'evry = "5s"\n',
            "targets.toml, line 5: target 1 ('a') has no 'evry'; did you mean 'every'?",
        ),
        ("colour = 1\n" + GOOD, "targets.toml, line 1: the file has no 'colour'; did you mean 'collector'?"),
        (
            '[collector]\nxyzzy = "5s"\n' + GOOD,
            "targets.toml, line 2: [collector] has no 'xyzzy'; it has every, timeout, confirm_after, "
            "throughput_every, usd_per_day, free_requests_per_day, local_servers_every, catalog_every, "
            "endpoint_stats_every, usage_every, retention_days, max_parallel, dashboard_url, heartbeat_url, "
            "heartbeat_url_env, heartbeat_url_file, heartbeat_token_env",
        ),
        (
            GOOD + 'every = "often"\n',
            "targets.toml, line 5: target 1 ('a'), every: 'often' is not a duration; write it as 30s, 5m, 1h or 1d",
        ),
        (
            GOOD + 'throughput_every = "0s"\n',
            "targets.toml, line 5: target 1 ('a'), throughput_every: 0.0: input should be greater than or equal to 1",
        ),
        (
            GOOD + "every = 0\n",
            "targets.toml, line 5: target 1 ('a'), every: 0: input should be greater than or equal to 1",
        ),
        (
            "[collector]\nusd_per_day = -1\n" + GOOD,
            "targets.toml, line 2: [collector], usd_per_day: -1: input should be greater than or equal to 0",
        ),
        (
            GOOD + 'profile = "pong"\n',
            "targets.toml, line 5: target 1 ('a'), profile: 'pong': input should be 'ping' or 'throughput'",
        ),
        (
            GOOD.replace("http://h/v1", "h/v1"),
            "targets.toml, line 4: target 1 ('a'), base_url: 'h/v1' is not a base URL; write it as https://host/v1",
        ),
        (
            GOOD.replace("http://h/v1", "http://me:secret@h/v1"),
            "targets.toml, line 4: target 1 ('a'), base_url: a key does not belong in the URL; "
            "name the variable that holds it with api_key_env",
        ),
        (
            GOOD.replace("/v1", "/v1/chat/completions"),
            "targets.toml, line 4: target 1 ('a'), base_url: remove /chat/completions: "
            "the base URL ends before it, as in https://host/v1",
        ),
        (
            GOOD.replace("/v1", "/v1/messages"),
            "targets.toml, line 4: target 1 ('a'), base_url: remove /messages: "
            "the base URL ends before it, as in https://host/v1",
        ),
        (
            GOOD + GOOD,
            "targets.toml, line 6: target 2 is named 'a' as target 1 is; "
            "a name is what its history is kept under, so give each its own",
        ),
        (
            GOOD + 'requests_per_day = "x"\n',
            "targets.toml, line 5: target 1 ('a'), requests_per_day: 'x': "
            "input should be a valid integer, unable to parse string as an integer",
        ),
        ("target = 5\n", 'targets.toml, line 1: [[target]]: 5: write a list, such as ["a", "b"]'),
        (
            GOOD.replace('"a"', '" a"'),
            "targets.toml, line 2: target 1 (' a'), name: a name is one line of printable text without spaces around it",
        ),
    ],
)
def test_each_mistake_has_its_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH, {})
    said = str(caught.value)
    assert said.startswith(message) if "TOML" in message else said == message


WRONG = [
    ("collector", "every", '"0.5s"', "every: '0.5s': input should be greater than or equal to 1"),
    ("collector", "every", "true", "every: true is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("collector", "timeout", "0", "timeout: 0: input should be greater than 0"),
    ("collector", "timeout", '"11m"', "timeout: '11m': input should be less than or equal to 600"),
    ("collector", "confirm_after", '"soon"', "confirm_after: 'soon' is not a duration; write it as 30s, 5m, 1h or 1d"),
    (
        "collector",
        "throughput_every",
        '"8d"',
        "throughput_every: 691200.0: input should be less than or equal to 604800",
    ),
    ("collector", "usd_per_day", '"cheap"', "usd_per_day: 'cheap': input should be a valid decimal"),
    ("collector", "usd_per_day", "nan", "usd_per_day: nan: input should be a finite number"),
    ("collector", "max_parallel", "0", "max_parallel: 0: input should be greater than or equal to 1"),
    (
        "collector",
        "heartbeat_url",
        '"ftp://h/secret"',
        "heartbeat_url is not an address: write it as https://hc-ping.com/...",
    ),
    (
        "collector",
        "heartbeat_url_env",
        '"https://h/x"',
        "heartbeat_url_env: this is the name of the environment variable that holds the key, such as ACME_API_KEY, not the key itself",
    ),
    ("collector", "heartbeat_url_file", "1", "heartbeat_url_file: 1: input should be a valid string"),
    (
        "collector",
        "heartbeat_token_env",
        '"a b"',
        "heartbeat_token_env: this is the name of the environment variable that holds the key, such as ACME_API_KEY, not the key itself",
    ),
    (
        "target",
        "usd_per_million_cached",
        "-1",
        "usd_per_million_cached: -1: input should be greater than or equal to 0",
    ),
    ("target", "usd_per_request", '"free"', "usd_per_request: 'free': input should be a valid decimal"),
    (
        "target",
        "enabled",
        '"perhaps"',
        "enabled: 'perhaps': input should be a valid boolean, unable to interpret input",
    ),
    (
        "target",
        "api",
        '"claude"',
        "api: 'claude': input should be 'chat', 'responses', 'anthropic', 'gemini', 'azure' or 'embeddings'; did you mean 'anthropic'?",
    ),
    ("target", "api_key_header", '""', "api_key_header: '': string should have at least 1 character"),
    ("target", "params", '"a=b"', "params: 'a=b': write a table, such as {X-Title = \"Uptoken\"}"),
    ("target", "extra_body", "[]", 'extra_body: write a table, such as {X-Title = "Uptoken"}'),
    ("target", "stream", '"x"', "stream: 'x': input should be a valid boolean, unable to interpret input"),
    ("target", "max_tokens", "0", "max_tokens: 0: input should be greater than or equal to 1"),
    ("target", "reasoning_effort", '"so much"', "reasoning_effort: 'so much': write one word, such as low"),
    ("target", "check", '"product"', "check: 'product': input should be 'sum', 'echo' or 'off'"),
    ("target", "max_parallel", "257", "max_parallel: 257: input should be less than or equal to 256"),
    (
        "collector",
        "free_requests_per_day",
        "-1",
        "free_requests_per_day: -1: input should be greater than or equal to 0",
    ),
    (
        "collector",
        "free_requests_per_day",
        "1.5",
        "free_requests_per_day: 1.5: input should be a valid integer, got a number with a fractional part",
    ),
    (
        "collector",
        "local_servers_every",
        '"1"',
        "local_servers_every: '1' is not a duration; write it as 30s, 5m, 1h or 1d",
    ),
    ("collector", "catalog_every", "-5", "catalog_every: -5: input should be greater than or equal to 1"),
    (
        "collector",
        "endpoint_stats_every",
        "[1]",
        "endpoint_stats_every: [1] is not a duration; write it as 30s, 5m, 1h or 1d",
    ),
    ("collector", "usage_every", '"never"', "usage_every: 'never' is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("collector", "retention_days", "1", "retention_days: 1: input should be greater than or equal to 2"),
    (
        "collector",
        "retention_days",
        '"long"',
        "retention_days: 'long': input should be a valid integer, unable to parse string as an integer",
    ),
    ("openrouter", "base_url", '"ftp://x"', "base_url: 'ftp://x' is not a base URL; write it as https://host/v1"),
    ("openrouter", "watch", '"a/b"', 'watch: \'a/b\': write a list, such as ["a", "b"]'),
    ("openrouter", "watch", "[1]", "watch.0: 1: input should be a valid string"),
    (
        "openrouter",
        "management_key_env",
        '"a b"',
        "management_key_env: this is the name of the environment variable that holds the key, such as ACME_API_KEY, not the key itself",
    ),
    ("target", "model", '""', "model: '': string should have at least 1 character"),
    ("target", "model", "5", "model: 5: input should be a valid string"),
    ("target", "name", '""', "name: '': string should have at least 1 character"),
    ("target", "name", '"a\\nb"', "name: a name is one line of printable text without spaces around it"),
    ("target", "base_url", "5", "base_url: 5: input should be a valid string"),
    ("target", "every", '"1y"', "every: '1y' is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("target", "timeout", '"-1s"', "timeout: '-1s' is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("target", "profile", "1", "profile: 1: input should be 'ping' or 'throughput'"),
    (
        "target",
        "throughput_every",
        '"often"',
        "throughput_every: 'often' is not a duration; write it as 30s, 5m, 1h or 1d",
    ),
    (
        "target",
        "api_key_env",
        '"sk-123"',
        "api_key_env: this is the name of the environment variable that holds the key, such as ACME_API_KEY, not the key itself",
    ),
    ("target", "api_key_file", '""', "api_key_file: '': string should have at least 1 character"),
    ("target", "provider", '""', "provider: '': string should have at least 1 character"),
    ("target", "requests_per_day", "-1", "requests_per_day: -1: input should be greater than or equal to 0"),
    (
        "target",
        "usd_per_million_input",
        "-0.1",
        "usd_per_million_input: -0.1: input should be greater than or equal to 0",
    ),
    ("target", "usd_per_million_output", '"inf"', "usd_per_million_output: 'inf': input should be a finite number"),
    ("target", "headers", '"x"', "headers: 'x': write a table, such as {X-Title = \"Uptoken\"}"),
    ("target", "headers", "{a = 1}", "headers.a: 1: input should be a valid string"),
    ("target", "tags", '"x"', 'tags: \'x\': write a list, such as ["a", "b"]'),
    ("target", "tags", "[1]", "tags.0: 1: input should be a valid string"),
    ("target", "ttft_max", '"fast"', "ttft_max: 'fast' is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("target", "identity", '"hourly"', "identity: 'hourly' is not a duration; write it as 30s, 5m, 1h or 1d"),
    ("target", "capabilities", '"daily"', "capabilities: 'daily' is not a duration; write it as 30s, 5m, 1h or 1d"),
    (
        "target",
        "capabilities_context",
        "true",
        "capabilities_context: true is not a duration; write it as 30s, 5m, 1h or 1d",
    ),
    ("target", "slo", "100", "slo: 100: input should be less than 100"),
    (
        "collector",
        "dashboard_url",
        '"stats.example"',
        "dashboard_url: 'stats.example' is not a base URL; write it as https://host/v1",
    ),
]
"""A section, a key, a wrong value, and what is said of it behind its place."""


def _place(section: str, key: str, value: str) -> str:
    if section != "target":
        return f"targets.toml, line 2: [{section}], "
    line = {"name": 2, "model": 3, "base_url": 4}.get(key, 5)
    name = json.loads(value) if key == "name" else "a"
    return f"targets.toml, line {line}: target 1 ({name!r}), "


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [(*row[:3], _place(*row[:3]) + row[3]) for row in WRONG],
)
def test_each_wrong_value_of_each_key_has_its_sentence(section: str, key: str, value: str, message: str) -> None:
    if section == "target":
        right = {"name": '"a"', "model": '"m"', "base_url": '"http://h/v1"'}
        text = "[[target]]\n" + "".join(f"{name} = {said}\n" for name, said in (right | {key: value}).items())
    else:
        text = f"[{section}]\n{key} = {value}\n{GOOD}"
    with pytest.raises(ConfigError) as caught:
        parse(text, PATH, {})
    assert str(caught.value) == message


def test_every_key_has_a_wrong_value_above() -> None:
    tried = {(section, key) for section, key, *_ in WRONG}
    sections = {"collector": CollectorSection, "openrouter": OpenRouterSection, "target": TargetSection}
    assert tried == {(name, key) for name, section in sections.items() for key in section.model_fields}


def test_a_base_url_keeps_its_query_and_a_key_in_it_is_refused() -> None:
    azure = "https://h/openai/deployments/d?api-version=2024-10-21"
    assert parse(GOOD.replace("http://h/v1", azure), PATH, {}).targets[0].base_url == azure
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace("http://h/v1", "http://h/v1?api_key=short"), PATH, {})
    assert "remove 'api_key' from the query" in str(caught.value) and "short" not in str(caught.value)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(GOOD + 'every = "x"\ntimeout = "y"\n', PATH, {})
    assert str(caught.value).count("\n") == 1


def test_a_missing_file_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration at .*nope.toml: .* --config FILE"):
        load(tmp_path / "nope.toml")


def test_the_default_configuration_is_right() -> None:
    config = load(PATH, {})
    assert [(t.every_s, t.waits_for_key) for t in config.targets] == [(60, False), (1_800, True)]
