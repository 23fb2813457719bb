"""Beta calibration: Platt with a slope for each end, for findings with many films."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hilum.calibration.curves import (
    Curve,
    FitRefusedError,
    least_log_loss,
    require_films,
    require_spread,
    sigmoid_of,
)

__all__ = ["CURVE", "Beta"]


class Beta(Curve):
    """`p = sigmoid(a ln s - b ln(1 - s) + c)` with `s = sigmoid(z)`; a, b >= 0 and one of them > 0.

    For very negative logits it is a line of slope a, for very positive ones of slope b, so it also
    mends a network that is too sure at one end only. With a = b it is Platt's curve.

    Where all films lie on one side of z = 0 the other side's slope is guessed from next to
    nothing, and a higher logit than any of theirs may come out as certain: use Platt there.

    Attributes:
        a: slope at the low end.
        b: slope at the high end.
        c: shift in log odds.

    Source: Kull, Silva Filho & Flach 2017, "abm"; equal to `betacal` 1.1.0 within 5e-4,
    which is how near its optimizer goes.
    """

    fallback: ClassVar[str | None] = "platt"

    a: float = Field(ge=0)
    b: float = Field(ge=0)
    c: float

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.a == self.b == 0.0:
            raise ValueError("a or b must be positive, or the curve is flat")
        return self

    @classmethod
    def fit(cls, logits: NDArray[np.float64], positives: NDArray[np.bool_]) -> Self:
        """Return the curve of least log loss against 1 and 0, as its authors fit it.

        Platt's softened targets would pull both ends by a film's worth and give another curve than
        theirs. What they are for, films that the logit separates, is refused here instead and left
        to Platt. A negative slope is set to 0 and the rest fitted again.

        Raises:
            FitRefusedError: below 20 films of either class, for equal or perfectly separated
                logits, and where no slope is positive, since that would turn the ranking around.
        """
        require_films(positives, "beta")
        require_spread(logits)
        if logits[positives].min() >= logits[~positives].max():
            raise FitRefusedError("the logit separates the films perfectly: no finite curve")
        ends = _ends(logits)
        slopes, intercept = _regress(ends, positives, np.array([True, True]))
        if slopes.min() < 0.0:
            kept = np.array([slopes[0] >= 0.0, slopes[0] < 0.0])
            slopes, intercept = _regress(ends, positives, kept)
        if slopes.min() < 0.0 or slopes.max() <= 0.0:
            raise FitRefusedError("no slope is positive: higher logits mean fewer positives")
        return cls(a=float(slopes[0]), b=float(slopes[1]), c=intercept)

    def apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probabilities in [0, 1] of (n,) logits."""
        low, high = _ends(logits)
        return sigmoid_of(self.a * low + self.b * high + self.c)


CURVE: type[Curve] = Beta


def _ends(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, n): ln s and -ln(1 - s), from the logit itself so that neither end is rounded away."""
    return np.stack([-np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits)])


def _regress(
    ends: NDArray[np.float64], positives: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """(2,) slopes, 0 for an end that is not kept, and the intercept."""
    weights = least_log_loss(ends[kept], positives.astype(np.float64))
    slopes = np.zeros(2)
    slopes[kept] = weights[:-1]
    return slopes, float(weights[-1])
