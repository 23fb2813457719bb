"""Order of the columns: does each hold the finding that its name says?

Published AUROCs have come from columns in another order than the labels. A table cannot say so,
but its scores can: each column is scored against every finding's labels, and the best assignment of
columns to findings is compared with the one by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.audit import Remark, RemarkKind
from hilum.domain.findings import LabelSet
from hilum.metrics.delong import delong
from hilum.predictions.read import Scores

__all__ = [
    "LEAST_GAIN",
    "AurocMatrix",
    "Order",
    "auroc_matrix",
    "compare_order",
    "known_orders",
    "order_remarks",
]

LEAST_GAIN = 0.03
"""Mean AUROC that the moved findings must gain: related findings rank each other nearly as well."""

_FEWEST = 10
"""Positive and negative films that a finding needs to count in the comparison of orders."""
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
        """Return findings with a column that ranks worse than chance by over 4 standard errors."""
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
        best: finding to its column in the best assignment, which favors the given columns.
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
    """Score every column against every finding; None where the order cannot be tested.

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

    The best assignment maximizes the sum of AUROCs, each in units of its finding's standard error,
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
    """Return (K,) the best column of each finding, each used once, and the gain in the sum.

    Args:
        values: (M, K) in standard errors; the findings' own columns are worth three more.
        own: (K,) the columns given.
    """
    from scipy.optimize import linear_sum_assignment

    every = np.arange(len(own))
    favored = values.copy()
    favored[own, every] += _HEAD_START
    best = linear_sum_assignment(favored.T, maximize=True)[1]
    return best, float((favored[best, every] - favored[own, every]).sum())


def _largest_luck(matrix: AurocMatrix, own: NDArray[np.intp], rng: np.random.Generator) -> float:
    """Return the largest gain over the given order that noise alone makes in 1,000 draws."""
    columns = len(matrix.values)
    noise = np.stack(
        [
            rng.multivariate_normal(np.zeros(columns), covariance, _DRAWS, method="eigh")
            for covariance in matrix.covariances
        ],
        axis=2,
    )
    return max(_best(drawn, own)[1] for drawn in noise / matrix.errors)


def known_orders(labels: LabelSet) -> dict[str, LabelSet]:
    """Return the usual orders of unnamed columns: the dataset's own, and alphabetical.

    >>> from hilum.domain.findings import nih14
    >>> [order.findings[2] for order in known_orders(nih14()).values()]
    ['Effusion', 'Consolidation']
    """
    return {
        labels.name: labels,
        "alphabetical": LabelSet("alphabetical", tuple(sorted(labels.findings))),
    }


def order_remarks(scores: Scores, rng: np.random.Generator) -> tuple[list[Remark], tuple[str, ...]]:
    """Return remarks on the order of columns, and the findings that stand in another column."""
    if not scores.named:
        return [_unnamed(scores, rng)], ()
    matrix = auroc_matrix(scores)
    if matrix is None:
        return [], ()
    order = compare_order(matrix, {f: scores.findings.index(f) for f in matrix.findings}, rng)
    if order.permuted:
        return [_permuted(scores, order)], order.moved
    inverted = matrix.inverted(order.given)
    if not inverted:
        return [], ()
    words = "scores rank films worse than chance does: the sign or the column is wrong"
    return [Remark(kind=RemarkKind.INVERTED_SCORES, findings=inverted, words=words)], ()


def _permuted(scores: Scores, order: Order) -> Remark:
    held = [
        f"{finding} in the column of {scores.findings[at] or scores.columns[at]}"
        for finding, at in order.best.items()
        if finding in order.moved
    ]
    return Remark(
        kind=RemarkKind.PERMUTED_COLUMNS,
        findings=order.moved,
        words=f"columns are not in the order of their names: mean AUROC {order.auroc:.3f} by name, "
        f"{order.best_auroc:.3f} in the best order, more than chance gave in any of 1,000 draws. "
        f"Best order: {'; '.join(held)}{_well_known(scores, order)}",
    )


def _well_known(scores: Scores, order: Order) -> str:
    """Name the well-known order that the best order is, if it is one."""
    by_column = {column: finding for finding, column in order.best.items()}
    for name, known in known_orders(scores.cohort.labels).items():
        fits = len(known) == len(scores.columns) and len(by_column) > len(known) // 2
        if fits and all(known.findings[column] == f for column, f in by_column.items()):
            return f". That is the order '{name}': try --label-order '{name}'"
    return ""


def _unnamed(scores: Scores, rng: np.random.Generator) -> Remark:
    return Remark(
        kind=RemarkKind.UNNAMED_COLUMNS,
        words=f"the {len(scores.columns)} score columns have no names, so nothing is evaluated by "
        f"name. {'. '.join(_guesses(scores, rng))}",
    )


def _guesses(scores: Scores, rng: np.random.Generator) -> Iterator[str]:
    """Describe how well each known order fits columns that have no names."""
    matrix = auroc_matrix(scores)
    labels = scores.cohort.labels
    if matrix is None or len(labels) != len(scores.columns):
        yield "Name them with --label-order"
        return
    orders: dict[str, Order] = {}
    for name, known in known_orders(labels).items():
        given = {finding: known.findings.index(finding) for finding in matrix.findings}
        orders[name] = compare_order(matrix, given, rng)
    for name, order in orders.items():
        yield f"In the order '{name}' the mean AUROC is {order.auroc:.3f}"
    fitting = [name for name, order in orders.items() if not order.permuted]
    best = next(iter(orders.values()))
    if len(fitting) == 1:
        yield f"Only '{fitting[0]}' fits: name the columns with --label-order '{fitting[0]}'"
    elif fitting:
        yield "The films are too few, or the scores too weak, to tell which it is"
    else:
        by_column = sorted(best.best.items(), key=lambda item: item[1])
        yield (
            f"Neither fits; the best order has {best.best_auroc:.3f}: "
            f"{', '.join(finding for finding, _ in by_column)}"
        )
