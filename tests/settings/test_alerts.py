"""`[[channel]]` and `[[alert]]`: what is right, and each mistake with its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.alerts import DEFAULT_KINDS
from settings.secrecy import redacted
from settings.targets import ConfigError, parse

TARGET = '[[target]]\nname = "acme/a"\nmodel = "m"\nbase_url = "http://h/v1"\n'
CHANNEL = '[[channel]]\nname = "ops"\ntype = "webhook"\nurl_env = "OPS"\n'
PATH = Path("targets.toml")


def test_one_channel_without_an_alert_gets_the_default_kinds_about_every_target() -> None:
    [rule] = parse(TARGET + CHANNEL, PATH, {}).alerts.rules
    assert rule.on == DEFAULT_KINDS == ("down", "recovered", "collector_stopped", "retiring")
    assert rule.to == ("ops",) and (rule.after, rule.clear_after, rule.remind_every_s) == (2, 2, None)
    assert rule.matches("anything", ())


def test_without_a_channel_there_is_nothing() -> None:
    assert parse(TARGET, PATH, {}).alerts.rules == ()


def test_an_alert_is_about_targets_by_pattern_or_by_tag() -> None:
    alert = '[[alert]]\non = ["down"]\ntargets = ["acme/*"]\ntags = ["paid"]\nto = ["ops"]\nremind_every = "1h"\n'
    [rule] = parse(TARGET + CHANNEL + alert, PATH, {}).alerts.rules
    assert rule.matches("acme/x", ()) and rule.matches("other", ("paid",)) and not rule.matches("other", ())
    assert rule.remind_every_s == 3_600.0


def test_a_name_with_brackets_is_itself_too() -> None:
    target = TARGET.replace("acme/a", "a[1]")
    alert = '[[alert]]\non = ["down"]\ntargets = ["a[1]"]\nto = ["ops"]\n'
    [rule] = parse(target + CHANNEL + alert, PATH, {}).alerts.rules
    assert rule.matches("a[1]", ())


def test_a_url_and_a_secret_come_from_the_environment_or_a_file_and_are_never_in_a_text(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example/services/T0ZZ99887766/b4b5c6d7e8f9\n")
    file.chmod(0o600)
    text = TARGET + '[[channel]]\nname = "ops"\ntype = "webhook"\nurl_file = "hook"\nsecret_env = "SIGN"\n'
    [channel] = parse(text, tmp_path / "targets.toml", {"SIGN": "signing-secret-1"}).alerts.channels
    assert channel.url == "https://hooks.example/services/T0ZZ99887766/b4b5c6d7e8f9"
    assert channel.secret == "signing-secret-1" and "signing" not in repr(channel) and "hooks" not in repr(channel)
    said = redacted(f"{channel.url} failed, b4b5c6d7e8f9 too, signing-secret-1; hooks.example is fine")
    assert said.endswith(" failed, [key] too, [key]; hooks.example is fine")
    assert "T0ZZ99887766" not in said and "b4b5c6d7e8f9" not in said


def test_the_tokens_of_an_apprise_url_are_secrets() -> None:
    text = TARGET + '[[channel]]\nname = "any"\ntype = "apprise"\nurl_env = "ANY"\n'
    parse(text, PATH, {"ANY": "slack://xoT1234567A/B987654321/C1122334455@localhost/channel"})
    assert redacted("xoT1234567A B987654321 C1122334455 localhost channel") == "[key] [key] [key] localhost channel"


def test_a_channel_whose_variable_is_not_set_waits_and_says_so() -> None:
    [channel] = parse(TARGET + CHANNEL, PATH, {}).alerts.channels
    assert channel.url is None and channel.where_url_belongs == "set OPS"


def test_a_secret_that_others_can_read_is_a_problem_of_the_channel_alone(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://hooks.example/x")
    (tmp_path / "hook").chmod(0o644)
    text = TARGET + CHANNEL.replace('url_env = "OPS"', 'url_file = "hook"')
    [channel] = parse(text, tmp_path / "targets.toml", {}).alerts.channels
    assert channel.problem is not None and "chmod 600" in channel.problem


def test_a_url_of_the_wrong_kind_is_not_shown() -> None:
    [channel] = parse(TARGET + CHANNEL, PATH, {"OPS": "slack.example/secret-path-1"}).alerts.channels
    assert channel.problem == "its URL is not one that webhook can use; write it as https://host/path"


@pytest.mark.parametrize(
    "text, message",
    [
        (
            CHANNEL + '[[alert]]\non = ["downn"]\nto = ["ops"]\n',
            "targets.toml, line 10: alert 1, on.0: 'downn': input should be 'down', 'recovered', 'degraded', "
            "'collector_stopped', 'budget', 'price_changed', 'context_changed', 'retiring', 'gone', 'identity_changed', 'capability_lost', 'wrong_answers', "
            "'certificate', 'slo_burn', 'relay_errors' or 'internal_error'",
        ),
        (
            CHANNEL + '[[alert]]\non = ["down"]\nto = ["opps"]\n',
            "targets.toml, line 11: alert 1 (down): there is no channel named 'opps'; there are 'ops'",
        ),
        (
            CHANNEL + '[[alert]]\non = ["down"]\nto = ["ops"]\ntargets = ["beta/*"]\n',
            "targets.toml, line 12: alert 1 (down): no target is named 'beta/*'; check the name",
        ),
        (
            CHANNEL + '[[alert]]\non = ["down"]\nto = ["ops"]\nremind_every = "1m"\n',
            "targets.toml, line 12: alert 1, remind_every: a reminder comes at most every 5 minutes; "
            'write "off" for none',
        ),
        (
            CHANNEL + '[[alert]]\non = ["down"]\nto = ["ops"]\nfailure_threshold = 3\n',
            "targets.toml, line 12: alert 1 has no 'failure_threshold'; did you mean 'after'?",
        ),
        (
            CHANNEL + CHANNEL,
            "targets.toml, line 10: channel 2 is named 'ops' as channel 1 is; give each its own name",
        ),
        (
            '[[channel]]\nname = "ops"\ntype = "webhook"\n',
            "targets.toml, line 5: channel 1 ('ops'): it needs url_env, the variable that holds its URL (or url_file, "
            "or url), such as https://host/path",
        ),
        (
            CHANNEL + 'webhook_secret = "x"\n',
            "targets.toml, line 9: channel 1 ('ops') has no 'webhook_secret'; did you mean 'secret_env'? It names the "
            "environment variable that holds the secret; the secret itself does not belong in this file",
        ),
        (
            CHANNEL.replace("webhook", "smtp"),
            "targets.toml, line 5: channel 1 ('ops'): mail needs sender = \"uptoken@example.com\" and recipients = "
            '["ops@example.com"]',
        ),
        ("slo = 100\n", "targets.toml, line 5: target 1 ('acme/a'), slo: 100: input should be less than 100"),
        (
            '[[channel]]\nname = "m"\ntype = "smtp"\nurl = "smtp://me:secret@h"\nsender = "a@b"\nrecipients = ["a@b"]\n',
            "targets.toml, line 8: channel 1 ('m'), url: this looks like a key, and would be stored and shown: put it "
            "in an environment variable and name that with url_env. It has been in a file, so consider replacing it",
        ),
    ],
)
def test_each_mistake_has_its_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TARGET + text, PATH, {})
    assert str(caught.value) == message
