"""`[[workload]]`: which targets it is about, its limits, and what is wrong with it, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings.targets import Config, ConfigError, parse
from settings.workloads import Workload

TARGETS = """
[[target]]
name = "acme/a"
model = "m"
base_url = "http://127.0.0.1:1/v1"
tags = ["prod"]
[[target]]
name = "b"
model = "m"
base_url = "http://127.0.0.1:1/v1"
"""


def load(*sections: str) -> Config:
    text = TARGETS + "".join(f"[[workload]]\n{section}\n" for section in sections)
    return parse(text, Path("targets.toml"), {})


def test_nothing_is_sent_without_a_section() -> None:
    assert [target.workloads for target in load().targets] == [(), ()]


def test_a_workload_is_about_names_patterns_and_tags_and_a_target_may_have_several() -> None:
    settings = load(
        'name = "ladder"\ntargets = ["*"]',
        'name = "long"\ntargets = ["acme/*"]\ninput_tokens = [100000, 50]\noutput_tokens = 16\nevery = "1d"',
        'name = "tagged"\ntags = ["prod"]\ninput_tokens = [100]\nprompt_cache = true',
    )
    ladder = Workload("ladder", (100, 1_000, 10_000), 128, 21_600.0)
    long = Workload("long", (50, 100_000), 16, 86_400.0)
    tagged = Workload("tagged", (100,), 128, 21_600.0, 5_000)
    assert [target.workloads for target in settings.targets] == [(ladder, long, tagged), (ladder,)]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('name = "x"', "it needs targets or tags, because it costs money"),
        ('targets = ["b"]', "workload 1 needs name"),
        ('name = "x"\ntargets = ["c"]', "line 11: workload 1 ('x') names 'c', and no target does"),
        ('name = "x"\ntags = ["dev"]', "workload 1 ('x') has the tag 'dev', and no target does"),
        ('name = "x"\ntargets = ["b"]\nprompt_tokens = [100]', "did you mean 'input_tokens'?"),
        (
            'name = "x"\ntargets = ["b"]\ninput_tokens = 100',
            "write a list of 1 to 10 sizes, such as [100, 1000, 10000]",
        ),
        ('name = "x"\ntargets = ["b"]\ninput_tokens = []', "write a list of 1 to 10 sizes"),
        ('name = "x"\ntargets = ["b"]\ninput_tokens = [100, 100]', "a size is listed twice"),
        ('name = "x"\ntargets = ["b"]\ninput_tokens = [10]', "input_tokens.0: 10"),
        ('name = "x"\ntargets = ["b"]\noutput_tokens = 5000', "output_tokens: 5000"),
        ('name = "x"\ntargets = ["b"]\nevery = "5s"', "every: '5s'"),
        ('name = "x"\ntargets = ["b"]\n[[workload]]\nname = "x"\ntargets = ["b"]', "has the name of another one"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(section)
    assert message in str(raised.value)
    assert str(raised.value).startswith("targets.toml, line 1")
