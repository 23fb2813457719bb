"""Films as the training loop reads them: names, 8-bit squares, label states and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.domain.policy import LabelPolicy, Uncertain

__all__ = ["Films", "Rasters", "targets"]


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
