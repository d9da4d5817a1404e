"""`change` and `remove`: a target of targets.toml gets other settings, or is removed; both can be undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.add import AsJson, Every, Tags, Undo, split_tags, undo_change
from cli.options import ConfigPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from settings.editing import Edit

DEFAULT = "default"
TargetName = Annotated[str | None, typer.Argument(metavar="TARGET", help="Its name.")]


def change(
    target: TargetName = None,
    every: Every = None,
    tags: Tags = None,
    undo: Undo = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Change a target in targets.toml: change gemma --every 5m --tags small,local.

    `--every default` restores [collector]'s interval, `--tags ""` removes its tags. Comments are kept, and a running
    collector picks the change up. To change other keys, edit the file.
    """
    from settings.durations import seconds
    from settings.editing import config_path
    from settings.target_blocks import change_target

    path = config_path(config)
    if undo is not None:
        return undo_change(path, undo, as_json=as_json)
    changes: dict[str, Any] = {}
    if every is not None:
        try:
            if every != DEFAULT:
                seconds(every)
        except ValueError as problem:
            raise typer.BadParameter(str(problem), param_hint="--every") from None
        changes["every"] = None if every == DEFAULT else every
    if tags is not None:
        changes["tags"] = list(split_tags(tags)) or None
    if target is None or not changes:
        raise typer.BadParameter("give a target, and --every or --tags; or --undo ID")
    edit = _plan(path, target, lambda text: change_target(text, target, changes))
    return _write(edit, f"{target} was changed in {path}", "change", as_json=as_json)


def remove(
    target: TargetName = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    undo: Undo = None,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Remove a target from targets.toml: it is no longer probed, and its history stays (delete removes that).

    Comments around it are kept. Where a [[route]], [[alert]], [[maintenance]] or [[workload]] names it, remove the name
    there first.
    """
    from cli.questions import can_ask, confirm
    from settings.editing import config_path
    from settings.target_blocks import remove_target

    path = config_path(config)
    if undo is not None:
        return undo_change(path, undo, as_json=as_json)
    if target is None:
        raise typer.BadParameter("give a target, or --undo ID")
    if not yes and (as_json or not can_ask()):
        raise typer.BadParameter("there is no terminal to ask on: add --yes", param_hint="--yes")
    edit = _plan(path, target, lambda text: remove_target(text, target))
    if not yes and not confirm(f"Remove {target} from {path}? Its history stays.", default=True):
        raise typer.Abort
    return _write(edit, f"{target} was removed from {path}; its history stays", "remove", as_json=as_json)


def _plan(path: Path, target: str, edit: Callable[[str], str]) -> Edit:
    """Plan the change. Raises ConfigError, and typer.BadParameter for an unknown target."""
    from cli.target_names import configured_names, no_target
    from settings.editing import plan_edit

    try:
        return plan_edit(path, edit)
    except KeyError:
        raise typer.BadParameter(no_target(target, configured_names(path)), param_hint="TARGET") from None


def _write(edit: Edit, words: str, command: str, *, as_json: bool) -> int:
    from settings.editing import write_edit

    if edit.after == edit.before:
        print(json.dumps({"file": str(edit.path), "written": False, "undo": None}) if as_json else "nothing to change")
        return 0
    undo_id = write_edit(edit)
    if as_json:
        print(json.dumps({"file": str(edit.path), "written": True, "undo": undo_id}))
    else:
        print(f"{words}; `{command} --undo {undo_id}` undoes it")
    return 0
