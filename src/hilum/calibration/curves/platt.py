"""Platt scaling: a logistic regression of the finding on its own logit."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hilum.calibration.curves import (
    Curve,
    FitRefusedError,
    least_log_loss,
    require_both_classes,
    require_spread,
    sigmoid_of,
)

__all__ = ["CURVE", "Platt"]


class Platt(Curve):
    """`p = sigmoid(slope * z + intercept)`, slope > 0.

    The intercept takes back what positive weights in training added to every score, which is why
    it is the choice for networks trained so.

    Attributes:
        slope: below 1 the network was too sure.
        intercept: shift in log odds.

    Source: Platt 1999; Lin, Lin & Weng 2007.
    """

    fallback: ClassVar[str | None] = "sigmoid"

    slope: float = Field(gt=0)
    intercept: float

    @classmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the line of least log loss against Platt's targets.

        The targets are `(n+ + 1) / (n+ + 2)` and `1 / (n- + 2)` instead of 1 and 0. With a few
        perfectly separated positives the plain fit runs to an infinite slope and calls rare
        findings certain; with these it is always finite, and with many films it is the same.

        Raises:
            FitRefusedError: for one class, equal logits, or a slope that is not positive, since
                that would turn the ranking around.
        """
        require_both_classes(positives)
        require_spread(logits)
        found = int(positives.sum())
        targets = np.where(positives, (found + 1) / (found + 2), 1 / (len(positives) - found + 2))
        slope, intercept = map(float, least_log_loss(logits[None], targets))
        if slope <= 0.0:
            raise FitRefusedError(f"the slope is {slope:.3g}: higher logits mean fewer positives")
        return cls(slope=slope, intercept=intercept)

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        return sigmoid_of(self.slope * logits + self.intercept)


CURVE: type[Curve] = Platt
