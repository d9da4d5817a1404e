"""`make run`: the local model, the collector, the relay and the dashboard, from the Procfile, until Ctrl-C.

honcho starts them, prefixes what they say and ends all of them when one ends. What is added here: a port that is taken
is said in one sentence before anything starts, and the addresses are said once everything answers.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

from honcho.environ import expand_processes, parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from deploy.local_model import MISSING, is_installed, port_in
from deploy.local_model import PORT as MODEL_PORT

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD_PORT = 8501
RELAY_PORT = 8088
HOST = "127.0.0.1"
LONGEST_START_S = 180.0


def taken(port: int) -> bool:
    """Whether something listens on this port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def ports(environment: dict[str, str]) -> tuple[int, int]:
    """The model's and the dashboard's port. Raises ValueError, for the relay's too, which waits for its port itself."""
    port_in(environment, "UPTOKEN_RELAY_PORT", RELAY_PORT)
    model = port_in(environment, "UPTOKEN_MODEL_PORT", MODEL_PORT)
    return model, port_in(environment, "UPTOKEN_PORT", DASHBOARD_PORT)


def complaint(port: int, variable: str, what: str) -> str | None:
    """One sentence when the port cannot be had, with the way out; null when it can."""
    if not taken(port):
        return None
    also = " and the same port in targets.toml" if variable == "UPTOKEN_MODEL_PORT" else ""
    return (
        f"port {port}, which {what} needs, is already in use on this machine: stop what uses it "
        f"(`ss -ltnp | grep {port}` shows it), or choose another with `{variable}={port + 100} make run`{also}"
    )


def main() -> int:
    """Run the Procfile. Returns the exit code."""
    os.chdir(ROOT)
    try:
        model_port, dashboard_port = ports(dict(os.environ))
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    needed = [(dashboard_port, "UPTOKEN_PORT", "the dashboard")]
    with_model = is_installed()
    if with_model:
        needed.append((model_port, "UPTOKEN_MODEL_PORT", "the local model"))
    else:
        print(MISSING, file=sys.stderr)
    for port, variable, what in needed:
        if (said := complaint(port, variable, what)) is not None:
            print(said, file=sys.stderr)
            return 1
    environment = dict(os.environ) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "UPTOKEN_MODEL_PORT": str(model_port),
        "STREAMLIT_SERVER_PORT": str(dashboard_port),
    }
    manager = Manager(Printer(sys.stdout))
    for process in expand_processes(parse_procfile((ROOT / "Procfile").read_text()).processes, env=environment):
        if process.name == "model" and not with_model:
            continue
        manager.add_process(process.name, process.cmd, quiet=process.quiet, env=process.env, cwd=str(ROOT))
    threading.Thread(target=_announce, args=(dashboard_port,), daemon=True).start()
    manager.loop()
    interrupted = manager.returncode is not None and (manager.returncode < 0 or manager.returncode > 128)
    return 0 if interrupted else manager.returncode or 0


def _announce(port: int) -> None:
    until = time.monotonic() + LONGEST_START_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((HOST, port)) == 0:
                print(f"\n    Uptoken is at http://{HOST}:{port}   (Ctrl-C ends it)\n", flush=True)
                return
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
