"""A wrong configuration names the file, the line, what is wrong and what would be right."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from collectors.runner.config import ConfigError, load, parse

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
        ("[[target]", "targets.toml is no valid TOML: Expected ']]' at the end of an array declaration "),
        ("", "targets.toml has no [[target]]: there is nothing to probe. The README shows one to copy"),
        (
            '[[target]]\nname = "a"\nmodel = "m"\n',
            "targets.toml, line 1: target 1 ('a') needs base_url "
            "(where its API is, such as https://openrouter.ai/api/v1)",
        ),
        (
            GOOD + 'evry = "5s"\n',
            "targets.toml, line 5: target 1 ('a') has no 'evry'; did you mean 'every'?",
        ),
        ("colour = 1\n" + GOOD, "targets.toml, line 1: the file has no 'colour'; did you mean 'collector'?"),
        (
            '[collector]\nxyzzy = "5s"\n' + GOOD,
            "targets.toml, line 2: [collector] has no 'xyzzy'; it knows every, timeout, confirm_after, "
            "throughput_every, usd_per_day, free_requests_per_day, local_servers_every, catalog_every, "
            "endpoint_stats_every, usage_every, retention_days",
        ),
        (
            GOOD + 'every = "often"\n',
            "targets.toml, line 5: target 1 ('a'), every: 'often' is no duration; write it as 30s, 5m, 1h or 1d",
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
            "targets.toml, line 4: target 1 ('a'), base_url: 'h/v1' is no base URL; write it as https://host/v1",
        ),
        (
            GOOD.replace("http://h/v1", "http://me:secret@h/v1"),
            "targets.toml, line 4: target 1 ('a'), base_url: a key does not belong into the URL; "
            "name the variable that holds it with api_key_env",
        ),
        (
            GOOD.replace("/v1", "/v1/chat/completions"),
            "targets.toml, line 4: target 1 ('a'), base_url: leave /chat/completions out: "
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
        ("target = 5\n", "targets.toml, line 1: [[target]]: 5: input should be a valid tuple"),
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


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(GOOD + 'every = "x"\ntimeout = "y"\n', PATH, {})
    assert str(caught.value).count("\n") == 1


def test_a_missing_file_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration at .*nope.toml: .* --config FILE"):
        load(tmp_path / "nope.toml")


def test_the_default_configuration_is_right() -> None:
    config = load(PATH, {})
    assert [(t.every_s, t.waits_for_key) for t in config.targets] == [(15, False), (1_800, True)]
