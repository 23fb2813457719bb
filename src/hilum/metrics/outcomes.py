"""What was so and what was said of it: the pair of arrays that every number here is made from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["checked"]


def checked(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels and probabilities as (n,) bool and (n,) float64.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].

    Raises:
        ValueError: for other shapes, or probabilities outside [0, 1].

    >>> checked(np.array([1]), np.array([1.5]))
    Traceback (most recent call last):
    ...
    ValueError: probabilities must lie in [0, 1]; got 1.5
    """
    y, p = np.asarray(positives, bool), np.asarray(probabilities, np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"labels and probabilities must both be (n,); got {y.shape} and {p.shape}")
    inside = (p >= 0.0) & (p <= 1.0)
    if not inside.all():
        raise ValueError(f"probabilities must lie in [0, 1]; got {p[~inside][0]:g}")
    return y, p
