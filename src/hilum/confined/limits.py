"""What a confined process gives up: memory, processor time, files to write, the network."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["allow_cpu", "confine", "end_with"]


def confine(memory_bytes: int) -> None:
    """Give up what the work does not need: memory, files to write, the network.

    What the system does not know, or does not let an ordinary user give up, stays.

    Args:
        memory_bytes: of address space, beyond what is in use now.
    """
    # the keys and signals that stop a job are for the parent; it ends us by closing our input
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):  # where memory runs out, this process goes first and not its parent
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
    """Bytes of it that this process has; libraries reserve more of it the more processors."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 2 * 1024**3
    return pages * resource.getpagesize()


def _without_network() -> None:
    """An own, empty network name space, where the kernel gives one."""
    import ctypes

    new_network = 0x40000000
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(new_network)


def allow_cpu(seconds: int) -> None:
    """Grant processor time from now on; past it the kernel ends this process."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + seconds + 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


def end_with(source: int) -> None:
    """End this process as soon as its parent has closed `source`, in the midst of work too."""
    if not hasattr(select, "poll"):  # Windows
        return
    poll = select.poll()
    poll.register(source, 0)  # a closed pipe is reported in any case

    def watch() -> None:
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
