"""`python -m …` without the time that its imports take: a process of its own, forked from one that has them done.

`Forked` is a `subprocess.Popen`: with its own process id, signals, environment, folder, pipes and exit code, and a child
of this process. What a start itself does is left out: `exec`, the imports, and what Python reads from its environment at
the start. Where a test sets such a variable, the process is started as any other, and `tests/cli/test_starts.py` starts
each command so.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import re
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READ_AT_THE_START = re.compile("PYTHON(?!FAULTHANDLER)|LC_|LANG|LD_|MALLOC|GLIBC|OPENSSL|FAKETIME|TZ$")
PACKAGES = ("settings", "store", "routing", "collectors", "alerts", "cli")
OF_OTHERS = ("apsw", "requests", "rich.console", "rich.table", "rich.text", "rich.progress")
HEAVY = re.compile(r"store\.(arrays|clickhouse)|.*__main__")
"""Not imported beforehand: numpy starts threads, and few commands need it."""
LONGEST_REQUEST = 1 << 17
SUBREAPER = 36
READY = b"ready"
STANDARD = 3
_execute_child = subprocess.Popen._execute_child  # type: ignore[attr-defined]


# -- in the process of the tests


class Server:
    """The process that has the imports done; it ends with this one."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # whose parent ends becomes a child of this process
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.variables = read_at_the_start(environment)
        self.lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self.link.recv(len(READY))

    def fork(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """The id of the new process."""
        with self.lock:
            socket.send_fds(self.link, [json.dumps(request).encode()], descriptors)
            return int(self.link.recv(STANDARD * 10))


_servers: list[Server] = []


def prepare() -> None:
    """Have the imports done: else the first process would start late."""
    if not _servers:
        _servers.append(Server())


def read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python and the C library read when a process starts."""
    return {name: value for name, value in environment.items() if READ_AT_THE_START.match(name)}


class Forked(subprocess.Popen[str]):
    """`Forked([sys.executable, "-m", module, …])`, with the arguments of Popen, and limits as of setrlimit."""

    def __init__(self, *given: Any, limits: Mapping[int, tuple[int, int]] | None = None, **more: Any) -> None:
        self._limits = list((limits or {}).items())
        super().__init__(*given, **more)

    def _execute_child(self, *given: Any) -> None:
        asked = inspect.signature(_execute_child).bind(self, *given).arguments
        (python, option, module, *words), environment = asked["args"], dict(asked["env"] or os.environ)
        assert (python, option, asked["preexec_fn"], asked["pass_fds"]) == (sys.executable, "-m", None, ())
        prepare()
        if read_at_the_start(environment) != _servers[0].variables:
            assert not self._limits
            _execute_child(self, *given)
            return
        ends = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = _servers[0].fork(
            {
                "module": module,
                "words": words,
                "environment": environment,
                "folder": str(Path(asked["cwd"] or ".").absolute()),
                "session": asked["start_new_session"],
                "umask": asked["umask"],
                "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, [])],
                "limits": self._limits,
            },
            [number if end == -1 else end for number, end in enumerate(ends)],
        )
        self._child_created = True
        others = [asked[name] for name in ("p2cwrite", "c2pread", "errread")]
        for end, other in zip(ends, others, strict=True):
            if -1 not in (end, other):  # a pipe, and no file of the test's
                os.close(end)


# -- in the process that forks


def import_everything() -> None:
    """What the command line imports at its start, and what its commands import when they run."""
    for name in OF_OTHERS:
        importlib.import_module(name)
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not HEAVY.match(module.name):
                importlib.import_module(module.name)


def serve(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each request. Returns in each child what it is to be; in the server itself null, at its end."""
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(link, LONGEST_REQUEST, STANDARD)
        if not message:
            return None
        reader, writer = os.pipe()
        if (between := os.fork()) == 0:
            if child := os.fork():
                os.write(writer, str(child).encode())
                os._exit(0)
            os.close(reader)
            os.close(writer)
            return json.loads(message), descriptors
        os.waitpid(between, 0)  # only now is the child one of the tests' process
        link.send(os.read(reader, STANDARD * 10))
        for descriptor in (reader, writer, *descriptors):
            os.close(descriptor)


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make this process what a new one would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(STANDARD, os.sysconf("SC_OPEN_MAX"))
    if request["session"]:
        os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    if request["umask"] >= 0:
        os.umask(request["umask"])
    for limit, values in request["limits"]:
        resource.setrlimit(limit, values)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if "PYTHONFAULTHANDLER" in os.environ:
        faulthandler.enable()
    sys.path[0] = request["folder"]
    sys.argv = ["", *request["words"]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        known = getattr(sys, name)
        at_once = known.write_through and number > 0  # PYTHONUNBUFFERED
        raw = open(number, "wb" if number else "rb", 0 if at_once else -1, closefd=False)  # noqa: SIM115
        by_line = not at_once and (raw.isatty() or known.line_buffering)
        stream = io.TextIOWrapper(
            raw, known.encoding, known.errors, line_buffering=by_line, write_through=known.write_through
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(module: str) -> None:
    """As `python -m`. At its end it does what Python does, but for taking apart what it shares with the server."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        with suppress(Exception):  # where it cannot be written, Python says so below
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit({None: 0}.get(ended.code, ended.code))  # type: ignore[arg-type]
        raise


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import_everything()
    threads = len([*Path("/proc/self/task").iterdir()])
    assert threads == 1, f"a process with {threads} threads cannot be forked"
    gc.collect()
    gc.freeze()
    link = socket.socket(fileno=int(sys.argv[1]))
    link.send(READY)
    child = serve(link)
    if child is not None:
        link.detach()
        become(*child)
        run(child[0]["module"])


if __name__ == "__main__":
    main()
