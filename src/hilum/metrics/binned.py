"""Calibration errors of many resamples: films sorted once, equal-mass bins cut anew in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.reliability import BINS, Binning, bins_of
from hilum.metrics.resampling import share

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Binned"]

_BLOCK = 64
"""Sorted films that are added up before anything is looked for among them."""


@dataclass(frozen=True, eq=False)
class Binned:
    """Films of one finding in the order of their probabilities.

    A bin of a resample starts at a film that depends on the resample. To find it, films are added
    up in blocks, which one sparse product does for all resamples; only the block where the bin
    starts is looked into film by film.

    Attributes:
        patients: (n,) whose film it is.
        columns: (3, n) what a film adds: itself, `p - y`, and whether it is positive.
        next_start: (n + 1,) the first film, from here on, whose probability is a new one.
        people: how many patients there are, P.
        blocks: (3 B, P) what each patient adds to each block of each column.
        widths: (BINS, P) what each patient adds to `p - y` of each equal-width bin.
    """

    patients: NDArray[np.intp]
    columns: NDArray[np.float64]
    next_start: NDArray[np.intp]
    people: int
    blocks: csr_array
    widths: csr_array

    @classmethod
    def of(
        cls,
        positives: NDArray[np.bool_],
        probabilities: NDArray[np.float64],
        patients: NDArray[np.intp],
    ) -> Binned:
        """Sort the films.

        Args:
            positives: (n,) whether the film has the finding.
            probabilities: (n,) in [0, 1].
            patients: (n,) number of the film's patient, from 0.
        """
        from scipy.sparse import csr_array

        order = np.argsort(probabilities, kind="stable")
        p, y, of = probabilities[order], positives[order], patients[order]
        n, people = len(p), int(patients.max(initial=-1)) + 1
        columns = np.stack([np.ones(n), p - y, y.astype(np.float64)])
        new = np.append(np.flatnonzero(np.diff(p, prepend=-1.0)), n)
        count = -(-n // _BLOCK)
        block = np.arange(n) // _BLOCK + count * np.arange(3)[:, None]
        people_of = np.broadcast_to(of, block.shape).ravel()
        return cls(
            of,
            columns,
            new[np.searchsorted(new, np.arange(n + 1))],
            people,
            csr_array((columns.ravel(), (block.ravel(), people_of)), (3 * count, people)),
            csr_array((columns[1], (bins_of(p, BINS, Binning.EQUAL_WIDTH), of)), (BINS, people)),
        )

    def errors(
        self, times: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return ECE on equal-mass and equal-width bins, and the debiased L2 error on the former.

        Args:
            times: (R, P) how often each patient stands in each resample.

        Returns:
            Three of (R,); NaN for a resample without films. A repeated film is no new evidence,
            which no formula knows: resampled errors lie above the error itself, and so may their
            interval.
        """
        times = times[:, : self.people]
        n, gap, positives = self._equal_mass(times)
        total = n.sum(axis=1)
        width = np.abs(self.widths @ times.T).sum(axis=0)
        square = _debiased_square(n, gap, positives).sum(axis=1)
        return (
            share(np.abs(gap).sum(axis=1), total),
            share(width, total),
            np.sqrt(np.maximum(0.0, share(square, total))),
        )

    def _equal_mass(self, times: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return (3, R, BINS) sums of the columns over each bin of each resample."""
        rows = len(times)
        count = -(-len(self.patients) // _BLOCK)
        before = np.zeros((3, rows, count + 1))
        sums = (self.blocks @ times.T).reshape(3, count, rows)
        np.cumsum(sums.transpose(0, 2, 1), axis=2, out=before[:, :, 1:])
        # of the last block, and of one behind it, films that are not there
        behind = (count + 1) * _BLOCK - len(self.patients)
        patients = np.append(self.patients, np.full(behind, times.shape[1]))
        columns = np.append(self.columns, np.zeros((3, behind)), axis=1)
        times = np.append(times, np.zeros((rows, 1), times.dtype), axis=1)
        row, within = np.arange(rows)[:, None, None], np.arange(_BLOCK)
        starts = _starts(before[0, :, -1])
        each = zip(before[0, :, 1:], starts, strict=True)
        block = np.stack([np.searchsorted(ends, wanted) for ends, wanted in each])
        into = np.cumsum(times[row, patients[block[..., None] * _BLOCK + within]], axis=2)
        reached = before[0][row[..., 0], block]
        short = (reached < starts) + (reached[..., None] + into < starts[..., None]).sum(axis=2)
        place = np.minimum(block * _BLOCK + short, len(self.patients))
        edges = np.full((rows, BINS + 1), len(self.patients))
        edges[:, :-1] = self.next_start[place]
        block, rest = np.divmod(edges, _BLOCK)
        film = block[..., None] * _BLOCK + within
        held = np.where(within < rest[..., None], times[row, patients[film]], 0)
        at_edge = before[:, row[..., 0], block] + (held * columns[:, film]).sum(axis=3)
        return np.diff(at_edge, axis=2)


def _starts(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (R, BINS) films below each equal-mass bin, cut as `array_split` cuts."""
    used = np.clip(total, 1, BINS)[:, None]
    small, larger = np.divmod(total[:, None], used)
    index = np.minimum(np.arange(BINS), used)
    return index * small + np.minimum(index, larger)


def _debiased_square(
    n: NDArray[np.float64], gap: NDArray[np.float64], positives: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each bin `n (gap² - what the variance of its outcomes adds to it)`."""
    filled = np.maximum(n, 1.0)
    share = positives / filled
    chance = share * (1.0 - share) / np.maximum(n - 1.0, 1.0)
    # a bin of one film tells nothing
    return np.where(n > 1, n * ((gap / filled) ** 2 - chance), 0.0)
