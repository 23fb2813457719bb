"""Intercept only: every logit moved by the same amount, so that the mean comes out right."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.curves import Curve, require_both_classes, sigmoid_of

__all__ = ["CURVE", "Intercept"]


class Intercept(Curve):
    """`p = sigmoid(z + intercept)`: expected positives equal those found (O/E = 1).

    One number learned, so it needs the fewest films. It takes back what positive weights in
    training added, or another hospital's prevalence, and leaves the network as bold as it was.

    Attributes:
        intercept: shift in log odds.

    Source: recalibration in the large, Cox 1958; Steyerberg, Clinical Prediction Models.
    """

    fallback: ClassVar[str | None] = "sigmoid"

    intercept: float

    @classmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the shift of least log loss: the mean probability becomes the share of positives.

        That mean rises with the shift, so there is one such shift. It is always finite, since the
        slope cannot run away as Platt's can; plain 1 and 0 are its targets.

        Raises:
            FitRefusedError: for one class.
        """
        from scipy.optimize import root_scalar

        require_both_classes(positives)
        share = float(positives.mean())
        wanted = float(np.log(share / (1.0 - share)))

        def excess(shift: float) -> float:
            return float(sigmoid_of(logits + shift).mean()) - share

        # at these shifts every film's probability is below the share, then above it
        bracket = (wanted - float(logits.max()) - 1.0, wanted - float(logits.min()) + 1.0)
        found = root_scalar(excess, bracket=bracket, xtol=1e-14, rtol=1e-14)
        return cls(intercept=float(found.root))

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        return sigmoid_of(logits + self.intercept)


CURVE: type[Curve] = Intercept
