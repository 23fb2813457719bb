"""Many films as arrays, read side by side in confined processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

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
        rasters: (K, S, S) uint8 or float32, in the order of `kept`.
        shapes: (rows, columns) of each original film, in the order of `kept`.
        kept: positions, among the given paths, of the films in `rasters`.
        refused: position to the reason, for all other films.
    """

    rasters: NDArray[Any]
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
    return _stack(iter(()), 0, preprocessing, lambda _: None)


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
    total = len(paths)

    def request(path: Path) -> Request[FilmRaster]:
        return raster_request(path, preprocessing)

    with ReaderPool(preprocessing, GateRules.labeled(), total, threads) as pool:
        results = pool.results(paths, request)
        for start in range(0, total, size):
            films = min(size, total - start)
            yield _stack(
                islice(results, films), films, preprocessing, _counted(advance, start, total)
            )


def _counted(
    advance: Callable[[int, int], None] | None, start: int, total: int
) -> Callable[[int], None]:
    """Return what reports the films of one stack that are done."""

    def step(done: int) -> None:
        if advance is not None:
            advance(start + done, total)

    return step


def _stack(
    results: Iterator[FilmRaster | FilmError],
    films: int,
    preprocessing: Preprocessing,
    step: Callable[[int], None],
) -> Stack:
    """Copy each raster into its place as it arrives, so that no film is held twice."""
    side = preprocessing.size
    rasters = np.empty((films, side, side), preprocessing.dtype)
    shapes: list[tuple[int, int]] = []
    kept: list[int] = []
    refused: dict[int, FilmError] = {}
    for position, result in enumerate(results):
        if isinstance(result, FilmRaster):
            rasters[len(kept)] = result.pixels
            shapes.append(result.shape)
            kept.append(position)
        else:
            refused[position] = result
        step(position + 1)
    return Stack(rasters[: len(kept)], tuple(shapes), tuple(kept), refused)
