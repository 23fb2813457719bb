"""DeLong's variance of an AUROC, and its form for films clustered by patient.

No resampling: the variance follows from how often each film is won against the other class. With
patients, films of one patient may resemble each other as they like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.metrics.resampling import NORMAL_975, normal_interval

__all__ = ["Aurocs", "Difference", "delong", "difference", "influence", "interval"]


@dataclass(frozen=True, eq=False)
class Aurocs:
    """AUROCs of M models on the same films, and how they vary together.

    Attributes:
        values: (M,) in [0, 1]; NaN where a class is absent.
        covariance: (M, M) of the values; NaN where there are too few patients to know.
        reason: why values or covariance are NaN, else empty.
    """

    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    reason: str = ""


@dataclass(frozen=True)
class Difference:
    """The AUROC of one model minus that of another, on the same films.

    Attributes:
        difference: None where a class is absent.
        low, high: its 95 % interval; None where the variance is not known.
        z: difference / standard error; None where the standard error is 0 or not known.
        p: two-sided p-value of no difference; None with `z`.
        reason: why something is None, else empty.
    """

    difference: float | None
    low: float | None
    high: float | None
    z: float | None
    p: float | None
    reason: str = ""


def delong(
    positives: NDArray[np.bool_],
    scores: NDArray[np.floating],
    patients: NDArray[np.str_] | NDArray[np.integer] | None = None,
) -> Aurocs:
    """Return the AUROCs of several models on the same films, with their covariance.

    Each positive film has the share of negative films that it beats (a tie counts 1/2), and each
    negative film the share of positive films that beat it; the AUROC is the mean of either. Their
    spread between films is DeLong's covariance. With `patients`, the shares are first added up by
    patient, and a patient who has films of both kinds adds the product of the two sums:

        `S10 / n+ + S01 / n- + (S11 + S11') / (n+ n-)`

    With one film a patient this is DeLong's. On NIH's test list films of one patient make the
    variance up to 3.4 times DeLong's, so pass the patients wherever they are known.

    Args:
        positives: (n,) whether the film has the finding.
        scores: (M, n) finite, any scale, a row a model.
        patients: (n,) patient ids; None treats every film as a patient.

    Returns:
        The values equal `auroc`'s. NaN, with a reason, where a class is absent, and a covariance
        of NaN where fewer than two patients have positive films, or fewer than two negative ones.

    Raises:
        ValueError: for other shapes or scores that are not finite.

    Source: DeLong et al. 1988, equal to R's pROC; Obuchowski 1997 for clusters.

    >>> scores = np.array([[0.1, 0.4, 0.35, 0.8]])
    >>> found = delong(np.array([False, False, True, True]), scores)
    >>> found.values, found.covariance
    (array([0.75]), array([[0.125]]))
    """
    y, s = np.asarray(positives, bool), np.asarray(scores, np.float64)
    if y.ndim != 1 or s.ndim != 2 or s.shape[1] != len(y):
        raise ValueError(f"labels must be (n,) and scores (M, n); got {y.shape} and {s.shape}")
    if not np.isfinite(s).all():
        raise ValueError("scores must be finite; got NaN or infinity")
    ids = np.arange(len(y)) if patients is None else np.asarray(patients)
    if ids.shape != y.shape:
        raise ValueError(f"patients must be (n,) as the labels; got {ids.shape} and {y.shape}")
    models, unknown = len(s), np.full((len(s), len(s)), np.nan)
    if y.all() or not y.any():
        reason = "no film is negative" if y.any() else "no film is positive"
        return Aurocs(np.full(models, np.nan), unknown, reason)
    beaten = np.stack([_shares(row[y], row[~y]) for row in s])
    beating = np.stack([1.0 - _shares(row[~y], row[y]) for row in s])
    values = beaten.mean(axis=1)
    for kind, word in ((y, "positive"), (~y, "negative")):
        if len(np.unique(ids[kind])) < 2:
            return Aurocs(values, unknown, f"no interval: only one patient has {word} films")
    index = np.unique(ids, return_inverse=True)[1]
    up = _by_patient(beaten - values[:, None], index[y], index.max() + 1)
    down = _by_patient(beating - values[:, None], index[~y], index.max() + 1)
    return Aurocs(values, _covariance(up, down, (index[y], index[~y])))


def _shares(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) share of the others below each score; a tie counts 1/2, as by midranks."""
    others = np.sort(others)
    below = np.searchsorted(others, scores, side="left")
    to = np.searchsorted(others, scores, side="right")
    return (below + to) / (2 * len(others))


def _by_patient(
    values: NDArray[np.float64], index: NDArray[np.intp], patients: int
) -> NDArray[np.float64]:
    """Return (M, P) sums over the films of each patient."""
    sums = [np.bincount(index, weights=row, minlength=patients) for row in values]
    return np.asarray(sums, np.float64)


