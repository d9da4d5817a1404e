"""The relay of `make run`: idle until the configuration has a [[route]], then the relay itself in this process.

A relay that could not start would end everything else with it, so what is missing is said, and waited for.
"""

from __future__ import annotations

import os
import sys
import time

from deploy.local_model import port_in
from deploy.run import RELAY_PORT, taken
from settings.targets import Config, ConfigError, load

LOOK_EVERY_S = 5.0


def obstacle(config: Config, port: int) -> str | None:
    """Why the relay cannot start now, in one sentence, empty where it has nothing to do; null when it can."""
    if not config.routes:
        return ""
    if config.relay is not None and config.relay.keys_problem:
        return f"the relay waits: {config.relay.keys_problem}"
    if taken(port):
        return (
            f"the relay waits: port {port} is taken on this machine; stop what uses it, or choose another with "
            f"`UPTOKEN_RELAY_PORT={port + 100} make run`"
        )
    return None


def main() -> int:
    """Wait until there is a route, and become the relay. Returns the exit code of a variable that is wrong."""
    try:
        port = port_in(dict(os.environ), "UPTOKEN_RELAY_PORT", RELAY_PORT)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    said: str | None = ""
    while True:
        try:
            found = obstacle(load(), port)
        except ConfigError:  # the collector says so
            found = ""
        if found is None:
            sys.stdout.flush()
            words = [sys.executable, "-m", "collectors", "relay", "--port", str(port)]
            os.execv(sys.executable, words)  # nosec B606  no shell, and no word from outside
        if found and found != said:
            print(found, flush=True)
        said = found
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
