"""How the service's own process takes memory from the system and gives it back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["bound_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of glibc's options (`malloc.h`)."""
_ARENAS = 2
_LARGE_BYTES = 256 * 1024
_KEPT_BYTES = 4 * 1024**2


def bound_memory() -> None:
    """Let this process give freed memory back to the system, for as long as it runs.

    Call it before threads are started. By default glibc gives each of some 40 threads a heap of
    its own, and raises the size from which it gives blocks back at once to that of the largest
    block that was ever freed: a film. Under load that is 50 MB which nobody uses. Without glibc
    nothing happens.
    """
    with suppress(AttributeError, OSError, TypeError):
        options = ctypes.CDLL(None)
        options.mallopt(_ARENA_MAX, _ARENAS)
        options.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        options.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
