"""Several films on their way at a time, so that reading one overlaps with scoring another."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from hilum.reading.process import ReaderProcess

__all__ = ["in_lanes"]

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2
"""Films begun or waiting, a lane: enough that none stands idle, few enough to stay in memory."""


def in_lanes(
    items: Iterable[T], work: Callable[[T, ReaderProcess], R], readers: list[ReaderProcess]
) -> Generator[R]:
    """The results of `work(item, reader)`, as they are finished; one lane for each reader.

    A film that takes long holds up its own lane and no other. What `work` raises is raised here,
    and nothing more is begun. When this is closed the readers are too, and no lane works any more.
    """
    free: SimpleQueue[ReaderProcess] = SimpleQueue()
    for reader in readers:
        free.put(reader)

    def one(item: T) -> R:
        reader = free.get()
        try:
            return work(item, reader)
        finally:
            free.put(reader)

    waiting = iter(items)
    threads = ThreadPoolExecutor(len(readers))
    begun: set[Future[R]] = set()
    try:
        while True:
            room = _AHEAD * len(readers) - len(begun)
            begun.update(threads.submit(one, item) for item in islice(waiting, room))
            if not begun:
                return
            done, begun = wait(begun, return_when=FIRST_COMPLETED)
            # what is finished is not lost because something beside it failed
            for future in sorted(done, key=lambda one: one.exception() is not None):
                yield future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for reader in readers:
            reader.stop()
        threads.shutdown(wait=True)
        for reader in readers:
            reader.close()
