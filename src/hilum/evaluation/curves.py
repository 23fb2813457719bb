"""Curves behind the numbers: ROC, precision-recall, reliability, decision, and thresholds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.metrics.corp import ReliabilityCurve, reliability_curve
from hilum.metrics.decision import NetBenefit, net_benefit
from hilum.metrics.operating import GridRow, grid
from hilum.metrics.ranking import Ranking

__all__ = ["POINTS", "Curves", "FindingCurves", "Histogram", "curves_of"]

POINTS = 200
"""Most points of a curve: more than a figure can show."""

_TAIL = 0.995
"""Quantile of the probabilities at which axes end; beyond it a handful of films make the curve."""

_ENDS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_BINS = 30
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Histogram:
    """Films in equal bins of probability, those with the finding and those without.

    Attributes:
        edges: (B + 1,) from 0.
        positives, negatives: (B,) films in each bin, the last one closed.
        beyond: films above the last edge, which are in no bin.
    """

    edges: NDArray[np.float64]
    positives: NDArray[np.intp]
    negatives: NDArray[np.intp]
    beyond: int


@dataclass(frozen=True, eq=False)
class FindingCurves:
    """The curves of one finding, over its films that are labeled positive or negative.

    Attributes:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        roc: (K, 2) 1 - specificity and sensitivity, from (0, 0) to (1, 1); None without a class.
        precision_recall: (K, 2) recall and precision of the steps, recall rising: between two
            recalls the precision is that of the higher one. None without a class.
        reliability: None without films.
        histogram: on the axis of the reliability curve.
        tail: 99.5th percentile of the probabilities, in [0, 1]; 1 without films.
        acted_at: (K,) thresholds of the decision curve.
        decision: net benefit at each of them; None without films.
        thresholds: what the explorer offers, rising; empty without films.
    """

    positives: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    roc: NDArray[np.float64] | None
    precision_recall: NDArray[np.float64] | None
    reliability: ReliabilityCurve | None
    histogram: Histogram
    tail: float
    acted_at: NDArray[np.float64]
    decision: NetBenefit | None
    thresholds: tuple[GridRow, ...]

    @property
    def n(self) -> int:
        """Number of labeled films."""
        return len(self.positives)

    @property
    def found(self) -> int:
        """Number of films with the finding."""
        return int(self.positives.sum())

    def at(self, threshold: float) -> GridRow:
        """Return the counts at another threshold."""
        return GridRow.of(self.positives, self.probabilities, threshold)


@dataclass(frozen=True, eq=False)
class Curves:
    """The curves of an evaluation.

    Attributes:
        findings: by name.
        synthetic: whether the films were drawn.
    """

    findings: Mapping[str, FindingCurves]
    synthetic: bool


def curves_of(probabilities: Probabilities, cohort: Cohort, seed: int) -> Curves:
    """Compute the curves of every finding.

    Args:
        probabilities: (N, L), a row for each record of the cohort, in its order.
        cohort: the split: films and labels.
        seed: of the consistency bands; a finding's does not depend on the others.
    """
    states = cohort.states()
    findings: dict[str, FindingCurves] = {}
    for name in probabilities.labels:
        known, positives = labeled(states[:, cohort.labels.index(name)])
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        findings[name] = _curves(positives, probabilities.of(name)[known], rng)
    return Curves(findings, cohort.synthetic)


def _curves(
    y: NDArray[np.bool_], p: NDArray[np.float64], rng: np.random.Generator
) -> FindingCurves:
    both = bool(y.any()) and not y.all()
    tail = float(np.quantile(p, _TAIL)) if len(p) else 1.0
    prevalence = float(y.mean()) if len(y) else 0.0
    # beyond the tail nearly nobody is called, and a threshold far above the prevalence is no choice
    acted_at = np.linspace(0.0, min(round_up(max(tail, 2.0 * prevalence)), 0.95), _STEPS)
    return FindingCurves(
        positives=y,
        probabilities=p,
        roc=_thinned(_roc(y, p)) if both else None,
        precision_recall=_thinned(_precision_recall(y, p)) if both else None,
        reliability=reliability_curve(y, p, rng),
        histogram=_histogram(y, p, round_up(tail)),
        tail=tail,
        acted_at=acted_at,
        decision=net_benefit(y, p, acted_at) if len(y) else None,
        thresholds=_thresholds(y, p),
    )


def round_up(value: float) -> float:
    """Return the next round number, at most 1: the end of an axis that must hold the value.

    >>> round_up(0.0123), round_up(0.47), round_up(0.93), round_up(0.0)
    (0.015, 0.5, 1.0, 0.001)
    """
    value = min(max(value, 0.001), 1.0)
    power = 10.0 ** np.floor(np.log10(value) + 1e-9)
    return float(f"{min(next(e for e in _ENDS if e * power >= value * (1 - 1e-9)) * power, 1):.6g}")


def _roc(y: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K, 2) the corners of the ROC curve; films of one score make a slanted line."""
    order = np.argsort(-p, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    hits = np.append(0, np.cumsum(y[order])[ends])
    false = np.append(0, np.cumsum(~y[order])[ends])
    # a point between two lines of one direction is no corner
    turn = np.diff(hits)[:-1] * np.diff(false)[1:] != np.diff(hits)[1:] * np.diff(false)[:-1]
    corner = np.concatenate([[True], turn, [True]])
    return np.column_stack([false[corner] / (~y).sum(), hits[corner] / y.sum()])


def _precision_recall(y: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K, 2) recall and precision at each score of a positive film, from high to low."""
    counts = Ranking.of(y, p).counts()
    hits, false = counts.flagged_positives[0], counts.flagged_negatives[0]
    return np.column_stack([hits / y.sum(), hits / (hits + false)])


def _thinned(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep at most `POINTS` points, spread evenly along the curve, both ends among them."""
    if len(points) <= POINTS:
        return points
    length = np.append(0.0, np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum())
    wanted = np.linspace(0.0, length[-1], POINTS)
    return points[np.unique(np.append(np.searchsorted(length, wanted[:-1]), len(points) - 1))]


def _histogram(y: NDArray[np.bool_], p: NDArray[np.float64], end: float) -> Histogram:
    edges = np.linspace(0.0, end, _BINS + 1)
    return Histogram(
        edges=edges,
        positives=np.histogram(p[y], edges)[0],
        negatives=np.histogram(p[~y], edges)[0],
        beyond=int((p > end).sum()),
    )


def _thresholds(y: NDArray[np.bool_], p: NDArray[np.float64]) -> tuple[GridRow, ...]:
    """Return the grid 0.05 to 0.95, and quantiles of all films and of the positive ones between.

    Most films of a rare finding lie below the grid, and its positive films among the top few
    percent. Quantiles are rounded to four digits, so that what is shown is what was counted.
    """
    if len(p) == 0:
        return ()
    steps = np.arange(1, 100) / 100
    seen = [*np.quantile(p, steps), *(np.quantile(p[y], steps[1::2]) if y.any() else ())]
    between = {float(f"{score:.4g}") for score in seen} - {0.0}
    rows = {row.threshold: row for row in grid(y, p)}
    rows |= {t: GridRow.of(y, p, t) for t in between - rows.keys() if t <= 1.0}
    return tuple(rows[threshold] for threshold in sorted(rows))
