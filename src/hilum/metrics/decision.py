"""Decision curves: the net benefit of acting on the model, on all films, or on none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.reliability import checked_pair

__all__ = ["NetBenefit", "net_benefit"]


@dataclass(frozen=True, eq=False)
class NetBenefit:
    """Net benefit per film: true positives minus false ones, weighted by the threshold's odds.

    Attributes:
        model: (K,) when films with `probability >= threshold` are acted on.
        treat_all: (K,) when all films are.
        treat_none: (K,) when none is: 0.
    """

    model: NDArray[np.float64]
    treat_all: NDArray[np.float64]
    treat_none: NDArray[np.float64]


def net_benefit(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    thresholds: NDArray[np.floating],
) -> NetBenefit:
    """Return the decision curves of the model, of treating all films and of treating none.

    `TP / n - FP / n * t / (1 - t)`: who acts at probability t holds a missed finding to be
    `(1 - t) / t` times as bad as a needless action, so the threshold is argued from the clinic and
    not chosen from this curve. A model that lies below either rival at that threshold does harm
    there, whatever its AUROC. Probabilities must be calibrated for the thresholds to mean that.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        thresholds: (K,) in [0, 1).

    Returns:
        In (-inf, prevalence], per film; NaN without films.

    Source: Vickers & Elkin 2006.

    >>> y, p = np.array([True, False, False, False]), np.array([0.6, 0.3, 0.1, 0.1])
    >>> found = net_benefit(y, p, np.array([0.0, 0.2]))
    >>> found.model, found.treat_all
    (array([0.25  , 0.1875]), array([0.25  , 0.0625]))
    """
    y, p = checked_pair(positives, probabilities)
    t = np.asarray(thresholds, np.float64)
    inside = (t >= 0.0) & (t < 1.0)
    if t.ndim != 1 or not inside.all():
        raise ValueError(f"thresholds must be (K,) in [0, 1); got {t[~inside][:1]} of {t.shape}")
    n, odds = len(y), t / (1.0 - t)
    right = np.searchsorted(np.sort(-p[y]), -t, side="right")
    wrong = np.searchsorted(np.sort(-p[~y]), -t, side="right")
    everyone = np.full(len(t), y.sum()), np.full(len(t), n - y.sum())
    return NetBenefit(
        model=_per_film(right - wrong * odds, n),
        treat_all=_per_film(everyone[0] - everyone[1] * odds, n),
        treat_none=_per_film(np.zeros(len(t)), n),
    )


def _per_film(total: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return total / n if n else np.full(len(total), np.nan)
