"""Lanes: threads that each have a reader, so that a film that takes long holds up its own alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from hilum.reading.process import ReaderProcess

__all__ = ["MORE_LANES", "in_lanes", "lanes_of"]

T = TypeVar("T")
R = TypeVar("R")

MORE_LANES = 2
"""Lanes beyond the network's thread count: one film is read while another is scored."""
_AHEAD = 2
"""Films started or waiting, a lane: enough that none is idle, few enough to stay in memory."""


def in_lanes(
    items: Iterable[T], work: Callable[[T, ReaderProcess], R], readers: list[ReaderProcess]
) -> Generator[R]:
    """Yield the results of `work(item, reader)` as they are finished; one lane for each reader.

    A film that takes long holds up its own lane and no other. What `work` raises is raised here,
    and nothing more is started. When this is closed the readers are too, and no lane works on.
    """
    waiting = iter(items)
    begun: set[Future[R]] = set()
    with lanes_of(work, readers) as begin:
        while True:
            room = _AHEAD * len(readers) - len(begun)
            begun.update(begin(item) for item in islice(waiting, room))
            if not begun:
                return
            done, begun = wait(begun, return_when=FIRST_COMPLETED)
            # what is finished is not lost because something beside it failed
            for future in sorted(done, key=lambda one: one.exception() is not None):
                yield future.result()


@contextmanager
def lanes_of(
    work: Callable[[T, ReaderProcess], R], readers: list[ReaderProcess]
) -> Generator[Callable[[T], Future[R]]]:
    """Yield what begins `work(item, reader)` in a lane; one lane for each reader.

    At the end nothing more is started, the readers are closed, and no lane works on.
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

    threads = ThreadPoolExecutor(len(readers))
    try:
        yield lambda item: threads.submit(one, item)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for reader in readers:
            reader.stop()
        threads.shutdown(wait=True)
        for reader in readers:
            reader.close()
