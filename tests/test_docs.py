"""What the documents say is what the program does."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import typer

from cli import command_line
from collectors.http.classifier import CODES, SPECIFIC_STATUSES, STATUS_WORDS
from settings.maintenance import MaintenanceSection
from settings.relay import RelaySection, RouteSection
from settings.sections import CollectorSection, OpenRouterSection, TargetSection
from settings.targets import parse
from store import open_store
from store.outcomes import DOWN, NOT_COUNTED, UP
from store.rollups import EXPORTED
from store.schema import TABLES
from store.sqlite_queries import INTERNED

KINDS = {"text": "TEXT", "integer": "INTEGER", "moment": "INTEGER", "flag": "INTEGER", "real": "REAL"}
ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")))
]
WITH_COMMANDS = [*DOCUMENTS, ROOT / "Procfile", *(ROOT / "deploy").glob("[!_]*")]


def _commands() -> dict[str, set[str]]:
    """Each command of the real command line, with its options."""
    found = {}
    for name, command in typer.main.get_command(command_line()).commands.items():  # type: ignore[attr-defined]
        parts = [command, *getattr(command, "commands", {}).values()]  # of a group, those of its commands, too
        found[name] = {option for part in parts for parameter in part.params for option in parameter.opts} | {"--help"}
    return found


def _documented() -> list[tuple[str, str]]:
    lines = []
    for path in WITH_COMMANDS:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            lines += [(path.name, line) for line in re.findall(r"python -m collectors ([^`\n#|>]*)", text)]
    return lines


@pytest.mark.parametrize(("document", "line"), _documented())
def test_every_documented_command_exists_with_its_options(document: str, line: str) -> None:
    words = shlex.split(line.split("  ")[0])
    commands = _commands()
    if not words:
        return
    assert words[0] in commands, f"{document}: python -m collectors {line}"
    for word in words[1:]:
        if word.startswith("--"):
            assert word in commands[words[0]], f"{document}: python -m collectors {line}"


def test_the_readme_shows_every_command_and_every_make_target_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"python -m collectors {command}" in readme for command in _commands())
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for path in DOCUMENTS:
        named = re.findall(r"`make\s+([a-z]+)`|^make ([a-z]+)", path.read_text(encoding="utf-8"), re.M)
        assert {one or other for one, other in named} <= targets, path.name


def test_the_readmes_target_is_a_right_configuration() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"```toml\n(.*?)```", readme, re.S):
        assert tomllib.loads(block)
        assert parse(block, Path("README.md"), {}).targets


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in [*DOCUMENTS, ROOT / "data" / "README.md"]:
        for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
            assert link.startswith("https://") or (path.parent / link).exists(), f"{path.name}: {link}"


def _dictionary() -> dict[str, list[tuple[str, str, bool]]]:
    """The tables of data/README.md: name, type and whether it may be null."""
    tables: dict[str, list[tuple[str, str, bool]]] = {}
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name, body in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.S | re.M):
        rows = re.findall(r"^\| `(\w+)` \| (TEXT|INTEGER|REAL) \| (yes|no) \|", body, re.M)
        tables[name] = [(column, kind, null == "yes") for column, kind, null in rows]
    return tables


def test_the_data_dictionary_is_the_real_schema(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/s.db").close()
    connection = apsw.Connection(f"{tmp_path}/s.db")
    real = {
        table: [
            (name, "TEXT" if name in INTERNED.get(table, ()) else kind, not notnull)
            for _, name, kind, notnull, *_ in connection.execute(f"PRAGMA table_info({table})")
        ]
        for table in TABLES
        if TABLES[table] not in EXPORTED
    }
    for table in EXPORTED:  # kept in another shape than it is told in
        real[table.name] = [(column.name, KINDS[column.kind], column.nullable) for column in table.columns]
    assert _dictionary() == real


def test_the_data_dictionary_names_each_tables_key_and_every_outcome() -> None:
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        assert f"Key: `{', '.join(table.key)}`." in text
    counted = dict(re.findall(r"^\| `(\w+)` \| .* \| (up|down|not counted) \|$", text, re.M))
    assert counted == (
        dict.fromkeys(UP, "up") | dict.fromkeys(DOWN, "down") | dict.fromkeys(NOT_COUNTED, "not counted")
    )


def test_the_way_from_sqlite_to_a_fleet_names_every_table_that_can_be_imported() -> None:
    text = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8").partition("## From SQLite")[2].partition("\n## ")[0]
    assert {name for name in TABLES if re.search(rf"`{name}`|import {name} ", text)} == TABLES.keys()


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("[collector]", CollectorSection),
        ("[openrouter]", OpenRouterSection),
        ("[[target]]", TargetSection),
        ("[relay]", RelaySection),
        ("[[route]]", RouteSection),
        ("[[maintenance]]", MaintenanceSection),
    ],
)
def test_every_key_of_the_configuration_is_documented(heading: str, section: type) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    body = re.split(r"^## ", text.partition(f"## {heading}\n")[2], flags=re.M)[0]
    named = {key for cell in re.findall(r"^\| ([^|]*) \|", body, re.M) for key in re.findall(r"`(\w+)`", cell)}
    assert named == set(section.model_fields)  # type: ignore[attr-defined]


def test_the_store_protocol_stays_small() -> None:
    text = (ROOT / "store" / "protocol.py").read_text(encoding="utf-8")
    protocols = re.split(r"^class \w+\((?:\w+, )?Protocol\):$", text, flags=re.M)[1:]
    assert len(protocols) == 3 and max(len(re.findall(r"^    def ", body, re.M)) for body in protocols) <= 8


def _functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function with its lines, decorators aside: a table of what it is tried with is none of them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1
        if not isinstance(node, ast.expr):  # `ast.walk` takes as long for those as all else does
            yield from _functions(node)


def test_modules_and_functions_are_as_short_as_contributing_says() -> None:
    """But for the migrations that were released, which nobody edits."""
    style = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [(module_lines, function_lines)] = re.findall(r"above (\d+) lines, no function\s+above (\d+)", style)
    too_long = []
    for path in [*ROOT.glob("*.py"), *ROOT.glob("[!.]*/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > int(module_lines):
            too_long.append(f"{path}: {lines}")
        if lines > int(function_lines) and path.name != "first_migrations.py":
            found = _functions(ast.parse(text))
            too_long += [f"{path}: {name}" for name, lines in found if lines > int(function_lines)]
    assert too_long == []


def test_the_lock_has_every_pin_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ]+)", lock, re.M))
    for file in ROOT.glob("requirements*.txt"):
        for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", file.read_text(encoding="utf-8"), re.M):
            assert locked.get(name.lower().replace("_", "-")) == version, f"{file.name}: {name}; run `make lock`"
    assert lock.count("--hash=sha256:") > len(locked)


def test_the_table_of_error_codes_is_the_classifiers() -> None:
    text = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")
    section = text.partition("## Codes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [a-z ]+ \| (`.*`) \|$", section, re.M)
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [list(codes) for codes in CODES.values()]
    words = section.partition("Words that say")[2]
    assert all(f"`{word}`" in words for word in STATUS_WORDS)
    assert {
        int(number) for number in re.findall(r"\b\d{3}\b", words.partition("outranks")[2].partition("\n\n")[0])
    } == SPECIFIC_STATUSES
