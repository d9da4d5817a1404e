"""One `[[target]]` is added, changed or removed in a file that people write, and all else stays as it is."""

from __future__ import annotations

import time
import tomllib

import pytest

from settings.target_blocks import UnusualFileError, append_target, change_target, remove_target, toml_of

TEXT = '''# what we run
[collector]
every = "30s"   # half a minute

# the small one
[[target]]
name = "a" # by its nickname
model = "m"
base_url = "http://h/v1"

# -- production --
[[target]]
name = "b"
model = "m"
base_url = "http://h/v1"   # a tunnel
tags = ["old"]   # for alerts

[target.headers]
X-Title = """
[[target]]
name = "no target"
"""

# who is served
[[route]]
model = "r"
targets = [
    "b",
]
'''


def test_a_new_target_comes_last_and_nothing_before_it_changes() -> None:
    added = append_target(TEXT, {"name": 'c "new"', "model": "m", "base_url": "http://h/v1", "tags": ["x", "y"]})
    assert added == TEXT + (
        '\n[[target]]\nname = "c \\"new\\""\nmodel = "m"\nbase_url = "http://h/v1"\ntags = ["x", "y"]\n'
    )
    assert append_target("", {"name": "c"}) == '[[target]]\nname = "c"\n'


def test_ends_of_lines_stay_as_they_are() -> None:
    text = TEXT.replace("\n", "\r\n")
    added = append_target(text, {"name": "c", "model": "m"})
    assert added == text + '\r\n[[target]]\r\nname = "c"\r\nmodel = "m"\r\n'
    assert change_target(added, "c", {"model": "n"}) == added.replace(
        'name = "c"\r\nmodel = "m"', 'name = "c"\r\nmodel = "n"'
    )
    assert tomllib.loads(remove_target(added, "c")) == tomllib.loads(text)


def test_a_changed_value_stays_where_it_was_and_a_new_key_comes_behind_the_others_of_its_target() -> None:
    changed = change_target(TEXT, "b", {"every": "5m", "tags": ["new"]})
    assert changed == TEXT.replace('tags = ["old"]   # for alerts', 'tags = ["new"]   # for alerts\nevery = "5m"')
    assert change_target(TEXT, "a", {"every": "5m"}) == TEXT.replace(
        'base_url = "http://h/v1"\n\n', 'base_url = "http://h/v1"\nevery = "5m"\n\n'
    )


def test_a_key_that_is_taken_out_leaves_the_rest_of_its_target() -> None:
    assert change_target(TEXT, "b", {"tags": None, "every": None}) == TEXT.replace(
        'tags = ["old"]   # for alerts\n', ""
    )


def test_comments_around_a_removed_target_stay() -> None:
    removed = remove_target(TEXT, "a")
    assert removed == TEXT.replace(
        '[[target]]\nname = "a" # by its nickname\nmodel = "m"\nbase_url = "http://h/v1"\n\n', "\n"
    )
    with_headers_gone = remove_target(TEXT, "b")
    assert (
        "no target" not in with_headers_gone and "# -- production --\n\n# who is served\n[[route]]" in with_headers_gone
    )
    assert [each["name"] for each in tomllib.loads(with_headers_gone)["target"]] == ["a"]


def test_the_last_target_of_a_file_leaves_one_end_of_line() -> None:
    text = append_target(TEXT, {"name": "c", "model": "m", "base_url": "http://h/v1"})
    assert remove_target(text, "c") == TEXT


@pytest.mark.parametrize("change", [lambda text: change_target(text, "x", {}), lambda text: remove_target(text, "x")])
def test_a_name_that_no_target_has_is_a_key_error(change: object) -> None:
    with pytest.raises(KeyError):
        change(TEXT)  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        'target = [{name = "a", model = "m", base_url = "http://h/v1"}]\n',
        '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://h/v1"\n[[ "tar\\u0067et" ]]\nname = "b"\n',
    ],
)
def test_targets_that_are_written_in_another_way_are_left_to_people(text: str) -> None:
    with pytest.raises(UnusualFileError, match="by hand"):
        remove_target(text, "a")
    if "[[" not in text:
        with pytest.raises(UnusualFileError, match="by hand"):
            append_target(text, {"name": "c"})


def test_a_value_with_anything_in_it_is_written_as_toml() -> None:
    fields = {"name": 'x" \\ \x7f ☃', "params": {"api-version": "2024-10-21"}, "tags": ("a",)}
    assert tomllib.loads(toml_of(fields))["target"] == [fields | {"tags": ["a"]}]


def test_a_file_of_a_thousand_targets_is_changed_within_a_second() -> None:
    text = "".join(f'[[target]]\nname = "t{n}"\nmodel = "m"\nbase_url = "http://h{n}/v1"\n\n' for n in range(1_000))
    began = time.process_time()
    assert 'name = "t999"' not in remove_target(text, "t999")
    assert time.process_time() - began < 1  # 0.1 s; it was 9 s when all before each target was read again
