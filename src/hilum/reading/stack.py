"""Many films as arrays, read side by side in confined processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.pool import ReaderPool
from hilum.reading.requests import FilmRaster, Request, raster_request

__all__ = ["Stack", "read_stack", "read_stacks"]


@dataclass(frozen=True, eq=False)
class Stack:
    """Films ready for a network, and those that could not be used.

    Attributes:
        rasters: (K, S, S) uint8, in the order of `kept`.
        shapes: (rows, columns) of each original film, in the order of `kept`.
        kept: positions, among the given paths, of the films in `rasters`.
        refused: position to the reason, for all other films.
    """

    rasters: NDArray[np.uint8]
    shapes: tuple[tuple[int, int], ...]
    kept: tuple[int, ...]
    refused: dict[int, FilmError]


def read_stack(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    threads: int = 2,
    advance: Callable[[int, int], None] | None = None,
) -> Stack:
    """Read, screen and resize films as serving does; a bad film does not stop the others.

    Films that have labels are screened for what nobody can score, but not by the gate's small
    network: it would leave out the unusual films that a score must be measured on.

    Args:
        paths: the films.
        preprocessing: of the network they are for.
        threads: films read at a time; the result does not depend on it.
        advance: called with (done, total) after each film.

    Raises:
        ChildProcessError: when the system does not let a process start.
    """
    for stack in read_stacks(paths, preprocessing, max(1, len(paths)), threads, advance):
        return stack
    return _stack([], preprocessing.size)


def read_stacks(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    size: int,
    threads: int = 2,
    advance: Callable[[int, int], None] | None = None,
) -> Iterator[Stack]:
    """Read films as `read_stack` does, and yield them in stacks of `size` films.

    Args:
        paths: the films.
        preprocessing: of the network they are for.
        size: films of a stack; the last one may have fewer.
        threads: films read at a time; the result does not depend on it.
        advance: called with (done, total) after each film.
    """
    side, results = preprocessing.size, list[FilmRaster | FilmError]()

    def request(path: Path) -> Request[FilmRaster]:
        return raster_request(path, side)

    with ReaderPool(preprocessing, GateRules.labeled(), len(paths), threads) as pool:
        for done, result in enumerate(pool.results(paths, request), start=1):
            results.append(result)
            if advance is not None:
                advance(done, len(paths))
            if len(results) == size or done == len(paths):
                yield _stack(results, side)
                results.clear()


def _stack(results: Sequence[FilmRaster | FilmError], side: int) -> Stack:
    films = {at: film for at, film in enumerate(results) if isinstance(film, FilmRaster)}
    rasters = [film.pixels for film in films.values()]
    return Stack(
        rasters=np.stack(rasters) if rasters else np.empty((0, side, side), np.uint8),
        shapes=tuple(film.shape for film in films.values()),
        kept=tuple(films),
        refused={at: error for at, error in enumerate(results) if isinstance(error, FilmError)},
    )
