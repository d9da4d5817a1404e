"""The check that no test is lost between the parts of `make test`."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from tests.suite import PARTS, ROOT, command, complaints


def test_every_combination_of_marks_is_in_one_part() -> None:
    choices = [Expression.compile(words[words.index("-m") + 1]) for words in PARTS.values()]
    for waits, alone, browser, other in product((False, True), repeat=4):
        marks = {"waits": waits, "alone": alone, "browser": browser}
        assert sum(choice.evaluate(lambda name, **_: marks.get(name, other)) for choice in choices) == 1  # noqa: B023


def test_a_test_that_was_lost_doubled_or_not_collected_everywhere_is_named() -> None:
    assert complaints([["a", "b"], ["b", "a"]], [["a"], ["b"]]) == []
    assert complaints([["a", "b", "c"], ["a", "b"]], [["a"], ["a", "b"]]) == [
        "c is not collected in every part",
        "c never ran",
        "a ran more than once",
    ]


@pytest.mark.process
@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_with_the_projects_own_settings(part: str, tmp_path: Path) -> None:
    words = [*command(tmp_path, PARTS[part]), "--collect-only", "tests/test_suite.py"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "configfile: pyproject.toml" in done.stdout
    assert "Unknown pytest.mark" not in done.stdout + done.stderr
