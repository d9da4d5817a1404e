"""`add`: new targets in targets.toml, each probed once and priced before it is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from cli.options import ConfigPath, location

if TYPE_CHECKING:
    from cli.add_target import AddRequest
    from cli.target_draft import Proposals
    from settings.sections import Api

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
Undo = Annotated[str | None, typer.Option("--undo", metavar="ID", help="Undo the change with this ID.")]
Every = Annotated[
    str | None, typer.Option("--every", metavar="DURATION", help="The interval of its probes: 30s, 5m, 1h.")
]
Tags = Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Its tags, separated by commas.")]
Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="Add models: of a LiteLLM YAML file (-: from stdin), openrouter, ollama.",
    ),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="MODEL", help="The model's name on the server, or part of it.")
]
KeyEnv = Annotated[
    str | None,
    typer.Option("--api-key-env", metavar="NAME", help="The environment variable that holds its key."),
]
KeyFile = Annotated[
    str | None,
    typer.Option("--api-key-file", metavar="FILE", help="A file that holds its key, and that only its owner can read."),
]


def add(
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Its name. [default: the model's]")] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The base URL of its API: https://host/v1.")
    ] = None,
    model: Models = None,
    api: Annotated[str | None, typer.Option(metavar="API", help="Its API. [default: detected]")] = None,
    api_key_env: KeyEnv = None,
    api_key_file: KeyFile = None,
    every: Every = None,
    tags: Tags = None,
    source: Source = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Probe it and show the TOML; write nothing.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Send nothing; write it as given.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the server's models, and stop.")] = False,
    undo: Undo = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Add a target to targets.toml: add --base-url localhost:11434, or add --from ollama.

    Detects the server's API, lists its models, probes the one that you choose once, shows what a day costs, and writes
    the target; comments are kept, and a running collector picks it up. Asks on a terminal for what is missing.
    """
    from cli.add_target import AddRequest
    from cli.questions import can_ask
    from settings.editing import config_path

    path = config_path(config)
    if undo is not None:
        return undo_change(path, undo, as_json=as_json)
    asks = not (as_json or yes or dry_run or show) and can_ask()
    if not (asks or yes or dry_run or show):
        needed = () if source else (("--base-url URL", base_url), ("--model MODEL", model))
        _refuse_without_terminal([option for option, given in needed if not given])
    request = AddRequest(
        path, location(), asks, not no_test, name, base_url, tuple(model or ()), _known_api(api),
        _checked_variable(api_key_env), api_key_file, _checked_every(every), split_tags(tags),
    )  # fmt: skip
    if show:
        return _list(request, source, as_json=as_json)
    found = _propose(request, source)
    if not as_json:
        _print_proposals(found)
    undo_id = None
    if found.targets and not dry_run and _confirm_write(found, request, yes=yes, may_wait=source is not None):
        from cli.target_draft import plan_drafts
        from settings.editing import write_edit

        undo_id = write_edit(plan_drafts(path, [each.draft for each in found.targets]))
    _finish(found, path, undo_id, as_json=as_json)
    return 0 if undo_id is not None or dry_run or asks else 2


def _refuse_without_terminal(missing: list[str]) -> None:
    options = [*missing, "--yes (or --dry-run, to write nothing)"]
    raise typer.BadParameter(f"there is no terminal to ask on: give {', '.join(options)}")


def undo_change(path: Path, undo: str, *, as_json: bool) -> int:
    """Undo a change of the file. Raises ConfigError."""
    from settings.editing import undo_edit

    undo_edit(path, undo)
    print(json.dumps({"file": str(path), "undone": undo}) if as_json else f"{path}: the change was undone")
    return 0


def split_tags(text: str | None) -> tuple[str, ...]:
    """The tags of `a, b`, each once."""
    return tuple(dict.fromkeys(tag.strip() for tag in (text or "").split(",") if tag.strip()))


def _known_api(api: str | None) -> Api | None:
    from settings.sections import Api

    if api is not None and api not in get_args(Api):
        raise typer.BadParameter(f"{api!r} is not one of {', '.join(get_args(Api))}", param_hint="--api")
    return cast("Api | None", api)


def _checked_variable(name: str | None) -> str | None:
    from settings.sections import checked_variable

    try:
        return None if name is None else checked_variable(name)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--api-key-env") from None


def _checked_every(text: str | None) -> str | None:
    from settings.durations import seconds

    try:
        if text is not None:
            seconds(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--every") from None
    return text


def _propose(request: AddRequest, source: str | None) -> Proposals:
    from cli.add_from import propose_from_source
    from cli.add_target import propose_target
    from cli.target_names import configured_names

    taken = configured_names(request.path)
    return propose_target(request, taken) if source is None else propose_from_source(request, source, taken)


def _list(request: AddRequest, source: str | None, *, as_json: bool) -> int:
    """Print the models of a server or a source."""
    from cli.add_from import list_models

    listed = list_models(request, source)
    if as_json:
        print(json.dumps(listed))
    else:
        print(f"{listed['base_url']} ({listed['api']} API) lists {len(listed['models'])} models", file=sys.stderr)
        for each in listed["models"]:
            print(each["id"])
    return 0


def _print_proposals(found: Proposals) -> None:
    for note in found.notes:
        print(note)
    for each in found.targets:
        trial = each.trial.reason if each.trial else "not tested"
        print(f"{each.draft.name}: {trial}; {each.day.probes:,.0f} probes a day, {_at_most(each.day.words)}")
    for skipped in found.skipped:
        print(f"{skipped.name}: skipped, {skipped.reason}")
    if found.targets:
        print(f"\n{found.toml}")


def _at_most(words: str) -> str:
    """The cost of a day in a sentence.

    >>> _at_most("$0.0100, price unknown, assumed high")
    'at most $0.0100 a day, price unknown, assumed high'
    """
    amount, comma, rest = words.partition(",")
    return f"at most {amount} a day{comma}{rest}" if words.startswith("$") else words


def _confirm_write(found: Proposals, request: AddRequest, *, yes: bool, may_wait: bool) -> bool:
    """Whether to write the targets. `may_wait`: also those whose key is not set yet. Raises ConfigError when a probe
    failed and there is no terminal to ask on.
    """
    from cli.questions import confirm
    from settings.targets import ConfigError

    bad = [
        (each.draft.name, each.trial.reason)
        for each in found.targets
        if each.trial and not each.trial.is_reached and not (may_wait and each.trial.waits_for_key)
    ]
    if not request.asks:
        if bad:
            hint = "correct that, or add --no-test to write it as it is"
            raise ConfigError(f"nothing was written: {bad[0][0]}: {bad[0][1]}; {hint}")
        return yes
    question = f"Write this to {request.path}, although the test failed?" if bad else f"Write this to {request.path}?"
    return confirm(question, default=not bad)


def _finish(found: Proposals, path: Path, undo_id: str | None, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {
            "file": str(path),
            "written": undo_id is not None,
            "undo": undo_id,
            "targets": [each.as_json for each in found.targets],
            "skipped": [{"name": each.name, "reason": each.reason} for each in found.skipped],
            "notes": list(found.notes),
            "toml": found.toml,
        }
        print(json.dumps(document))
        return
    if undo_id is None:
        print("nothing was written")
        return
    print(f"written to {path}; a running collector picks it up within seconds; `add --undo {undo_id}` undoes it")
    for variable in sorted({each.draft.api_key_env for each in found.targets if each.draft.api_key_env}):
        print(f"the collector needs {variable} in its environment")