def _covariance(
    up: NDArray[np.float64],
    down: NDArray[np.float64],
    index: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Return (M, M) from each patient's sums (M, P) over positive and negative films."""

    def unbiased(patients: int) -> float:
        return patients / (patients - 1)

    positive, negative = (len(films) for films in index)
    with_positive, with_negative = (len(np.unique(films)) for films in index)

    def products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        # the same to the bit on any number of threads, unlike `@`
        return np.einsum("ap,bp->ab", a, b)

    own_up = unbiased(with_positive) * products(up, up) / positive**2
    own_down = unbiased(with_negative) * products(down, down) / negative**2
    both = unbiased(up.shape[1]) * products(up, down) / (positive * negative)
    return own_up + own_down + both + both.T


def interval(aurocs: Aurocs, index: int) -> Interval:
    """Return one model's AUROC with its 95 % interval.

    Normal on the AUROC's own scale, `value ± 1.96 standard errors`, as pROC has it, and clipped to
    [0, 1]. Near 1, or of a finding of few patients, the true distribution leans and the bootstrap
    follows it better. A perfect ranking has no spread at all: the formula is at its end there, and
    gives no interval.

    Args:
        aurocs: of `delong`.
        index: the model's row.

    >>> found = delong(np.array([False, False, True, True]), np.array([[0.1, 0.4, 0.35, 0.8]]))
    >>> round(interval(found, 0).low, 3), interval(found, 0).high
    (0.057, 1.0)
    """
    value, variance = float(aurocs.values[index]), float(aurocs.covariance[index, index])
    if math.isnan(value):
        return Interval(value=None, reason=aurocs.reason)
    if math.isnan(variance):
        return Interval(value=value, reason=aurocs.reason)
    return normal_interval(value, NORMAL_975 * math.sqrt(max(0.0, variance)))


def difference(aurocs: Aurocs, a: int, b: int) -> Difference:
    """Return the AUROC of model `b` minus that of model `a`, on the same films.

    Paired: films that are hard for both cancel out. The p-value is that of the normal test
    `z = (b - a) / standard error`; over several findings, adjust it (`holm`).

    Args:
        aurocs: of `delong`, both models' rows among them.
        a: row of the model that is subtracted.
        b: row of the other.

    >>> labels = np.array([False, True, False, True, True])
    >>> scores = np.array([[0.3, 0.2, 0.6, 0.5, 0.9], [0.3, 0.4, 0.6, 0.5, 0.9]])
    >>> found = difference(delong(labels, scores), 0, 1)
    >>> round(found.difference, 3), round(found.z, 3), round(found.p, 3)
    (0.167, 0.707, 0.48)
    """
    gap = float(aurocs.values[b] - aurocs.values[a])
    if math.isnan(gap):
        return Difference(None, None, None, None, None, aurocs.reason)
    c = aurocs.covariance
    variance = float(c[a, a] + c[b, b] - 2.0 * c[a, b])
    if math.isnan(variance):
        return Difference(gap, None, None, None, None, aurocs.reason)
    # two models that order all films alike leave rounding errors of either sign
    if variance <= 1e-14 * float(c[a, a] + c[b, b]):
        return Difference(gap, gap, gap, None, None, "both win the same films: no spread to test")
    error = math.sqrt(variance)
    z = gap / error
    p = math.erfc(abs(z) / math.sqrt(2.0))
    return Difference(gap, gap - NORMAL_975 * error, gap + NORMAL_975 * error, z, p)


def influence(
    positives: NDArray[np.bool_], scores: NDArray[np.floating]
) -> tuple[float, NDArray[np.float64]]:
    """Return the AUROC of one model, and what each film adds to it.

    A positive film adds `(share of negative films it beats - AUROC) / n+`, a negative one
    `(share of positive films that beat it - AUROC) / n-`. Added up by patient, their squares sum
    to the AUROC's variance; and what a patient adds to a mean over findings is the mean of what it
    adds to each, which gives that mean its interval without resampling.

    Args:
        positives: (n,) whether the film has the finding; both kinds must be there.
        scores: (n,) finite, any scale.

    Returns:
        The AUROC, and (n,) numbers that sum to 0.

    Source: the infinitesimal jackknife; DeLong's variance but for the factors n / (n - 1).

    >>> influence(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    (0.75, array([ 0.125, -0.125, -0.125,  0.125]))
    """
    y, s = np.asarray(positives, bool), np.asarray(scores, np.float64)
    beaten, beating = _shares(s[y], s[~y]), 1.0 - _shares(s[~y], s[y])
    value = float(beaten.mean())
    added = np.empty(len(y))
    added[y], added[~y] = (beaten - value) / len(beaten), (beating - value) / len(beating)
    return value, added
