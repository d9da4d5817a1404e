"""`delete`: a target's history, for good."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import ConfigPath, StoreUrl, store_url
from cli.target_names import configured_names, in_words, known_names, no_target


def delete(
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="Exact names; patterns are not expanded.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Delete the history of targets: probes, requests, roll-ups, incidents, everything that the store has of them.

    This cannot be undone: make a copy before, with backup FILE or export. To stop probing a target and keep its
    history, set enabled = false in targets.toml, or remove it there. To let a range not count, use exclude.
    """
    from cli.changing import changing
    from store import Selection
    from store.schema import PROBES, REQUESTS

    with changing(store_url(store), derives=True) as opened:
        known = known_names(opened, config, removed=True)
        for name in targets:
            if name not in known:
                raise typer.BadParameter(no_target(name, known), param_hint="TARGET")
        chosen = Selection(targets=tuple(targets))
        probes, requests = opened.count(PROBES, chosen), opened.count(REQUESTS, chosen)
        what = f"{in_words(targets)}: {probes:,} probes, {requests:,} requests and all their roll-ups"
        if not yes:
            _ask(what, is_file=store_url(store).startswith("sqlite"))
        rows = sum(opened.delete_target(name) for name in targets)
    print(f"{what} were deleted ({rows:,} rows)")
    if still := [name for name in targets if name in configured_names(config)]:
        print(f"{in_words(still)}: still in targets.toml, so a new history begins with the next probe", file=sys.stderr)
    return 0


def _ask(what: str, *, is_file: bool) -> None:
    copy = "backup FILE" if is_file else "export probes --target NAME"
    print(f"This deletes {what}, for good. A copy: python -m collectors {copy}", file=sys.stderr)
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask on: add --yes", param_hint="--yes")
    typer.confirm("Delete?", abort=True, err=True)
