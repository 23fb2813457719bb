"""Recalibration slope, intercept and ratio: the corrections that would calibrate probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.metrics.reliability import checked_pair
from hilum.metrics.resampling import NORMAL_975

__all__ = ["CLIP", "RecalibrationLine", "slope_and_intercept"]

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1: what a table of six decimals can still tell."""

_STEPS = 100
_SLACK = 1e-7
"""Log-likelihood that a step may lose to rounding."""
_REACH = 8.0
"""Logits by which one step may move a film: beyond, all films could end where their slope is 0."""


@dataclass(frozen=True)
class RecalibrationLine:
    """Calibration slope and intercept. Of a calibrated model they are 1 and 0.

    Attributes:
        slope: below 1, probabilities are too extreme; above 1, too timid.
        intercept: calibration in the large, in logits: below 0, probabilities are too high on
            average; above 0, too low.
        clipped: films whose probability was moved to `CLIP` or `1 - CLIP` first.
    """

    slope: Interval
    intercept: Interval
    clipped: int


def slope_and_intercept(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    patients: NDArray[np.str_] | NDArray[np.integer],
) -> RecalibrationLine:
    """Return slope and intercept of the outcomes on the logits, by logistic regression.

    - slope b of `logit P(y) = a + b logit(p)`;
    - intercept a of `logit P(y) = a + logit(p)`, the slope held at 1: calibration in the large.
      The other model's intercept would mean nothing without its slope.

    Intervals are the estimate ± 1.96 robust standard errors, clustered by patient (`A⁻¹ B A⁻¹`,
    B from the sums of each patient's scores, times G / (G - 1) for G patients), so that films of
    one patient may resemble each other. A slope of 1 and an intercept of 0 are necessary for
    calibration and not sufficient: a bent curve may have both.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1]; clipped to [1e-6, 1 - 1e-6], where a logit exists.
        patients: (n,) patient ids.

    Returns:
        Null, with a reason, where a class is absent; the slope also where all probabilities are
        equal, or where a threshold separates the classes (it would be infinite).

    Source: Cox 1958; Van Calster et al. 2016; the sandwich of Liang & Zeger 1986.

    >>> y = np.array([True, False, False, True, False, False])
    >>> p = np.array([0.5, 0.5, 0.2, 0.2, 0.2, 0.2])
    >>> line = slope_and_intercept(y, p, np.array(list("abcdef")))
    >>> round(line.slope.value, 3), round(line.intercept.value, 3)
    (0.792, 0.171)
    """
    y, p = checked_pair(positives, probabilities)
    patient = np.unique(patients, return_inverse=True)[1]
    if patient.shape != y.shape:
        raise ValueError(f"patients must be (n,) as the labels; got {patient.shape}, {y.shape}")
    inside = np.clip(p, CLIP, 1.0 - CLIP)
    clipped = int((inside != p).sum())
    if y.all() or not y.any():
        reason = "no film is negative" if y.any() else "no film is positive"
        return RecalibrationLine(
            Interval(value=None, reason=reason), Interval(value=None, reason=reason), clipped
        )
    logits = np.log(inside) - np.log1p(-inside)
    one = np.ones((len(y), 1))
    intercept = _fit(y, one, logits, patient)
    if reason := _no_slope(y, logits):
        return RecalibrationLine(Interval(value=None, reason=reason), intercept, clipped)
    # centered, so that the two columns do not resemble each other; the slope is the same
    both = np.column_stack([logits - logits.mean(), one])
    return RecalibrationLine(_fit(y, both, np.zeros(len(y)), patient), intercept, clipped)


def _no_slope(y: NDArray[np.bool_], logits: NDArray[np.float64]) -> str:
    """Return why the likelihood has no largest value in the slope; empty where it has."""
    if logits.min() == logits.max():
        return "every film has the same probability"
    up, down = logits[y], logits[~y]
    if up.min() >= down.max() or down.min() >= up.max():
        return "a threshold separates the classes: the slope is infinite"
    return ""


def _fit(
    y: NDArray[np.bool_],
    columns: NDArray[np.float64],
    offset: NDArray[np.float64],
    patient: NDArray[np.intp],
) -> Interval:
    """Return the first coefficient of the logistic regression on (n, k) columns, with its interval.

    Newton's method; a step moves no film by more than `_REACH` logits, and one that would lower
    the likelihood is halved until it does not.
    """
    beta = np.zeros(columns.shape[1])
    best = _likelihood(y, offset)
    for _ in range(_STEPS):
        expected = _sigmoid(offset + _product(columns, beta))
        information = np.einsum("n,nj,nk->jk", expected * (1.0 - expected), columns, columns)
        step = np.linalg.solve(information, np.einsum("n,nk->k", y - expected, columns))
        reach = float(np.abs(_product(columns, step)).max())
        step = step * min(1.0, _REACH / max(reach, _REACH))
        while (now := _likelihood(y, offset + _product(columns, beta + step))) < best - _SLACK:
            step = step / 2.0
        beta, best = beta + step, now
        if float(np.abs(step).max()) < 1e-10 * max(1.0, float(np.abs(beta).max())):
            return _interval(float(beta[0]), y - expected, columns, (information, patient))
    return Interval(value=None, reason=f"the regression did not converge in {_STEPS} steps")


def _product(columns: NDArray[np.float64], beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) linear predictor, the same to the bit on any number of threads."""
    return np.einsum("nk,k->n", columns, beta)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _likelihood(y: NDArray[np.bool_], logits: NDArray[np.float64]) -> float:
    """Return the log-likelihood: the sum of `ln sigmoid(±logit)`."""
    return -float(np.logaddexp(0.0, np.where(y, -logits, logits)).sum())


def _interval(
    value: float,
    residual: NDArray[np.float64],
    columns: NDArray[np.float64],
    spread: tuple[NDArray[np.float64], NDArray[np.intp]],
) -> Interval:
    """Return the coefficient and its interval, from the information matrix and the patients."""
    information, patient = spread
    scores = np.zeros((int(patient.max()) + 1, columns.shape[1]))
    np.add.at(scores, patient, columns * residual[:, None])
    if len(scores) < 2:
        return Interval(value=value, reason="no interval: all films are of one patient")
    bread = np.linalg.inv(information)
    meat = np.einsum("gj,gk->jk", scores, scores) * len(scores) / (len(scores) - 1)
    variance = float(np.einsum("j,jk,k->", bread[0], meat, bread[0]))
    half = NORMAL_975 * math.sqrt(max(0.0, variance))
    return Interval(value=value, low=value - half, high=value + half)
