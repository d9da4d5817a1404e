"""`change` and `remove`: the file as it was but for one target, and each change undone."""

from __future__ import annotations

import pytest

from tests.cli.shell import START, Shell


def test_a_target_is_changed_and_removed_with_comments_kept_and_each_undone(shell: Shell) -> None:
    changed = shell.json("change", "first", "--every", "5m", "--tags", "x,y")
    assert shell.config.read_text() == START + 'every = "5m"\ntags = ["x", "y"]\n'
    assert shell.json("change", "first", "--every", "5m")["written"] is False
    assert shell.json("change", "first", "--every", "default", "--tags", "")["written"]
    assert shell.config.read_text() == START
    assert "was changed since" in shell.json("change", "--undo", changed["undo"])["error"]
    shell.config.write_text(f'{START}\n# below\n[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://h/v1"\n')
    before = shell.config.read_text()
    removed = shell.json("remove", "b", "--yes")
    assert shell.config.read_text() == f"{START}\n# below\n"
    assert shell.json("remove", "--undo", removed["undo"])["undone"] == removed["undo"]
    assert shell.config.read_text() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("change", "frist", "--every", "5m"), "no target is named 'frist'; did you mean 'first'?"),
        (("change", "first"), "give a target, and --every or --tags; or --undo ID"),
        (("change", "first", "--every", "never"), "'never' is not a duration"),
        (("change", "first", "--every", "0s"), "every: "),
        (("remove", "first"), "there is no terminal to ask on: add --yes"),
        (("remove", "first", "--yes"), "has no [[target]]: there is nothing to probe"),
        (("remove",), "give a target, or --undo ID"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(shell: Shell, words: tuple[str, ...], said: str) -> None:
    code, _, err = shell(*words)
    assert (code, said in err) == (2, True), err
    assert shell.config.read_text() == START


def test_a_target_that_a_route_needs_is_not_removed(shell: Shell) -> None:
    more = '\n[[target]]\nname = "b"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    shell.config.write_text(START + more + '\n[[route]]\nmodel = "r"\ntargets = ["b"]\n')
    code, _, err = shell("remove", "b", "--yes")
    assert code == 2 and "route 1" in err
    assert shell("remove", "first", "--yes")[0] == 0
    assert shell.names == ["b"]
