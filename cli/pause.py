"""`pause` and `resume`: targets that are not to be probed for a while."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, store_url
from cli.target_names import TargetNames, choose_targets, in_words, known_names
from store.clock import now_ms

if TYPE_CHECKING:
    from store import Store
    from store.schema import Pause


def pause(
    targets: TargetNames,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="How long: 30m, 2h, 1d. [default: until it is resumed]"),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; shown on the pages, to everyone who can see them.")
    ] = None,
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Stop probing targets for a while, at every location: pause "acme/*" --for 2h --reason "new power supply".

    A running collector obeys within a tick. Nothing is sent; the slots count as paused, neither up nor down. Pausing a
    paused target replaces its pause. For windows that are planned or come every week, write [[maintenance]] in
    targets.toml; for a range of the past, use exclude.
    """
    from cli.changing import changing
    from store.schema import Pause

    length_ms = None if for_ is None else _milliseconds(for_)
    with changing(store_url(store)) as opened:
        now = now_ms()
        names = choose_targets(targets, known_names(opened, config))
        ends_at = None if length_ms is None else now + length_ms
        ended = [replace(each, ends_at=now) for each in _current(opened, names, now)]
        opened.write([*ended, *(Pause(name, now, ends_at, reason) for name in names)])
    print(f"{in_words(names)}: paused {_until(ends_at)}; `resume` ends it")
    return 0


def resume(targets: TargetNames, config: ConfigPath = None, store: StoreUrl = None) -> int:
    """Probe paused targets again: resume "acme/*". A running collector obeys within a tick.

    It does not end a [[maintenance]] window: that is in targets.toml.
    """
    from cli.changing import changing

    with changing(store_url(store)) as opened:
        now = now_ms()
        names = choose_targets(targets, known_names(opened, config))
        ended = [replace(each, ends_at=now) for each in _current(opened, names, now)]
        opened.write(ended)
    resumed = list(dict.fromkeys(each.target for each in ended))
    print(f"{in_words(resumed)}: resumed" if resumed else f"{in_words(names)}: nothing was paused")
    return 0


def _current(opened: Store, names: list[str], now: int) -> list[Pause]:
    from store.schema import PAUSES, Pause

    pauses = (Pause(*row) for row in opened.read(PAUSES))
    return [each for each in pauses if each.target in names and each.contains(now)]


def _milliseconds(text: str) -> int:
    from settings.durations import seconds

    try:
        length_s = seconds(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--for") from None
    if length_s <= 0:
        raise typer.BadParameter("must be longer than nothing, as in 2h", param_hint="--for")
    return round(length_s * 1_000)


def _until(ends_at: int | None) -> str:
    from store.formats import iso

    return "until it is resumed" if ends_at is None else f"until {iso(ends_at)}"
