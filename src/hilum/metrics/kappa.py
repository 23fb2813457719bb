"""Cohen's kappa: how far two readers agree on a finding, beyond what chance would give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cohen_kappa", "kappas_of_counts", "pair_cells"]


def cohen_kappa(
    one: NDArray[np.bool_],
    other: NDArray[np.bool_],
    weights: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """Return Cohen's kappa of two readers who called the same films: `(o - e) / (1 - e)`.

    `o` is the share of films on which they agree, `e` the share expected of two readers who call
    as often and know nothing of each other. 1 is full agreement and 0 what chance gives; where
    both call every film alike `e` is 1, and there is no kappa. It depends on how often the finding
    is called: two readers of a rare finding can agree on 95 % of films and have a kappa near 0.

    Args:
        one: (N,) calls, True for present.
        other: (N,) likewise.
        weights: (R, N) how often each film counts in each resample; once each by default.

    Returns:
        (R,) kappas, in [-1, 1]; NaN where there is none. R is 1 without weights.

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 20 (1960).

    >>> calls = np.array([True, True, False, False])
    >>> cohen_kappa(calls, np.array([True, False, False, False])).tolist()
    [0.5]
    """
    if weights is None:
        weights = np.ones((1, len(one)), np.int64)
    return kappas_of_counts(np.asarray(weights, np.float64) @ pair_cells(one, other))


def pair_cells(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (N, 4) a 1 for each film: both call, only the first, only the second, or neither.

    >>> pair_cells(np.array([True]), np.array([False]))
    array([[0., 1., 0., 0.]])
    """
    cells = np.stack([one & other, one & ~other, ~one & other, ~one & ~other], axis=-1)
    return cells.astype(np.float64)


def kappas_of_counts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return kappas of tables of two readers; NaN where a table is empty, or chance explains all.

    Args:
        counts: (..., 4) films that both call, only the first, only the second, and neither.

    >>> kappas_of_counts(np.array([[20.0, 5.0, 10.0, 15.0], [0.0, 0.0, 0.0, 9.0]])).round(3)
    array([0.4, nan])
    """
    both, first, second, neither = np.moveaxis(counts, -1, 0)
    films = both + first + second + neither
    agreed = (both + neither) * films
    expected = (both + first) * (both + second) + (neither + first) * (neither + second)
    room = films * films - expected
    return np.divide(agreed - expected, room, out=np.full_like(room, np.nan), where=room > 0)
