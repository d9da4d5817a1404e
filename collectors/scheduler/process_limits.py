"""How many probes can run at once within the limits of this process: file descriptors and memory."""

from __future__ import annotations

import resource
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from settings.targets import Config

MAX_PARALLEL = 512
OWN_DESCRIPTORS = 24
"""The store, its WAL and its readers, the shared state, what is being imported."""
DESCRIPTORS_A_PROBE = 6
"""Two locks, the socket, the deadline's copy of it, a certificate or a name that is looked up."""
STACK_BYTES = 2 * 1024 * 1024
"""Of a thread. The usual 8 MB count against `ulimit -v`, however little of them is used."""
BYTES_A_PROBE = STACK_BYTES + 4 * 1024 * 1024
OWN_BYTES = 64 * 1024 * 1024
"""For what is still to be imported, and for rows."""
_M_ARENA_MAX = -8


@dataclass(frozen=True)
class ProcessUsage:
    """What a process uses before it probes: open descriptors, and bytes of address space."""

    descriptors: int
    memory_bytes: int


@dataclass(frozen=True)
class ProcessLimits:
    """What the limits allow. When too few connections can be kept open, each probe makes its own."""

    max_parallel: int = MAX_PARALLEL
    keeps_connections: bool = True
    warnings: tuple[str, ...] = ()


def measure_usage() -> ProcessUsage:
    """What this process uses now."""
    return ProcessUsage(_open_descriptors(), _used_bytes())


def raise_limits(config: Config, before: ProcessUsage | None = None) -> ProcessLimits:
    """Raise the soft limit of descriptors to what the targets need at worst, as far as the hard one allows, make
    threads small, and return what fits. `before`: what was in use before the first probe.
    """
    threading.stack_size(STACK_BYTES)
    before = before or measure_usage()
    targets = len(config.targets)
    wanted = min(sum(len(target.schedules) for target in config.targets), MAX_PARALLEL)
    limits = _descriptors(wanted, targets, before.descriptors)
    most = _fit_in_memory(before.memory_bytes)
    if most is None or most >= wanted:
        return limits
    warning = (
        f"this process may use {_address_space() // 1_000_000} MB of memory (ulimit -v): at most {most} of {targets} "
        "targets are probed at once. Raise the limit"
    )
    return ProcessLimits(min(most, limits.max_parallel), limits.keeps_connections, (*limits.warnings, warning))


def _descriptors(parallel: int, targets: int, used: int) -> ProcessLimits:
    base = OWN_DESCRIPTORS + used
    wanted = base + DESCRIPTORS_A_PROBE * parallel + targets
    limit = _raise_descriptors_to(wanted)
    if limit is None or limit >= wanted:
        return ProcessLimits()
    keeps = limit >= base + DESCRIPTORS_A_PROBE * parallel // 2 + targets
    most = max(1, (limit - base - (targets if keeps else 0)) // DESCRIPTORS_A_PROBE)
    suffix = "" if keeps else ", each over a new connection"
    warning = (
        f"{targets} targets may need {wanted} file descriptors, and this process may open {limit}: at most {most} are "
        f"probed at once{suffix}. Raise the limit (ulimit -n {wanted}, or LimitNOFILE={wanted} in the unit)"
    )
    return ProcessLimits(most, keeps, (warning,))


def _raise_descriptors_to(wanted: int) -> int | None:
    """The limit that holds now; null for none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None if soft == resource.RLIM_INFINITY else soft
    higher = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (higher, hard))
        return higher
    return soft


def _open_descriptors() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 16


def _address_space() -> int:
    return resource.getrlimit(resource.RLIMIT_AS)[0]


def _fit_in_memory(used_bytes: int) -> int | None:
    """How many probes fit in what `ulimit -v` leaves; null without such a limit.

    A process that runs into it does not only fail: its threads die before they can say so.
    """
    limit = _address_space()
    if limit == resource.RLIM_INFINITY:
        return None
    import ctypes

    # musl has no arenas: glibc would reserve 64 MB for each of the first threads
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    return max(1, (limit - used_bytes - OWN_BYTES) // BYTES_A_PROBE)


def _used_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 2 * OWN_BYTES
