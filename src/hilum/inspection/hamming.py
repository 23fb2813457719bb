"""All pairs of hashes that differ in few bits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

__all__ = ["near_pairs"]

_ROWS = 64
_COLUMNS = 8192
"""A tile of pairs, small enough for the processor's cache."""
_STRIPES = 16
"""Rows of tiles that are handed to the threads at a time."""
_THREADS = 2


def near_pairs(
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
    limit: int,
    advance: Callable[[int, int], None] | None = None,
) -> NDArray[np.int64]:
    """Return pairs `i < j` whose hashes `left[i]` and `right[j]` differ in at most `limit` bits.

    Every pair is compared, in tiles: first the last two words, which hold the higher frequencies
    and tell films apart best, then all words of the few pairs that are left. 112,120 films are
    6.3e9 pairs: about half a minute on two cores. An index by parts of the hash would save little,
    since the low frequencies of all chest films are alike.

    Args:
        left: (N, 4) uint64.
        right: (N, 4) uint64, of the same films.
        limit: bits in [0, 256].
        advance: called with (films done, films).

    Returns:
        (P, 3) int64: i, j and the distance, sorted by i, then j.

    >>> a = np.array([[0, 0, 0, 0], [0, 0, 0, 7], [1, 0, 0, 0]], np.uint64)
    >>> near_pairs(a, a, limit=3).tolist()
    [[0, 1, 3], [0, 2, 1]]
    """
    columns = np.ascontiguousarray(right.T)
    found: list[NDArray[np.int64]] = [np.empty((0, 3), np.int64)]

    def stripe(start: int) -> NDArray[np.int64]:
        return _stripe(left, columns, start, limit)

    starts = range(0, len(left), _ROWS)
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(starts), _STRIPES):
            group = starts[first : first + _STRIPES]
            found += pool.map(stripe, group)
            if advance is not None:
                advance(min(group[-1] + _ROWS, len(left)), len(left))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _stripe(
    left: NDArray[np.uint64], columns: NDArray[np.uint64], start: int, limit: int
) -> NDArray[np.int64]:
    rows = left[start : start + _ROWS]
    found: list[NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
    for at in range(start, columns.shape[1], _COLUMNS):
        tile = columns[:, at : at + _COLUMNS]
        # two words differ in at most 128 bits, which a byte holds
        half = np.bitwise_count(rows[:, 2, None] ^ tile[2])
        half += np.bitwise_count(rows[:, 3, None] ^ tile[3])
        i, j = np.nonzero(half <= limit)
        distance = np.bitwise_count(rows[i] ^ tile[:, j].T).sum(axis=1, dtype=np.int64)
        pairs = np.stack([i + start, j + at, distance], axis=1)
        found.append(pairs[(distance <= limit) & (pairs[:, 0] < pairs[:, 1])])
    return np.concatenate(found)
