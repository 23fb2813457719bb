"""Whether one model is better than another, when both read the same films of the same patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.metrics.resampling import VALID_SHARE, interval

__all__ = ["bootstrap_p", "holm", "paired_interval"]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for multiple tests, by Holm's step-down rule.

    Of m values sorted upwards the i-th becomes `max over j <= i of min(1, (m - j + 1) p_j)`.
    Calling those below 0.05 different errs anywhere in the family in at most 5 % of studies,
    however the tests depend on each other; Bonferroni's rule promises the same and finds less.

    Args:
        p_values: in [0, 1]; None where a test could not be done. It stays None and does not count.

    Raises:
        ValueError: for a p-value outside [0, 1].

    Source: Holm 1979; R's `p.adjust(method = "holm")`.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    done = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(done):
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p-values must lie in [0, 1]; got {p:g}")
        largest = max(largest, min(1.0, (len(done) - rank) * p))
        adjusted[index] = largest
    return adjusted


def paired_interval(
    a: NDArray[np.float64], b: NDArray[np.float64], value_a: float, value_b: float
) -> Interval:
    """Return the difference of a metric, model b minus model a, with its 95 % interval.

    The percentile interval of `b - a` on the same resamples. Films that are hard for both models
    cancel out: two models whose own intervals overlap may well differ.

    Args:
        a: (R,) the number of the first model on each resample; NaN where it does not exist.
        b: (R,) that of the second, on the same resamples in the same order.
        value_a: the number of the first on the films themselves; NaN where it does not exist.
        value_b: that of the second.

    Raises:
        ValueError: when resamples differ in number.

    >>> found = paired_interval(np.array([0.7, 0.8]), np.array([0.75, 0.85]), 0.75, 0.8)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.05, 0.05, 0.05)
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired resamples must both be (R,); got {a.shape} and {b.shape}")
    return interval(
        value_b - value_a, b - a, "the number does not exist for both models", bounded=False
    )


def bootstrap_p(differences: NDArray[np.float64]) -> float | None:
    """Return the two-sided p-value of no difference, from the resampled differences.

    Twice the smaller share of resamples on either side of 0, those at 0 on both; one is added to
    each count, `2 (1 + count) / (R + 1)`, so that no p-value is smaller than the resamples can
    show. It is below 0.05 where the percentile interval leaves 0 out.

    Args:
        differences: (R,) of paired resamples; NaN where one does not exist.

    Returns:
        In (0, 1]; None where fewer than 95 % of the resamples have a difference.

    Source: Davison & Hinkley 1997, section 4.2; Phipson & Smyth 2010 for the one added.

    >>> bootstrap_p(np.linspace(0.01, 0.2, 1999))
    0.001
    """
    valid = differences[~np.isnan(differences)]
    if len(valid) == 0 or len(valid) < VALID_SHARE * len(differences):
        return None
    fewer = min(int((valid <= 0.0).sum()), int((valid >= 0.0).sum()))
    return min(1.0, 2.0 * (1 + fewer) / (len(valid) + 1))
