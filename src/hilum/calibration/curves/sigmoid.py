"""The plain sigmoid: the network's logits taken at their word, nothing fitted."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.curves import Curve, sigmoid_of

__all__ = ["CURVE", "Sigmoid"]


class Sigmoid(Curve):
    """`p = 1 / (1 + exp(-z))`.

    Right only for a network trained with unweighted cross-entropy on films like these, and even
    then usually too sure. It has a name so that leaving logits uncalibrated is seen.

    >>> Sigmoid().apply(np.array([0.0]))
    array([0.5])
    """

    fallback: ClassVar[str | None] = None

    @classmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the fixed curve: nothing is fitted."""
        del logits, positives
        return cls()

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        return sigmoid_of(logits)


CURVE: type[Curve] = Sigmoid
