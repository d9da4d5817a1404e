"""`[relay]` and `[[route]]`: what they mean, and the sentence that each mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.relay import RelayKey, RelaySettings
from settings.secrecy import redacted
from settings.targets import Config, ConfigError, parse

TARGETS = "".join(
    f'[[target]]\nname = "{name}"\nmodel = "m"\nbase_url = "http://h/v1"\n{more}' for name, more in
    (("a", ""), ("b", ""), ("off", "enabled = false\n"))
)  # fmt: skip
FIRST_LINE = TARGETS.count("\n") + 1
ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdef"


def read(more: str, folder: Path = Path(), **environment: str) -> Config:
    return parse(TARGETS + more, folder / "t.toml", environment)


def mistake(more: str, folder: Path = Path(), **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(more, folder, **environment)
    return str(caught.value).removeprefix(str(folder / "t.toml")).lstrip(", ")


def test_a_route_has_its_enabled_targets_in_order_and_the_documented_defaults() -> None:
    [route] = read('[[route]]\nmodel = "gemma"\ntargets = ["b", "off", "a"]\n').routes
    assert [target.name for target in route.targets] == ["b", "a"]
    assert (route.model, route.strategy) == ("gemma", "price")
    assert (route.connect_timeout_s, route.first_token_timeout_s) == (2, 5)
    assert (route.idle_timeout_s, route.total_timeout_s) == (30, 600)


def test_a_route_says_its_strategy_and_its_times() -> None:
    [route] = read(
        '[[route]]\nmodel = "g"\ntargets = ["a"]\nstrategy = "balanced"\nconnect_timeout = "500ms"\n'
        'first_token_timeout = "1m"\nidle_timeout = 7\ntotal_timeout = "1h"\n'
    ).routes
    assert route.strategy == "balanced"
    assert (route.connect_timeout_s, route.first_token_timeout_s) == (0.5, 60)
    assert (route.idle_timeout_s, route.total_timeout_s) == (7, 3_600)


def test_without_the_sections_there_is_no_route_and_no_key() -> None:
    assert (read("").relay, read("").routes) == (None, ())
    assert read("[relay]\n").relay == RelaySettings()


def test_a_route_may_have_the_name_of_one_of_its_own_targets() -> None:
    [route] = read('[[route]]\nmodel = "a"\ntargets = ["a", "b"]\n').routes
    assert len(route.targets) == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[[route]]\nmodel = "g"\ntargets = ["a",\n"c"]', 2, "route 1 ('g'): there is no target named 'c'; there are 'a'"),
        ('[[route]]\nmodel = "g"\ntargets = ["a", "a"]', 2, "route 1 ('g') has the target 'a' twice"),
        ('[[route]]\nmodel = "g"\ntargets = ["off"]', 2, "route 1 ('g'): all of its targets have enabled = false"),
        ('[[route]]\nmodel = "g"\ntargets = []', 2, "route 1 ('g'), targets: "),
        ('[[route]]\nmodel = "g"\ntargets = "a"', 2, 'route 1 (\'g\'), targets: \'a\': write a list, such as ["a", "b"]'),
        ('[[route]]\nmodel = "g"', 0, "route 1 ('g') needs targets (the names of the targets that serve it)"),
        ('[[route]]\ntargets = ["a"]', 0, "route 1 needs model (the name that clients ask for)"),
        ('[[route]]\nmodel = "b"\ntargets = ["a"]', 1, "route 1 ('b') has the name of a target that is not among"),
        ('[[route]]\nmodel = "g:floor"\ntargets = ["a"]', 1, "route 1 ('g:floor'), model: leave :floor out"),
        ('[[route]]\nmodel = " g"\ntargets = ["a"]', 1, "route 1 (' g'), model: a model's name is one line"),
        ('[[route]]\nmodel = "g"\ntargets = ["a"]\nstrategy = "best"', 3, "route 1 ('g'), strategy: 'best': input should be"),
        ('[[route]]\nmodel = "g"\ntargets = ["a"]\nidle_timeout = "x"', 3, "route 1 ('g'), idle_timeout: 'x' is not a duration"),
        ('[[route]]\nmodel = "g"\ntargets = ["a"]\ntimeout = 3', 3, "route 1 ('g') has no 'timeout'; did you mean 'total_timeout'?"),
        ('[[routes]]\nmodel = "g"', 0, "the file has no 'routes'; did you mean 'route'? Each one starts with a line [[route]]"),
        ('[route]\nmodel = "g"\ntargets = ["a"]', 0, "[[route]]: start each route with a line [[route]], in double brackets"),
        ("[relay]\nusd_per_day = -1", 1, "[relay], usd_per_day: -1: input should be greater than or equal to 0"),
        ('[relay]\nkeys = "x"', 1, "[relay] has no 'keys'; did you mean 'keys_file'?"),
        ('[relay]\nkeys_env = "sk-live key"', 1, "[relay], keys_env: this is the name of the environment variable"),
        ('[relay]\nkeys_file = "f"\nkeys_env = "F"', 1, "[relay], keys_file: keys_file and keys_env both name the keys"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line_and_its_sentence(text: str, line: int, message: str) -> None:
    assert mistake(text + "\n").startswith(f"line {FIRST_LINE + line}: {message}")


def test_the_second_route_of_a_model_is_refused_at_its_own_line() -> None:
    said = mistake('[[route]]\nmodel = "g"\ntargets = ["a"]\n[[route]]\nmodel = "g"\ntargets = ["b"]\n')
    assert said == (
        f"line {FIRST_LINE + 4}: route 2 ('g') has the model of route 1: give all of its targets to one of them"
    )


def test_keys_come_from_an_owner_only_file_and_are_hidden_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "relay-keys"
    file.write_text(f"# clients\nalice = {ALICE}\n\nbob={BOB}\n")
    file.chmod(0o600)
    settings = read('[relay]\nkeys_file = "relay-keys"\nusd_per_day = 5\n', tmp_path).relay
    assert settings == RelaySettings((RelayKey("alice", ALICE), RelayKey("bob", BOB)), 5.0, keys_file=file)
    assert ALICE not in repr(settings)
    assert ALICE not in redacted(f"the client sent {ALICE}")


def test_keys_come_from_a_variable_divided_by_commas() -> None:
    settings = read('[relay]\nkeys_env = "CLIENTS"\n', CLIENTS=f"alice={ALICE}, bob={BOB}").relay
    assert settings is not None
    assert [key.name for key in settings.keys] == ["alice", "bob"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "relay-keys"
    file.write_text(f"alice={ALICE}\n")
    file.chmod(0o644)
    assert "can be read by others than its owner: chmod 600" in mistake('[relay]\nkeys_file = "relay-keys"\n', tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alice", "line 1: write it as name=key"),
        (f"=={ALICE}", "line 1: write it as name=key"),
        ("alice=sho-rt", "line 1: the key of 'alice' needs at least 16 characters"),
        (f"alice={ALICE} {BOB}", "line 1: the key of 'alice' needs at least 16 characters of ASCII without spaces"),
        (f"alice={ALICE}\nalice={BOB}", "line 2: 'alice' has a name or a key that an earlier line has"),
        (f"alice={ALICE}\nbob={ALICE}", "line 2: 'bob' has a name or a key that an earlier line has"),
        ("# nobody", "CLIENTS has no key: write one line name=key"),
    ],
)
def test_what_is_wrong_with_the_keys_is_said_and_no_key_with_it(line: str, message: str) -> None:
    said = mistake('[relay]\nkeys_env = "CLIENTS"\n', CLIENTS=line)
    assert message in said
    assert ALICE not in said and "sho-rt" not in said


@pytest.mark.parametrize("section", ['keys_file = "none-yet"', 'keys_env = "NOT_SET"'])
def test_keys_that_are_not_there_stop_the_relay_and_not_the_collector(section: str) -> None:
    settings = read(f"[relay]\n{section}\n").relay
    assert settings is not None and settings.keys == ()
    assert settings.keys_problem is not None and ("none-yet" in section) == ("none-yet" in settings.keys_problem)
