"""Many films as one array, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError
from hilum.imaging.gate import GateRules, screen
from hilum.imaging.preprocess import Preprocessing
from hilum.imaging.read import read

__all__ = ["Stack", "read_stack"]


@dataclass(frozen=True, eq=False)
class Stack:
    """Films ready for a network, and the ones that could not be used.

    Attributes:
        rasters: (K, S, S) uint8, in the order of `kept`.
        shapes: (rows, columns) of each film as it was, in the order of `kept`.
        kept: positions, among the paths asked for, of the films in `rasters`.
        refused: position to the reason, for all others.
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
    """Read, screen and resize films as serving does; a bad film stops nothing.

    Somebody has looked at these films and labelled them: they are screened for what nobody can
    score, and not by the small model, which would leave out the odd ones that a score is about.

    Args:
        paths: the films.
        preprocessing: of the network they are for.
        threads: films read at a time; the result does not depend on it.
        advance: called with (done, total) after each film.
    """

    def one(path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]] | FilmError:
        try:
            film = read(path)
            screen(film, GateRules.labelled())
            return preprocessing.raster(film), film.shape
        except FilmError as error:
            return error

    rasters: list[NDArray[np.uint8]] = []
    shapes: list[tuple[int, int]] = []
    kept: list[int] = []
    refused: dict[int, FilmError] = {}
    with ThreadPoolExecutor(threads) as pool:
        for position, outcome in enumerate(pool.map(one, paths)):
            if isinstance(outcome, FilmError):
                refused[position] = outcome
            else:
                rasters.append(outcome[0])
                shapes.append(outcome[1])
                kept.append(position)
            if advance is not None:
                advance(position + 1, len(paths))
    side = preprocessing.size
    stacked = np.stack(rasters) if rasters else np.empty((0, side, side), np.uint8)
    return Stack(stacked, tuple(shapes), tuple(kept), refused)
