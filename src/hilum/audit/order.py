"""Whether the columns of a table hold the findings that their names say.

Published AUROCs have come from columns in another order than the labels. A table cannot say so,
but its scores can: each column is scored against every finding's labels, and the best assignment of
columns to findings is compared with the one by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.delong import delong
from hilum.predictions.scores import Scores

__all__ = ["LEAST_GAIN", "AurocMatrix", "Order", "auroc_matrix", "compare_order"]

LEAST_GAIN = 0.03
"""Mean AUROC that the moved findings must gain: related findings rank each other nearly as well."""

_FEWEST = 10
"""Positive films without which a finding tells nothing of the order."""
_DRAWS = 1000
_HEAD_START = 3.0
_SMALLEST_ERROR = 0.002


@dataclass(frozen=True, eq=False)
class AurocMatrix:
    """AUROC of every column against every finding's labels.

    Attributes:
        findings: the K findings that have enough films of both kinds.
        values: (M, K) AUROC of column m for finding k.
        covariances: (K, M, M) of the columns' AUROCs for a finding, clustered by patient.
    """

    findings: tuple[str, ...]
    values: NDArray[np.float64]
    covariances: NDArray[np.float64]

    @property
    def errors(self) -> NDArray[np.float64]:
        """(K,) typical standard error of an AUROC for each finding."""
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        return np.maximum(np.sqrt(variances.mean(axis=1)), _SMALLEST_ERROR)

    def inverted(self, given: Mapping[str, int]) -> tuple[str, ...]:
        """Findings whose own column ranks worse than chance, by more than 4 standard errors."""
        found: list[str] = []
        for k, finding in enumerate(self.findings):
            column = given[finding]
            error = float(np.sqrt(self.covariances[k, column, column]))
            if self.values[column, k] + 4.0 * max(error, _SMALLEST_ERROR) < 0.5:
                found.append(finding)
        return tuple(found)


@dataclass(frozen=True)
class Order:
    """One assignment of columns to findings, compared with the best there is.

    Attributes:
        given: finding to its column, as names or positions say.
        best: finding to its column in the best assignment, which favours the given columns.
        auroc, best_auroc: mean AUROC of the findings under either.
        gain: mean AUROC that the findings gain which the best assignment moves.
        permuted: whether the best is better than the given beyond noise.
    """

    given: Mapping[str, int]
    best: Mapping[str, int]
    auroc: float
    best_auroc: float
    gain: float
    permuted: bool

    @property
    def moved(self) -> tuple[str, ...]:
        """Findings that the best assignment takes from another column."""
        return tuple(name for name, column in self.best.items() if self.given[name] != column)


def auroc_matrix(scores: Scores) -> AurocMatrix | None:
    """Score every column against every finding; None where nothing can be told.

    Findings with fewer than 10 positive or negative films are left out, and so is the whole
    question when a score is not finite, or fewer than two columns or findings are left.
    """
    columns = len(scores.columns)
    if columns < 2 or not np.isfinite(scores.values).all():
        return None
    patients = scores.cohort.patients()
    findings: list[str] = []
    values: list[NDArray[np.float64]] = []
    covariances: list[NDArray[np.float64]] = []
    for finding in scores.cohort.labels:
        if scores.named and finding not in scores.findings:
            continue
        entries = scores.entries(0, finding)
        fewest = min(entries.positives.sum(), (~entries.positives).sum())
        if fewest < _FEWEST:
            continue
        films = entries.films
        aurocs = delong(entries.positives, scores.values[films].T, patients[films])
        if not np.isnan(aurocs.covariance).any():
            findings.append(finding)
            values.append(aurocs.values)
            covariances.append(aurocs.covariance)
    if not 2 <= len(findings) <= columns:
        return None
    return AurocMatrix(tuple(findings), np.stack(values, axis=1), np.stack(covariances))


def compare_order(matrix: AurocMatrix, given: Mapping[str, int], rng: np.random.Generator) -> Order:
    """Compare the given assignment of columns to findings with the best.

    The best assignment maximises the sum of AUROCs, each in units of its finding's standard error,
    so that a rare finding's luck does not outweigh a common one's evidence. A finding leaves its
    own column only for a gain: staying is worth three standard errors. Even so, the best of all
    assignments beats a right one by luck alone, and by much where films are few. So its gain is
    compared with what the best gains from noise: 1,000 draws of errors as large and as correlated
    as those of the AUROCs. The order counts as permuted when

    - the gain, less three standard errors a finding moved, is larger than in every one of the
      draws, and
    - the findings moved gain 0.03 of AUROC or more in the mean.

    A table of a weak model in the right order passes: its gain is luck, and luck is what is drawn.

    Args:
        matrix: of `auroc_matrix`.
        given: finding to column.
        rng: source of randomness.
    """
    own = np.array([given[finding] for finding in matrix.findings])
    every = np.arange(len(own))
    # a column that ranks worse than chance is inverted, which is no sign of another order
    values = np.maximum(matrix.values, 0.5)
    best, gain = _best(values / matrix.errors, own)
    gained = (values[best, every] - values[own, every])[best != own]
    mean = float(gained.mean()) if len(gained) else 0.0
    return Order(
        given=dict(zip(matrix.findings, own.tolist(), strict=True)),
        best=dict(zip(matrix.findings, best.tolist(), strict=True)),
        auroc=float(matrix.values[own, every].mean()),
        best_auroc=float(matrix.values[best, every].mean()),
        gain=mean,
        permuted=mean >= LEAST_GAIN and gain > _largest_luck(matrix, own, rng),
    )


def _best(values: NDArray[np.float64], own: NDArray[np.intp]) -> tuple[NDArray[np.intp], float]:
    """(K,) best column of each finding, each used once, and what the sum of values gains by it.

    Args:
        values: (M, K) in standard errors; the findings' own columns are worth three more.
        own: (K,) the columns given.
    """
    from scipy.optimize import linear_sum_assignment

    every = np.arange(len(own))
    favoured = values.copy()
    favoured[own, every] += _HEAD_START
    best = linear_sum_assignment(favoured.T, maximize=True)[1]
    return best, float((favoured[best, every] - favoured[own, every]).sum())


def _largest_luck(matrix: AurocMatrix, own: NDArray[np.intp], rng: np.random.Generator) -> float:
    """The largest gain over the given order that noise alone makes, in 1,000 draws."""
    columns = len(matrix.values)
    noise = np.stack(
        [
            rng.multivariate_normal(np.zeros(columns), covariance, _DRAWS, method="eigh")
            for covariance in matrix.covariances
        ],
        axis=2,
    )
    return max(_best(drawn, own)[1] for drawn in noise / matrix.errors)
