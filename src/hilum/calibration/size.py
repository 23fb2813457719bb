"""How many films a calibration of stated precision needs."""

from __future__ import annotations

import math

__all__ = ["films_for_ratio"]

_NORMAL_975 = 1.959963984540054


def films_for_ratio(prevalence: float, factor: float) -> int:
    """Return the films whose interval of observed / expected positives is `1 / factor` to `factor`.

    Calibration in the large (Riley et al. 2021): with n films of which a share p has the finding,
    `SE(ln O/E) = sqrt((1 - p) / (n p))`, so `n = (1 - p) / p (1.96 / ln factor)^2`. The films must
    be of as many patients; of several films a patient more are needed. It says nothing about the
    slope, nor about how well findings are separated.

    Args:
        prevalence: share of films with the finding, in (0, 1).
        factor: above 1; 1.25 for an interval from 0.8 to 1.25 times the estimate.

    >>> films_for_ratio(0.05, 1.25)
    1466
    """
    if not 0.0 < prevalence < 1.0 or factor <= 1.0:
        raise ValueError(
            f"prevalence must be in (0, 1) and factor above 1; got {prevalence:g}, {factor:g}"
        )
    return math.ceil((1.0 - prevalence) / prevalence * (_NORMAL_975 / math.log(factor)) ** 2)
