"""Lanes that stand ready: threads that take work as it comes, each with a reader of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from hilum.batch.score import FilmScoring
from hilum.reading.process import ReaderProcess

__all__ = ["StandingLanes", "Work"]

_LOG = logging.getLogger(__package__)

Work = Callable[[str, ReaderProcess], None]
"""Works on what an id names, with a reader that nobody else uses meanwhile."""


class StandingLanes:
    """Threads that take ids from a queue; what each id names is in the caller's store.

    Args:
        scoring: bundle and options.
        lanes: ids that are worked on at a time.
        work: what is done with each. An error costs the id alone; it waits for the next start.
        noun: what an id names, for the log.
    """

    def __init__(self, scoring: FilmScoring, lanes: int, work: Work, noun: str = "film") -> None:
        self._work = work
        self._noun = noun
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._pending: dict[str, Future[None]] = {}
        self._busy: set[str] = set()
        self._closing = False
        manifest = scoring.bundle.manifest
        self._readers = [
            ReaderProcess(
                manifest.preprocessing,
                manifest.gate,
                scoring.request.limits,
                scoring.request.early if number == 0 else None,
            )
            for number in range(lanes)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(reader,), name=f"lane-{number}")
            for number, reader in enumerate(self._readers)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, key: str) -> None:
        """Put an id into the queue, once."""
        with self._lock:
            if key in self._pending:
                return
            self._pending[key] = Future()
        self._waiting.put(key)

    def pending(self, key: str) -> Future[None] | None:
        """Return what is done when the work on an id is; None for one that does not wait."""
        with self._lock:
            return self._pending.get(key)

    def is_busy(self, key: str) -> bool:
        """Return whether an id is worked on now."""
        return key in self._busy

    def length(self) -> int:
        """Return the number of ids that wait or are worked on."""
        return len(self._pending)

    @property
    def closing(self) -> bool:
        """Whether the lanes are being stopped; a reader that ends now is not a film's fault."""
        return self._closing

    def close(self) -> None:
        """Stop the lanes, also in the middle of a film."""
        self._closing = True
        for reader in self._readers:
            reader.stop()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        for reader in self._readers:
            reader.close()

    def _run(self, reader: ReaderProcess) -> None:
        while (key := self._waiting.get()) is not None:
            self._busy.add(key)
            try:
                self._work(key, reader)
            except Exception as error:  # a lane must go on
                # the words may quote a header, and so name a patient
                _LOG.error("%s %s was not scored: %s", self._noun, key, type(error).__name__)
            finally:
                self._busy.discard(key)
                with self._lock:
                    done = self._pending.pop(key)
                done.set_result(None)
