"""`alerts`: try a channel, list what was sent, and silence a target."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, location, store_url
from settings.target_selection import matches
from store.clock import now_ms

if TYPE_CHECKING:
    from settings.alerts import Channel
    from store.alert_tables import Alert

NOT_TAKEN = 1

app = typer.Typer(
    help="Try a channel, list what was sent, silence a target. Alerts are configured in targets.toml and "
    "sent by `run` (docs/alerts.md).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("test")
def test(
    channel: Annotated[
        str | None, typer.Argument(metavar="CHANNEL", help="The name of a [[channel]]; without it, all of them.")
    ] = None,
    config: ConfigPath = None,
) -> int:
    """Send one example message now, and say whether the channel took it: exit code 0 when all did, else 1.

    Nothing is recorded, and no real alert is sent. Example: python -m collectors alerts test ops
    """
    from alerts.channels.contract import SendError
    from alerts.dispatcher import deliver
    from alerts.messages import Message
    from settings.targets import load

    channels = _channels(load(config).alerts.channels, channel)
    place = location()
    text = f"This is a test of the alerts of the Uptoken collector at {place}: nothing is wrong."
    failed = 0
    for one in channels:
        try:
            deliver(one, Message(text, ()))
            print(f"{one.name}: the channel took the message")
        except SendError as problem:
            failed += 1
            print(f"{one.name}: not sent: {problem}", file=sys.stderr)
    return NOT_TAKEN if failed else 0


def _channels(known: tuple[Channel, ...], name: str | None) -> list[Channel]:
    chosen = [one for one in known if name in (None, one.name)]
    if not known:
        raise typer.BadParameter("the configuration has no [[channel]]: docs/alerts.md shows one to copy")
    if not chosen:
        raise typer.BadParameter(f"there is no channel {name!r}; there are {', '.join(one.name for one in known)}")
    return chosen


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    store: StoreUrl = None,
) -> int:
    """List open alerts, alerts that a channel has not taken yet, and silences, newest first, one per line."""
    from store import open_store
    from store.alert_tables import ALERTS, SILENCES, Alert, Silence
    from store.formats import iso

    now = now_ms()
    opened = open_store(store_url(store), read_only=True)
    try:
        alerts = [Alert(*row) for row in opened.read(ALERTS)]
        silences = [Silence(*row) for row in opened.read(SILENCES)]
    finally:
        opened.close()
    shown = [alert for alert in alerts if everything or alert.closed_at is None or _is_waiting(alert)]
    for alert in sorted(shown, key=lambda alert: alert.opened_at, reverse=True):
        print(_line(alert))
    for silence in silences:
        if silence.ends_at > now or everything:
            until = iso(silence.ends_at)
            print(f"{iso(silence.began_at)}  silenced  {silence.target}  ({silence.location})  until {until}")
    if not shown:
        print("no alert" if everything else "no alert is open", file=sys.stderr)
    return 0


def _is_waiting(alert: Alert) -> bool:
    from alerts.occurrences import has_opening, has_recovery

    return has_opening(alert) or has_recovery(alert)


def _line(alert: Alert) -> str:
    from store.formats import iso

    if _is_waiting(alert):
        state = "not sent yet"
    elif alert.held is not None:
        state = f"held back: {alert.held}"
    else:
        state = "sent"
    over = "open" if alert.closed_at is None else f"over {iso(alert.closed_at)}"
    cause = f": {alert.cause}" if alert.cause else ""
    return (
        f"{iso(alert.opened_at)}  {alert.kind}  {alert.target}  ({alert.location})  to {alert.channel}, {state}, "
        f"{over}{cause}"
    )


@app.command("silence")
def silence(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A target's name, or a pattern such as 'acme/*' ('*': all).")
    ],
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, as in 30m, 2h or 1d.")],
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Send no new alert about a target for a while. It is still probed, and recoveries are still sent.

    What begins meanwhile and lasts longer is sent when the silence is over. A later silence of the same target replaces
    an earlier one; --for 0s ends it.
    """
    from collectors.scheduler.lock import writing
    from settings.durations import in_words, seconds
    from settings.targets import load
    from store import open_store
    from store.alert_tables import SILENCES, Silence

    try:
        length_s = seconds(for_)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--for") from None
    names = [one.name for one in load(config).all_targets]
    if not any(matches(name, [target]) for name in names):
        raise typer.BadParameter(f"no target is named {target!r}; there are {', '.join(names)}")
    url, now, place = store_url(store), now_ms(), location()
    with writing(url):
        opened = open_store(url)
        try:
            earlier = [
                Silence(target, place, row.began_at, now)
                for row in (Silence(*values) for values in opened.read(SILENCES))
                if row.target == target and row.location == place and row.ends_at > now
            ]
            new = [Silence(target, place, now, now + round(length_s * 1_000))] if length_s else []
            opened.write([*earlier, *new])
        finally:
            opened.close()
    said = f"silenced for {in_words(length_s)}" if length_s else "no longer silenced"
    print(f"{target} is {said}; it is still probed")
    return 0
