"""Scores whose threshold was mapped to 0.5: they look like probabilities, and are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.scores import Probabilities

__all__ = ["normalized_findings", "piles_above_half"]

_NEAR = 0.02
_FEWEST_VALUES = 100
_FEWEST_FILMS = 20


def normalized_findings(probabilities: Probabilities) -> tuple[str, ...]:
    """The findings whose scores pile up just above 0.5.

    torchxrayvision's `op_threshs` maps each finding's threshold t to 0.5: a probability p becomes
    p / 2t below it and 1 - (1 - p) / 2(1 - t) above. A rare finding's scores are then spread out
    below 0.5 and crowded above it. The ranking stays, and nothing else does.
    """
    return tuple(n for n in probabilities.labels if piles_above_half(probabilities.of(n)))


def piles_above_half(scores: NDArray[np.float64]) -> bool:
    """Whether many more scores lie just above 0.5 than just below, as no density does by itself.

    Within 0.02 of 0.5 there must be 20 scores above, more than four times as many as below, and
    the excess must be above five standard errors. Fewer than 100 distinct scores tell nothing.

    >>> scores = np.linspace(0.0, 0.2, 1001)
    >>> mapped = np.where(scores < 0.05, scores / 0.1, 1 - (1 - scores) / 1.9)
    >>> piles_above_half(scores), piles_above_half(mapped)
    (False, True)
    """
    if len(np.unique(scores)) < _FEWEST_VALUES:
        return False
    above = int(((scores >= 0.5) & (scores < 0.5 + _NEAR)).sum())
    below = int(((scores >= 0.5 - _NEAR) & (scores < 0.5)).sum())
    excess = above - below > 5.0 * np.sqrt(above + below)
    return above >= _FEWEST_FILMS and above > 4 * below and bool(excess)
