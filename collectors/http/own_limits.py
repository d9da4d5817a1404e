"""Whether a failure is this machine's own: it ran out of descriptors, memory, threads or ports.

Such a failure says nothing about the target, and is no bug. Cheap to import: the scheduler asks here, too.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

_MEMORY = "this machine or this process is out of memory (ulimit -v, MemoryMax=)"
_WORDS = {
    errno.EMFILE: "this process has no file descriptors left: raise its limit (ulimit -n, LimitNOFILE=)",
    errno.ENFILE: "this machine has no file descriptors left (fs.file-max)",
    errno.ENOMEM: _MEMORY,
    socket.EAI_MEMORY: _MEMORY,
    errno.ENOBUFS: "this machine has no network buffers left",
    errno.EADDRNOTAVAIL: "this machine has no local ports left to connect from",
    errno.EPERM: "this machine (a firewall or a sandbox) does not allow Uptoken to connect",
}
_WITH_ERRNO = (OSError, PermissionError, socket.gaierror)
"""Not ssl's errors, which have numbers of their own."""
_NO_THREAD = "can't start new thread"


def own_limit(problem: BaseException) -> str | None:
    """What this machine lacked, in words, where that is behind a failure; null for any other failure."""
    for cause in _causes(problem):
        if isinstance(cause, MemoryError):
            return _MEMORY
        if isinstance(cause, RuntimeError) and _NO_THREAD in str(cause):
            return "this machine allows Uptoken no more threads: raise the limit (ulimit -u, TasksMax=)"
        if isinstance(cause, OSError) and type(cause) in _WITH_ERRNO and cause.errno in _WORDS:
            return _WORDS[cause.errno]
    return None


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """A failure and all that it wraps, in urllib3's ways and in Python's."""
    left, seen = [problem], set[int]()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
        left += [inner for inner in wrapped if isinstance(inner, BaseException)]
