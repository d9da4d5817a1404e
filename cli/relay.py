"""`relay`: an OpenAI-compatible endpoint in front of the targets, which records what passes."""

from __future__ import annotations

import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, location, store_url

if TYPE_CHECKING:
    from settings.targets import Config

LOOPBACK = "127.0.0.1"


def relay(
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65_535, help="Where to listen; 0: any free port.")
    ] = 8088,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Which address to listen on; any but this machine's own needs keys.")
    ] = LOOPBACK,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A name by which clients reach the relay, beside this machine's. May be repeated."
        ),
    ] = None,
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Serve OpenAI-compatible requests from the targets, and record what passes, never what is said (docs/relay.md)."""
    from collectors.http.authorities import check_authorities
    from collectors.relay.recorder import Recorder
    from collectors.relay.relay import Relay
    from collectors.relay.server import run
    from collectors.scheduler.config_watch import ConfigWatch
    from settings.targets import ConfigError, load
    from store import StoreError, StoreUrlError, open_store

    loaded = load(config)
    check_authorities()
    url = store_url(store)
    if why := _refusal(loaded, host):
        raise ConfigError(f"the relay cannot start: {why}")
    try:
        open_store(url).close()  # makes or migrates it
    except StoreUrlError:
        raise
    except StoreError as problem:  # requests are served all the same
        print(f"{problem}; the relay serves without recording until the store works", file=sys.stderr, flush=True)
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
    )
    shown = f"[{host}]" if ":" in host else host
    print(f"The relay listens on http://{shown}:{listener.getsockname()[1]}/v1", flush=True)
    recorder = Recorder(lambda: open_store(url))
    run(
        Relay(
            loaded,
            location(),
            recorder,
            lambda: open_store(url, read_only=True),
            tuple(allowed_host or ()),
            ConfigWatch(loaded),
            partial(_refusal, host=host),
        ),
        listener,
    )
    return 0


def _refusal(config: Config, host: str) -> str | None:
    """Why a relay that listens on an address cannot serve by a configuration; null when it can."""
    from collectors.relay.keys import is_for_this_machine

    if config.relay is not None and config.relay.keys_problem:
        return config.relay.keys_problem
    if not is_for_this_machine(host) and not (config.relay and config.relay.keys):
        return (
            f"the relay has no keys, so it listens on this machine only, not on {host}: write [relay] with keys_file "
            f"into {config.path}, or leave --host out"
        )
    return None
