"""Films of a cohort: their files, and as the training loop reads them.

As files: which are there, and their pixels, block by block. As the loop reads them: names, 8-bit
squares, label states and targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode, counted
from hilum.domain.findings import LabelState
from hilum.domain.policy import LabelPolicy, Uncertain
from hilum.domain.record import Cohort
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.stack import Stack, read_stacks

__all__ = ["Advance", "FilmFile", "Films", "Rasters", "blocks", "notes", "on_disk", "targets"]

Advance = Callable[[str, int, int], None]
"""Called with (what, done, total) for a progress bar."""

BLOCK = 256
"""Films in memory at a time."""


@dataclass(frozen=True)
class FilmFile:
    """A film's file as it is now.

    Attributes:
        record: the film's place in its cohort.
        name: the film's name in the dataset.
        path: of the file.
        bytes, mtime_ns: its size and time of change: what tells an exchanged file.
    """

    record: int
    name: str
    path: Path
    bytes: int
    mtime_ns: int


def on_disk(cohort: Cohort) -> list[FilmFile]:
    """The films that have a file, in the cohort's order; a file that vanished is no film."""
    found: list[FilmFile] = []
    for number, record in enumerate(cohort.records):
        if record.path is None:
            continue
        try:
            status = record.path.stat()
        except OSError:
            continue
        found.append(
            FilmFile(number, record.image_id, record.path, status.st_size, status.st_mtime_ns)
        )
    return found


def blocks(
    files: Sequence[FilmFile],
    preprocessing: Preprocessing,
    threads: int,
    progress: tuple[str, Advance],
) -> Iterator[tuple[Sequence[FilmFile], Stack]]:
    """Read the films a block at a time, exactly as serving reads them.

    Args:
        files: the films.
        preprocessing: of the network they are for.
        threads: films read at a time.
        progress: what is being done, and the callback after each film.
    """
    what, advance = progress

    def step(done: int, total: int) -> None:
        advance(what, done, total)

    paths = [file.path for file in files]
    for number, stack in enumerate(read_stacks(paths, preprocessing, BLOCK, threads, step)):
        yield files[number * BLOCK : (number + 1) * BLOCK], stack


def notes(
    cohort: Cohort, files: Sequence[FilmFile], refused: Mapping[str, ReasonCode]
) -> tuple[str, ...]:
    """What the user should know of the films that are left out, a line each.

    Args:
        cohort: all rows.
        files: those with a film on disk.
        refused: film name to the reason, for those that cannot be used.
    """
    lines: list[str] = []
    if len(files) < len(cohort):
        lines.append(f"{len(cohort) - len(files)} rows have no film on disk; left out")
    if refused:
        name, code = next(iter(refused.items()))
        lines.append(f"{counted(len(refused), 'film')} could not be used, first {name}: {code}")
    return tuple(lines)


@dataclass(frozen=True, eq=False)
class Rasters:
    """Films of a stack on disk, read on access, so that no split is copied to memory.

    Attributes:
        store: (M, S, S) uint8, a memory map.
        rows: (N,) rows of the store that count, in order.

    Example:
        >>> store = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
        >>> films = Rasters(store, np.array([2, 0]))
        >>> films[np.array([1, 1])][:, 0, 0].tolist(), films[0][0, 0], len(films)
        ([0, 0], np.uint8(2), 2)
    """

    store: NDArray[np.uint8]
    rows: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S)."""
        return (len(self.rows), *self.store.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return self.store.dtype

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, rows: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray[np.uint8]: ...
    def __getitem__(self, rows: int | slice | NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return (S, S) of one row, not copied; (B, S, S) of several."""
        return self.store[self.rows[rows]]


@dataclass(frozen=True, eq=False)
class Films:
    """The N films of a split that could be read.

    Attributes:
        names: the films' names in the dataset.
        rasters: (N, S, S) uint8, in memory or on disk; either is indexed by a row, a slice or an
            array of rows, and has a length.
        states: (N, L) int8 LabelState values.

    Raises:
        ValueError: for shapes or types that do not belong together.
    """

    names: tuple[str, ...]
    rasters: NDArray[np.uint8] | Rasters
    states: NDArray[np.int8]

    def __post_init__(self) -> None:
        shape, kinds = self.rasters.shape, (self.rasters.dtype, self.states.dtype)
        square = len(shape) == 3 and shape[1] == shape[2]
        aligned = len(self.names) == len(self.rasters) == len(self.states)
        if not square or not aligned or self.states.ndim != 2 or kinds != (np.uint8, np.int8):
            raise ValueError(
                "films must be N names, (N, S, S) uint8 rasters and (N, L) int8 states; got "
                f"{len(self.names)} names, {shape} {kinds[0]} and {self.states.shape} {kinds[1]}"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def side(self) -> int:
        """S, in pixels."""
        return self.rasters.shape[1]


def targets(
    states: NDArray[np.int8], policy: LabelPolicy, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return loss targets and mask for settled label states.

    Args:
        states: (N, L) LabelState values, as `settle` leaves them: what is still uncertain is left
            out, or gets a target drawn once from the policy's range (U-policies with label
            smoothing, Pham et al. 2021). UNLABELLED is always left out.
        policy: of the labels.
        seed: of the drawn targets.

    Returns:
        (N, L) targets in [0, 1] and (N, L) mask in {0, 1}; masked-out entries give no gradient.

    Example:
        >>> y, mask = targets(np.array([[1, 0, -1, -2]], np.int8), LabelPolicy(), 0)
        >>> y.tolist(), mask.tolist()
        ([[1.0, 0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0, 0.0]])
    """
    y = (states == LabelState.POSITIVE).astype(np.float32)
    known = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    if policy.uncertain is Uncertain.SOFT:
        soft = states == LabelState.UNCERTAIN
        drawn = np.random.default_rng(seed).uniform(*policy.soft_range, states.shape)
        y = np.where(soft, drawn, y).astype(np.float32)
        known = known | soft
    return y, known.astype(np.float32)
