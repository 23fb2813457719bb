"""Several readers side by side, for many films: results in the order of the films."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from typing import Self, TypeVar

from hilum.domain.errors import FilmError
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.process import Limits, ReaderProcess
from hilum.reading.requests import Request

__all__ = ["ReaderPool"]

T = TypeVar("T")

_FILMS_PER_READER = 64
"""Films that are worth one more process: a start takes about 0.6 s of a core, as long as reading
60 films of 1,024 px."""
_BATCH = 8
"""Films given to a reader at a time, at most."""
_AHEAD = 2
"""Batches per reader that are being read, or are finished, ahead of the next result."""


class ReaderPool:
    """Reads films in several confined processes.

    A film that crashes its reader, hangs or takes too much memory costs itself alone: its result is
    the error, and a new process reads the next film. The processes start with the first film, and
    end with `close`, or when this process ends in any way.

    Args:
        preprocessing: of the network that the films are for.
        gate: rules for what is accepted as a film.
        films: how many films there will be, about; few films need few processes.
        threads: films read at a time, at most.
        limits: of each film.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        gate: GateRules,
        films: int,
        threads: int,
        limits: Limits | None = None,
    ) -> None:
        count = max(1, min(threads, -(-films // _FILMS_PER_READER)))
        self._readers = [ReaderProcess(preprocessing, gate, limits) for _ in range(count)]
        self._free: LifoQueue[ReaderProcess] = LifoQueue()  # the one that has started comes first
        for reader in self._readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(count, "readers")

    def results(
        self, paths: Sequence[Path], request: Callable[[Path], Request[T]]
    ) -> Generator[T | FilmError]:
        """Read films; yield each result, or the film's error, in the order of the films.

        Args:
            paths: the films.
            request: makes the request for a film, such as `thumbnail_request`.

        Raises:
            ChildProcessError: when the system does not let a process start.
        """
        count = len(self._readers)
        size = max(1, min(_BATCH, len(paths) // (2 * count)))
        waiting: deque[Future[list[T | FilmError]]] = deque()

        def read(batch: Sequence[Path]) -> list[T | FilmError]:
            reader = self._free.get()
            try:
                return list(reader.results([request(path) for path in batch]))
            finally:
                self._free.put(reader)

        try:
            for start in range(0, len(paths), size):
                waiting.append(self._threads.submit(read, paths[start : start + size]))
                if len(waiting) > _AHEAD * count:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End all processes, also in the middle of a film."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.stop()
        self._threads.shutdown(wait=True)
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
