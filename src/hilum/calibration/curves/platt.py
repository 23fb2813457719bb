"""Platt scaling: a logistic regression of the finding on its own logit."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hilum.calibration.base import Curve, FitRefusedError, require_both_classes, sigmoid_of

__all__ = ["Platt"]

_STEPS = 100
_TOLERANCE = 1e-12


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
        """The line of least log loss against Platt's targets.

        The targets are `(n+ + 1) / (n+ + 2)` and `1 / (n- + 2)` instead of 1 and 0. With a few
        perfectly separated positives the plain fit runs to an infinite slope and calls rare
        findings certain; with these it is always finite, and with many films it is the same.

        Raises:
            FitRefusedError: for one class, equal logits, or a slope that is not positive, since
                that would turn the ranking around.
        """
        require_both_classes(positives)
        spread = float(logits.std())
        if spread == 0.0:
            raise FitRefusedError("all logits are equal")
        found = int(positives.sum())
        target = np.where(positives, (found + 1) / (found + 2), 1 / (len(positives) - found + 2))
        # Newton's method is happiest with standardised logits, whatever their scale was
        centre = float(logits.mean())
        slope, intercept = _regress((logits - centre) / spread, target)
        slope /= spread
        if slope <= 0.0:
            raise FitRefusedError(f"the slope is {slope:.3g}: higher logits mean fewer positives")
        return cls(slope=slope, intercept=intercept - slope * centre)

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        return sigmoid_of(self.slope * logits + self.intercept)


def _loss(line: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0.0, line) - target * line))


def _regress(z: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of least log loss, by Newton's method with halved steps."""
    design = np.stack([z, np.ones_like(z)])
    base = float(np.log(target.mean() / (1.0 - target.mean())))
    weights = np.array([0.0, base])
    loss = _loss(weights @ design, target)
    for _ in range(_STEPS):
        p = sigmoid_of(weights @ design)
        gradient = design @ (p - target) / len(z)
        if float(np.abs(gradient).max()) < _TOLERANCE:
            break
        curvature = (design * (p * (1.0 - p))) @ design.T / len(z)
        step = np.linalg.solve(curvature + _TOLERANCE * np.eye(2), gradient)
        size = 1.0
        while size > _TOLERANCE and _loss((weights - size * step) @ design, target) > loss:
            size /= 2
        weights = weights - size * step
        loss = _loss(weights @ design, target)
    return float(weights[0]), float(weights[1])
