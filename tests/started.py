"""`python -m tests.started WORD`: a process that says what it finds at its start, or ends in one way or another."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


def _parent() -> int:
    """Of a forked process it is the test's, once the one between them has ended."""
    expected, until = int(os.environ.get("PARENT", os.getppid())), time.monotonic() + 5
    while os.getppid() != expected and time.monotonic() < until:
        time.sleep(0.01)
    return os.getppid()


def state() -> dict[str, Any]:
    """What a process can tell of how it was started."""
    return {
        "name": __name__,
        "words": sys.argv[1:],
        "program": sys.argv[0],
        "path": sys.path,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
        "handlers": {name.name: str(signal.getsignal(name)).partition(" at ")[0] for name in signal.Signals},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": [resource.getrlimit(limit) for limit in range(10)],
        "threads": [threading.active_count(), threading.current_thread().name],
        "native": threading.get_native_id() == os.getpid(),
        "parent": _parent(),
        "session": os.getsid(0) == os.getpid(),
        "group": os.getpgid(0),
        "garbage": [gc.isenabled(), gc.get_threshold()],
        "streams": [
            (s.encoding, s.errors, s.line_buffering, s.write_through, s.fileno())
            for s in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "standard": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
        "zone": time.tzname,
        "umask": f"{os.umask(0o22):o}",
    }


def act(word: str) -> None:
    """One of the ways in which a process behaves."""
    if word == "state":
        print(json.dumps(state()))
    elif word == "echo":
        sys.stdout.write(sys.stdin.read())
        print("and an error", file=sys.stderr)
    elif word == "wait":
        print("waits", flush=True)
        time.sleep(60)
    elif word == "thread":
        threading.Thread(target=lambda: (time.sleep(0.3), print("the thread has ended"))).start()
    elif word == "raise":
        raise ValueError("a failure")
    elif word == "unflushed":
        print("x" * 100)
        sys.exit(4)
    elif word == "text":
        sys.exit("a sentence")


if __name__ == "__main__":
    act(sys.argv[1])
