"""Rounds, medians, and what else the machine was doing."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping

__all__ = ["busy", "core_ms", "cores", "rounds", "wall_s"]

QUIET = 0.25
"""Load for each core below which others do not matter."""


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy() -> str:
    """How busy the machine is, in words; what is measured adds to it."""
    load = os.getloadavg()[0]
    word = "quiet" if load / cores() < QUIET else "busy: trust ratios only, and those little"
    return f"load {load:.2f} on {cores()} cores ({word})"


def wall_s(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def core_ms(work: Callable[[], object], repeats: int = 5) -> float:
    """Median of a call's milliseconds of processor, over all threads of this process."""
    work()
    spent: list[float] = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        spent.append((time.process_time() - started) * 1000.0)
    return statistics.median(spent)


def rounds(works: Mapping[str, tuple[int, Callable[[], object]]], count: int) -> dict[str, float]:
    """Median films a second of each contender.

    All take turns, `count` times, so that a neighbor of the machine troubles each alike. One
    round before them does not count: caches fill and networks are tuned in it.

    Args:
        works: name to how many films one call does, and the call.
        count: rounds that count, 5 or more for a median that holds.
    """
    rates: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(count + 1):
        for name, (films, work) in works.items():
            seconds = wall_s(work)
            rate = films / seconds
            said = f"round {turn} of {count}: {name}: {films} films in {seconds:.1f} s"
            print(said, file=sys.stderr, flush=True)
            if turn:
                rates[name].append(rate)
    return {name: statistics.median(those) for name, those in rates.items()}
