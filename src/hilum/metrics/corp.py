"""Reliability without bins: what monotone recalibration would gain, and what it would look like.

The probabilities are recalibrated by isotonic regression (pool adjacent violators, PAV), which
chooses its own bins. CORP: consistent, optimally binned, reproducible, PAV-based.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.reliability import checked_pair
from hilum.metrics.resampling import Segments

__all__ = ["Decomposition", "ReliabilityCurve", "corp", "corp_resampled", "reliability_curve"]

_POINTS = 200
"""Largest number of points of a reliability curve: more than a figure can show."""


@dataclass(frozen=True)
class Decomposition:
    """The parts of a Brier score: `Brier = miscalibration - discrimination + uncertainty`.

    Attributes:
        miscalibration: >= 0, what isotonic recalibration would remove from the Brier score. Chance
            alone keeps it above 0, since the recalibration is fitted to these very films.
        discrimination: >= 0, what the recalibrated probabilities gain over the prevalence.
        uncertainty: Brier score of the prevalence itself, given to every film.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def corp(positives: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> Decomposition | None:
    """Return the Brier score, split into miscalibration, discrimination and uncertainty.

    Two models of one Brier score may differ in kind: one discriminates and is miscalibrated, which
    can be repaired, the other is calibrated and knows little. The prevalence, given to every film,
    has neither miscalibration nor discrimination.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].

    Returns:
        None without films.

    Source: Dimitriadis, Gneiting & Jordan 2021.

    >>> found = corp(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.9]))
    >>> round(found.miscalibration, 4), found.discrimination, found.uncertainty
    (0.0325, 0.125, 0.25)
    """
    y, _ = checked_pair(positives, probabilities)
    if len(y) == 0:
        return None
    once = np.ones((1, len(y)), np.int32)
    miscalibration, discrimination, uncertainty = corp_resampled(positives, probabilities, once)
    return Decomposition(float(miscalibration[0]), float(discrimination[0]), float(uncertainty[0]))


def corp_resampled(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    weights: NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the parts of the Brier score of each resample, as `corp` of the repeated films.

    Resampled films repeat themselves and the recalibration follows them, so that resampled
    miscalibrations lie above the value itself, as calibration errors do.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        weights: (R, n) how often each film stands in each resample.

    Returns:
        (R,) miscalibration, (R,) discrimination, (R,) uncertainty; NaN without films.
    """
    y, p = checked_pair(positives, probabilities)
    # films of one probability share a pool: their order cannot matter
    order = np.argsort(p)
    ends = _pool_ends(y[order], p[order])
    found_to = np.append(0, np.cumsum(y[order]))[ends]
    films = Segments(order, ends).sums(weights)
    found = Segments(order[y[order]], found_to).sums(weights)
    n, positive = films.sum(axis=1), found.sum(axis=1)
    explained = np.array([_explained(*row) for row in zip(found, films, strict=True)])
    brier = _share(np.einsum("rn,n->r", weights, (p - y) ** 2), n)
    prevalence = _share(positive, n)
    recalibrated = _share(positive - explained, n)
    uncertainty = prevalence * (1.0 - prevalence)
    return brier - recalibrated, uncertainty - recalibrated, uncertainty


def _pool_ends(y: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return (S,) ends of runs of sorted films that PAV gives one value whatever their weights.

    Films of one probability; and neighboring ones that are all negative, or all positive: what
    pools the first of them with its neighbors pools the others too. Rare findings leave few runs.
    """
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    if len(starts) == 0:
        return starts
    share = np.add.reduceat(y.astype(np.float64), starts) / np.diff(starts, append=len(p))
    mixed = (share > 0.0) & (share < 1.0)
    new = (np.diff(share, prepend=-1.0) != 0.0) | mixed
    return np.append(starts[new][1:], len(p))


def _explained(found: NDArray[np.float64], films: NDArray[np.float64]) -> float:
    """Sum of the squared recalibrated probabilities of a resample's films."""
    there = films > 0.0
    found, films = found[there], films[there]
    if len(films) == 0:
        return 0.0
    # a block of value v has v * films = found, hence v² * films = v * found
    return float((_isotonic(found / films, films) * found).sum())


def _isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) closest non-decreasing values."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights).x, np.float64)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Observed frequency of the finding at each probability, and what chance would show.

    Attributes:
        probabilities: (K,) rising, seen ones; at most 200.
        observed: (K,) share of positive films by isotonic regression, non-decreasing.
        low: (K,) 5th percentile of `observed` if every probability were true.
        high: (K,) 95th percentile of the same.
    """

    probabilities: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def reliability_curve(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    rng: np.random.Generator,
    draws: int = 200,
) -> ReliabilityCurve | None:
    """Return the reliability diagram by PAV, with a 90 % consistency band.

    The band is drawn around the diagonal and not around the curve: outcomes `y ~ Bernoulli(p)` are
    simulated and recalibrated the same way, and where the curve leaves the band, chance is a poor
    explanation. It holds for each point, not for all points at once, and outcomes that cluster by
    patient would widen it.

    Half of the points are spread over the films and half over the probabilities, so that a rare
    finding's few high ones are drawn as well.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        rng: source of randomness.
        draws: simulated sets of outcomes.

    Returns:
        None without films.

    Source: Dimitriadis, Gneiting & Jordan 2021; consistency bands of Bröcker & Smith 2007.

    >>> y, p = np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.9])
    >>> curve = reliability_curve(y, p, np.random.default_rng(0))
    >>> curve.probabilities, curve.observed
    (array([0.1, 0.4, 0.5, 0.9]), array([0. , 0.5, 0.5, 1. ]))
    """
    y, p = checked_pair(positives, probabilities)
    if len(y) == 0:
        return None
    order = np.argsort(p, kind="stable")
    y, p = y[order], p[order]
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    films = np.diff(starts, append=len(p)).astype(np.float64)
    points = _points(p[starts], starts)

    def recalibrated(outcomes: NDArray[np.bool_]) -> NDArray[np.float64]:
        found = np.add.reduceat(outcomes.astype(np.float64), starts)
        return _isotonic(found / films, films)[points]

    simulated = np.stack([recalibrated(rng.random(len(p)) < p) for _ in range(draws)])
    low, high = np.percentile(simulated, [5.0, 95.0], axis=0)
    return ReliabilityCurve(p[starts][points], recalibrated(y), low, high)


def _points(distinct: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return (K,) indices of the probabilities to show: first, last, and some between."""
    if len(distinct) <= _POINTS:
        return np.arange(len(distinct))
    half = _POINTS // 2
    by_film = np.searchsorted(starts, np.linspace(0, starts[-1], half), side="right") - 1
    by_value = np.searchsorted(distinct, np.linspace(distinct[0], distinct[-1], half))
    return np.unique(np.concatenate([by_film, np.minimum(by_value, len(distinct) - 1)]))
