"""Calibration metrics of probabilities: Brier score, log loss, calibration error."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BINS",
    "Binning",
    "bins_of",
    "brier",
    "brier_skill",
    "checked_pair",
    "debiased_l2",
    "ece",
    "ece_null_95",
    "log_loss",
    "log_losses",
    "squared_errors",
]

BINS = 15
"""The field's usual number of bins. The error depends on it, so it is never left open."""

_CLIP = float(np.finfo(np.float64).eps)


class Binning(StrEnum):
    """Grouping of probabilities before they are compared with outcomes."""

    EQUAL_MASS = "equal_mass"
    """The same number of films in every bin, so that rare findings do not fall into one."""
    EQUAL_WIDTH = "equal_width"
    """Bins of one width in [0, 1]; of a rare finding nearly all films fall into the first."""


def squared_errors(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return (n,) `(p - y)²` of each film, in [0, 1].

    Raises:
        ValueError: for other shapes, or probabilities outside [0, 1].
    """
    y, p = checked_pair(positives, probabilities)
    return (p - y) ** 2


def log_losses(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return (n,) `-ln p(what happened)` of each film, in nats.

    Probabilities are clipped to one rounding step from 0 and 1, as scikit-learn does, so that one
    film that was called impossible costs 36 nats and not infinity.
    """
    y, p = checked_pair(positives, probabilities)
    return -np.log(np.clip(np.where(y, p, 1.0 - p), _CLIP, 1.0))


def brier(positives: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> float | None:
    """Return the mean squared distance of probability and outcome; 0 is best. None without films.

    It mixes discrimination and calibration, and a rare finding has a small one whatever the model
    does: read it as `brier_skill`, against the prevalence.

    >>> brier(np.array([True, False]), np.array([0.8, 0.4]))
    0.1
    """
    errors = squared_errors(positives, probabilities)
    return float(errors.mean()) if len(errors) else None


def log_loss(positives: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> float | None:
    """Return the mean of `-ln p(what happened)`, in nats; 0 is best. None without films.

    >>> round(log_loss(np.array([True, False]), np.array([0.5, 0.5])), 6)
    0.693147
    """
    losses = log_losses(positives, probabilities)
    return float(losses.mean()) if len(losses) else None


def brier_skill(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating], prevalence: float
) -> float | None:
    """Return the share of the constant predictor's Brier score removed: `1 - Brier / constant`.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        prevalence: the constant predictor's probability for every film.

    Returns:
        1 is perfect, 0 no better than the prevalence, below 0 worse; None without films, or where
        the constant predictor makes no error.

    >>> brier_skill(np.array([True, False]), np.array([0.5, 0.5]), 0.5)
    0.0
    """
    y, p = checked_pair(positives, probabilities)
    constant = float(((prevalence - y) ** 2).sum())
    return 1.0 - float(((p - y) ** 2).sum()) / constant if constant > 0 else None


def bins_of(probabilities: NDArray[np.floating], bins: int, binning: Binning) -> NDArray[np.intp]:
    """Return (n,) the bin of each film, from 0 to bins - 1.

    Equal width: `[i / bins, (i + 1) / bins)`, the last one closed. The edges are quotients and not
    sums of a step, so that 0.6 is an edge of 15 bins exactly and a film at 0.6 falls above it.
    Equal mass: sorted films cut as `numpy.array_split` cuts; films of one probability stay in the
    bin where the first of them falls, so that the order of rows does not matter.

    >>> bins_of(np.array([0.5, 0.6]), 15, Binning.EQUAL_WIDTH)
    array([7, 9])
    >>> bins_of(np.array([0.1, 0.1, 0.1, 0.7]), 2, Binning.EQUAL_MASS)
    array([0, 0, 0, 1])
    """
    p = np.asarray(probabilities, np.float64)
    if binning is Binning.EQUAL_WIDTH:
        edges = np.arange(1, bins) / bins
        return np.searchsorted(edges, p, side="right")
    rank = np.searchsorted(np.sort(p), p, side="left")
    return np.searchsorted(_starts(len(p), bins)[1:], rank, side="right")


def _starts(n: int, bins: int) -> NDArray[np.intp]:
    """Return (min(bins, n),) rank at which each equal-mass bin of n films starts."""
    used = max(1, min(bins, n))
    small, larger = divmod(n, used)
    index = np.arange(used)
    return index * small + np.minimum(index, larger)


def ece(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    bins: int = BINS,
    binning: Binning = Binning.EQUAL_MASS,
) -> float | None:
    """Return the expected calibration error: the mean gap of probability and frequency.

    `sum over bins of |sum of (p - y)| / n`. Near zero proves nothing: the prevalence, for every
    film, has the lowest of all. Chance alone keeps it above zero (`ece_null_95`).

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        bins: number of bins; the value depends on it.
        binning: equal mass, or equal width as torchmetrics and netcal have it.

    Returns:
        In [0, 1]; None without films.

    Source: Naeini et al. 2015; equal mass as `get_ece_em` of Kumar et al. 2019.

    >>> ece(np.array([False, True, False, True]), np.array([0.1, 0.7, 0.5, 0.9]), bins=2)
    0.25
    """
    y, p = checked_pair(positives, probabilities)
    if len(p) == 0:
        return None
    gaps = np.bincount(bins_of(p, bins, binning), weights=p - y, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def debiased_l2(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating], bins: int = BINS
) -> float | None:
    """Return the root mean squared calibration error over equal-mass bins, less what chance adds.

    `sqrt(max(0, sum over bins of n_b / n * (gap² - s (1 - s) / (n_b - 1))))` with the gap of mean
    probability and share s of positive films. A calibrated model gets 0 half of the time, which
    `ece` never shows; a bin of one film gives no information and counts 0. Squares weigh a
    few films that are far off more than `ece` does, so the two cannot be compared.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        bins: number of equal-mass bins.

    Returns:
        In [0, 1]; None without films.

    Source: Kumar et al. 2019, `lower_bound_scaling_ce` of their uncertainty-calibration: binning
    hides what differs within a bin, so the true error may be larger.

    >>> round(debiased_l2(np.arange(100) >= 50, np.full(100, 0.3), bins=1), 4)
    0.1936
    """
    y, p = checked_pair(positives, probabilities)
    if len(p) == 0:
        return None
    index = bins_of(p, bins, Binning.EQUAL_MASS)
    columns = [np.bincount(index, column, minlength=bins) for column in (np.ones(len(p)), p - y, y)]
    return _debiased(np.array(columns, np.float64))


def _debiased(sums: NDArray[np.float64]) -> float:
    """Return the error of (3, B) films, residuals and positives of each bin; NaN without films."""
    films, residual, found = sums[:, sums[0] > 0]
    if len(films) == 0:
        return float("nan")
    share = found / films
    chance = share * (1.0 - share) / np.maximum(films - 1.0, 1.0)
    squares = np.where(films > 1, (residual / films) ** 2 - chance, 0.0)
    return float(np.sqrt(max(0.0, float((films * squares).sum() / films.sum()))))


def ece_null_95(
    probabilities: NDArray[np.floating],
    rng: np.random.Generator,
    draws: int = 200,
    bins: int = BINS,
) -> float | None:
    """Return the equal-mass ECE that a perfectly calibrated model may still show by chance.

    The 95th percentile over `draws` of outcomes drawn as `y ~ Bernoulli(p)`. An error below it is
    no evidence of miscalibration; none above 0 can be shown smaller. Films are drawn one by one, so
    outcomes that cluster by patient would raise it a little.

    Args:
        probabilities: (n,) in [0, 1].
        rng: source of randomness.
        draws: simulated sets of outcomes.
        bins: number of equal-mass bins.

    Returns:
        In [0, 1]; None without films.
    """
    _, p = checked_pair(np.zeros(np.shape(probabilities), bool), probabilities)
    if len(p) == 0:
        return None
    order = np.argsort(p, kind="stable")
    p = p[order]
    first = np.flatnonzero(np.diff(bins_of(p, bins, Binning.EQUAL_MASS), prepend=-1))
    values = [
        np.abs(np.add.reduceat(p - (rng.random(len(p)) < p), first)).sum() / len(p)
        for _ in range(draws)
    ]
    return float(np.percentile(values, 95))


def checked_pair(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return labels and probabilities as (n,) bool and (n,) float64.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].

    Raises:
        ValueError: for other shapes, or probabilities outside [0, 1].

    >>> checked_pair(np.array([1]), np.array([1.5]))
    Traceback (most recent call last):
    ...
    ValueError: probabilities must lie in [0, 1]; got 1.5
    """
    y, p = np.asarray(positives, bool), np.asarray(probabilities, np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"labels and probabilities must both be (n,); got {y.shape} and {p.shape}")
    inside = (p >= 0.0) & (p <= 1.0)
    if not inside.all():
        raise ValueError(f"probabilities must lie in [0, 1]; got {p[~inside][0]:g}")
    return y, p
