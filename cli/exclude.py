"""`exclude`: a range of the past that is not to count, and how that is undone."""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, moment_or_age, store_url
from cli.target_names import choose_targets, in_words, known_names
from store.clock import now_ms

if TYPE_CHECKING:
    from store import Store
    from store.schema import Exclusion

T = "T"


def exclude(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="TARGET...", help='Names of targets, or patterns such as "acme/*".')
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar=T, help="2026-11-24T12:00+01:00, or an age such as 2h or 7d.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar=T, help="The first moment that counts again. [default: now]")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for those who come later.")] = None,
    undo: Annotated[str | None, typer.Option(metavar="ID", help="Let the range with this ID count again.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the ranges that are excluded.")] = False,
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Let a range of the past count as paused: exclude a b --from 2026-11-24T12:00Z --to 2026-11-24T14:00Z.

    Its probes count neither as up nor as down and are in no percentile, on every page, in every roll-up and in
    incidents. What was measured is kept, and what they cost still counts: exclude --undo ID leaves every number as it
    was. Whole days whose raw probes are pruned (retention_days) cannot be changed any more.
    """
    from cli.changing import changing

    if [bool(targets or since), undo is not None, show].count(True) != 1 or (targets is None) != (since is None):
        raise typer.BadParameter("give targets and --from, or --undo ID, or --list")
    began_at, ends_at, now = moment_or_age(since), moment_or_age(until), now_ms()
    with changing(store_url(store), derives=True) as opened:
        if show:
            return _print_list(opened)
        if undo is not None:
            return _undo(opened, undo, now)
        ends_at = now if ends_at is None else ends_at
        if began_at is None or began_at >= ends_at:
            raise typer.BadParameter("--to must be later than --from")
        if ends_at > now:
            raise typer.BadParameter(
                "it is in the future: use pause, or [[maintenance]] in targets.toml", param_hint="--to"
            )
        names = choose_targets(targets or [], known_names(opened, config, removed=True))
        return _exclude(opened, names, began_at, ends_at, now, reason)


def _exclude(opened: Store, names: list[str], began_at: int, ends_at: int, now: int, reason: str | None) -> int:
    from store.schema import Exclusion

    name = secrets.token_hex(4)
    changed = opened.exclude([Exclusion(target, began_at, name, ends_at, now, reason) for target in names])
    print(f"{in_words(names)}: {changed:,} probes count as paused now; `exclude --undo {name}` undoes that")
    return 0


def _undo(opened: Store, name: str, now: int) -> int:
    found = [each for each in _standing(opened) if each.exclusion_id == name]
    if not found:
        raise typer.BadParameter(f"no range with the ID {name!r} is excluded; --list shows them", param_hint="--undo")
    changed = opened.exclude([replace(each, undone_at=now) for each in found])
    print(f"{in_words([each.target for each in found])}: {changed:,} probes count again as they were measured")
    return 0


def _standing(opened: Store) -> list[Exclusion]:
    from store.schema import EXCLUSIONS, Exclusion

    return [each for row in opened.read(EXCLUSIONS) if (each := Exclusion(*row)).undone_at is None]


def _print_list(opened: Store) -> int:
    from store.formats import iso

    by_id: dict[str, list[Exclusion]] = defaultdict(list)
    for each in _standing(opened):
        by_id[each.exclusion_id].append(each)
    for name, group in sorted(by_id.items(), key=lambda pair: pair[1][0].began_at):
        one = group[0]
        reason = f"  {one.reason}" if one.reason else ""
        print(f"{name}  {iso(one.began_at)} to {iso(one.ends_at)}  {in_words([each.target for each in group])}{reason}")
    if not by_id:
        print("nothing is excluded")
    return 0
