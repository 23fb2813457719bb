"""Cohen's kappa: agreement of two readers beyond chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["cohen_kappa"]


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return how far two readers agree beyond what their own rates give by chance.

    `(p_o - p_e) / (1 - p_e)`: p_o is the share of cases on which they agree, p_e the same of two
    readers with these rates who look at nothing. It falls with rare findings, so kappas of
    findings with other prevalences cannot be compared.

    Args:
        first: (n,) categories of one reader.
        second: (n,) of the other, on the same cases.

    Returns:
        In [-1, 1]; None without a case, or where both always give one same category.

    Raises:
        ValueError: for different numbers of cases.

    Source: Cohen 1960; equal to scikit-learn's `cohen_kappa_score`.

    >>> cohen_kappa([1, 1, 0, 0], [1, 0, 0, 0])
    0.5
    >>> cohen_kappa([1, 1], [1, 1]) is None
    True
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"both readers must have (n,) cases; got {a.shape} and {b.shape}")
    if not len(a):
        return None
    kinds, code = np.unique(np.concatenate((a, b)), return_inverse=True)
    shares = [np.bincount(half, minlength=len(kinds)) / len(a) for half in np.split(code, 2)]
    by_chance = float(shares[0] @ shares[1])
    if by_chance >= 1.0:
        return None
    return (float((a == b).mean()) - by_chance) / (1.0 - by_chance)
