"""Limits of a confined process: memory, processor time, no files to write, no network."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["allow_cpu", "confine", "end_with"]


def confine(memory_bytes: int) -> None:
    """Give up what the work does not need: memory, writing files, the network.

    A limit that the system does not have, or does not let an ordinary user set, is left out.

    Args:
        memory_bytes: address space beyond what is in use now.
    """
    # signals that stop a job are for the parent, which ends this process by closing its input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):  # when memory runs out, the kernel ends this process before its parent
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in (
        (resource.RLIMIT_AS, _address_space() + memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    _without_network()


def _address_space() -> int:
    """Return the bytes reserved by this process; libraries reserve more on more processors."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 2 * 1024**3
    return pages * resource.getpagesize()


def _without_network() -> None:
    """Enter an empty network name space, where the kernel allows it."""
    import ctypes

    new_network = 0x40000000
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(new_network)


def allow_cpu(seconds: int) -> None:
    """Set the processor time from now on after which the kernel ends this process."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + seconds + 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


def end_with(source: int) -> None:
    """End this process as soon as its parent closes `source`, even in the middle of work."""
    if not hasattr(select, "poll"):  # Windows
        return
    poll = select.poll()
    poll.register(source, 0)  # a closed pipe is always reported

    def watch() -> None:
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
