"""Temperature scaling: one number that makes a finding's probabilities bolder or meeker."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hilum.calibration.curves import Curve, FitRefusedError, require_both_classes, sigmoid_of

__all__ = ["CURVE", "Temperature"]

_COLDEST, _HOTTEST = 0.05, 20.0


class Temperature(Curve):
    """`p = sigmoid(z / T)`, T > 0 of the least log loss.

    It cannot move the point where p = 0.5, so it does not mend a network trained with weighted
    positives: use Platt for that.

    Attributes:
        temperature: T; above 1 the network was too sure.

    Source: Guo et al. 2017, fitted here for each finding by itself.
    """

    fallback: ClassVar[str | None] = "sigmoid"

    temperature: float = Field(gt=0)

    @classmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the temperature of least log loss between 0.05 and 20.

        The log loss is convex in 1 / T, so its slope crosses zero once. At the ends there is no
        answer: T wants 0 where the logit's sign is always right, infinity where it is no guide.

        Raises:
            FitRefusedError: for one class, or without a crossing.
        """
        from scipy.optimize import root_scalar

        require_both_classes(positives)

        def slope(inverse: float) -> float:
            return float(np.mean((sigmoid_of(inverse * logits) - positives) * logits))

        if slope(1 / _HOTTEST) >= 0:
            raise FitRefusedError("the sign of the logit is no guide: no finite temperature")
        if slope(1 / _COLDEST) <= 0:
            raise FitRefusedError("the sign of the logit is always right: no positive temperature")
        found = root_scalar(slope, bracket=(1 / _HOTTEST, 1 / _COLDEST), xtol=1e-14, rtol=1e-14)
        return cls(temperature=1.0 / float(found.root))

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        return sigmoid_of(logits / self.temperature)


CURVE: type[Curve] = Temperature
