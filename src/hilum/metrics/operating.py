"""Operating points: a threshold for one finding, chosen on films reserved for that."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.domain.record import labeled
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.metrics.ranking import Counts, Ranking

__all__ = ["GridRow", "best_on_grid", "choose", "choose_all", "grid"]


@dataclass(frozen=True)
class _Cut:
    """A threshold and the target's value there, or why there is none."""

    threshold: float | None = None
    achieved: float | None = None
    reason: str = ""


def choose(
    finding: str,
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    target: Target,
    goal: float | None = None,
) -> OperatingPoint:
    """Return the threshold that is best by the target on these films, or reaches its goal.

    A film is called positive when `probability >= threshold`.

    - F1, Youden's J, balanced accuracy: the largest value. The best cut lies between two seen
      probabilities; the threshold is their midpoint, so that a score rounded in a table, or
      computed on another machine to the last bit, stays on its side. Of equally good cuts the
      highest is chosen: it calls the fewest films.
    - PPV: the lowest cut at which the goal is reached, its threshold again the midpoint.
    - Sensitivity: the k-th smallest score of the n positive films, `k = floor((n + 1)(1 - goal))`.
      A new positive film reaches it with probability `1 - k / (n + 1) >= goal`, which the plain
      quantile of the positives does not promise. Specificity: the same of the negative films.

    That promise holds on average, for new films drawn as these were: it is lost when the patients
    change, and a sensitivity chosen on 40 films still varies by 0.05.

    Args:
        finding: its name.
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        target: what to maximize or to reach.
        goal: the sensitivity, specificity or PPV to reach, in (0, 1); None for other targets.

    Returns:
        The operating point; without threshold, and with a reason, where a class is absent or the
        goal cannot be reached.

    Raises:
        ValueError: for a goal that is missing, unwanted or outside (0, 1), or `Target.GIVEN`.

    Source: for sensitivity and specificity split conformal prediction within one class (Vovk 2013).

    >>> point = choose("Mass", np.array([True, False]), np.array([0.6, 0.2]), Target.YOUDEN)
    >>> point.threshold, point.achieved
    (0.4, 1.0)
    >>> y, p = np.arange(20) >= 10, np.arange(20) / 20
    >>> choose("Mass", y, p, Target.SENSITIVITY, 0.95).reason
    'a sensitivity of 0.95 needs 19 positive films or more; there are 10'
    """
    if goal is not None and not 0.0 < goal < 1.0:
        raise ValueError(f"a goal must lie between 0 and 1; got {goal:g}")
    if target.needs_goal is (goal is None):
        wanted = "needs a goal, such as 0.90" if goal is None else "is maximized and has no goal"
        raise ValueError(f"target {target} {wanted}")
    if target is Target.GIVEN:
        raise ValueError("a given threshold is not chosen")
    y, p = np.asarray(positives, bool), np.asarray(probabilities, np.float64)
    n, found = len(y), int(y.sum())
    if found in (0, n):
        cut = _Cut(reason="no film is negative" if found else "no film is positive")
    else:
        cut = _maximized(y, p, target) if goal is None else _reached(y, p, target, goal)
    return OperatingPoint(finding, cut.threshold, target, cut.achieved, n, found, cut.reason, goal)


def _maximized(y: NDArray[np.bool_], p: NDArray[np.float64], target: Target) -> _Cut:
    ranking = Ranking.of(y, p)
    values = _values(ranking.counts(), target)
    best = int(np.argmax(values))
    return _Cut(_below(float(ranking.thresholds[best]), p), float(values[best]))


def _values(counts: Counts, target: Target) -> NDArray[np.float64]:
    """Return (K,) the target at each threshold, from high to low.

    One division of whole numbers each, so that equally good cuts are equal to the last bit.
    """
    called_right, called_wrong = counts.flagged_positives[0], counts.flagged_negatives[0]
    positives, negatives = counts.positives[0], counts.negatives[0]
    if target is Target.F1:
        return 2 * called_right / (called_right + called_wrong + positives)
    if target is Target.YOUDEN:
        return (called_right * negatives - called_wrong * positives) / (positives * negatives)
    spared = negatives - called_wrong
    return (called_right * negatives + spared * positives) / (2 * positives * negatives)


def _reached(y: NDArray[np.bool_], p: NDArray[np.float64], target: Target, goal: float) -> _Cut:
    if target is Target.PPV:
        return _precise(y, p, goal)
    return _sensitive(y, p, goal) if target is Target.SENSITIVITY else _specific(y, p, goal)


def _precise(y: NDArray[np.bool_], p: NDArray[np.float64], goal: float) -> _Cut:
    ranking = Ranking.of(y, p)
    counts = ranking.counts()
    called = counts.flagged_positives[0] + counts.flagged_negatives[0]
    ppv = counts.flagged_positives[0] / called
    reached = np.flatnonzero(ppv >= goal)
    if not len(reached):
        return _Cut(reason=f"no threshold reaches a PPV of {goal:.2f}; the best is {ppv.max():.2f}")
    return _Cut(_below(float(ranking.thresholds[reached[-1]]), p), float(ppv[reached[-1]]))


def _sensitive(y: NDArray[np.bool_], p: NDArray[np.float64], goal: float) -> _Cut:
    scores = np.sort(p[y])
    k = _rank(len(scores), goal)
    if k == 0:
        return _Cut(reason=_too_few("sensitivity", "positive", len(scores), goal))
    threshold = float(scores[k - 1])
    return _Cut(threshold, float((scores >= threshold).mean()))


def _specific(y: NDArray[np.bool_], p: NDArray[np.float64], goal: float) -> _Cut:
    scores = np.sort(p[~y])[::-1]
    k = _rank(len(scores), goal)
    if k == 0:
        return _Cut(reason=_too_few("specificity", "negative", len(scores), goal))
    threshold = _above(float(scores[k - 1]), p)
    if threshold > 1.0:
        return _Cut(reason=f"a specificity of {goal:.2f} needs a threshold above 1")
    return _Cut(threshold, float((scores < threshold).mean()))


def _rank(n: int, goal: float) -> int:
    """Return how many of n films may be missed, with an allowance for 1 - 0.9 < 0.1."""
    return math.floor((n + 1) * (1.0 - goal) + 1e-9)


def _too_few(target: str, kind: str, n: int, goal: float) -> str:
    needed = math.ceil(1.0 / (1.0 - goal) - 1e-9) - 1
    return f"a {target} of {goal:.2f} needs {needed} {kind} films or more; there are {n}"


def _below(score: float, probabilities: NDArray[np.float64]) -> float:
    """Return the midpoint of a seen score and the next lower one; the score where there is none."""
    lower = probabilities[probabilities < score]
    if len(lower) == 0:
        return score
    nearest = float(lower.max())
    middle = (score + nearest) / 2
    return middle if middle > nearest else score


def _above(score: float, probabilities: NDArray[np.float64]) -> float:
    """Return the midpoint of a score and the next higher one; just above it where there is none."""
    higher = probabilities[probabilities > score]
    if len(higher) == 0:
        return math.nextafter(score, math.inf)
    nearest = float(higher.min())
    middle = (score + nearest) / 2
    return middle if middle > score else nearest


def choose_all(
    probabilities: Probabilities,
    states: NDArray[np.int8],
    target: Target,
    goal: float | None = None,
) -> tuple[OperatingPoint, ...]:
    """Return an operating point for each finding; only films labeled positive or negative count.

    Args:
        probabilities: (N, L).
        states: (N, L) LabelState values, columns as in `probabilities`.
        target: what to maximize or to reach.
        goal: the value to reach, in (0, 1); None for targets that are maximized.
    """
    points: list[OperatingPoint] = []
    for column, finding in enumerate(probabilities.labels):
        known, positives = labeled(states[:, column])
        points.append(choose(finding, positives, probabilities.of(finding)[known], target, goal))
    return tuple(points)


def choose_shared(probabilities: Probabilities, states: NDArray[np.int8]) -> float | None:
    """Return the one threshold for all findings with the largest macro F1: the rival of their own.

    Tried are 999 quantiles of all findings' probabilities, so that it is as free as it can be.
    Findings without positive or without negative films do not count.

    Args:
        probabilities: (N, L).
        states: (N, L) LabelState values, columns as in `probabilities`.

    Returns:
        None where no finding counts.
    """
    tried = np.unique(np.quantile(probabilities.values, np.arange(1, 1000) / 1000))
    totals: list[NDArray[np.float64]] = []
    for column, finding in enumerate(probabilities.labels):
        positive = states[:, column] == LabelState.POSITIVE
        negative = states[:, column] == LabelState.NEGATIVE
        if positive.any() and negative.any():
            scores = probabilities.of(finding)
            below = (np.searchsorted(np.sort(scores[kind]), tried) for kind in (positive, negative))
            missed, spared = below
            hits, wrong = positive.sum() - missed, negative.sum() - spared
            totals.append(2 * hits / (hits + wrong + positive.sum()))
    return float(tried[int(np.argmax(np.mean(totals, axis=0)))]) if totals else None


@dataclass(frozen=True)
class GridRow:
    """Results of one threshold on some films; None where a number does not exist.

    Attributes:
        threshold: a film is called positive when its probability is at least this.
        called: films called positive.
        sensitivity: TP / (TP + FN); None without positive films.
        specificity: TN / (TN + FP); None without negative films.
        ppv: TP / (TP + FP); None where no film is called.
        npv: TN / (TN + FN); None where every film is called.
        f1: 2 TP / (2 TP + FP + FN); None where no film is positive or called.
        youden: sensitivity + specificity - 1; None without a class, as the next.
        balanced_accuracy: (sensitivity + specificity) / 2.
    """

    threshold: float
    called: int
    sensitivity: float | None
    specificity: float | None
    ppv: float | None
    npv: float | None
    f1: float | None
    youden: float | None
    balanced_accuracy: float | None

    @classmethod
    def of(
        cls, positives: NDArray[np.bool_], probabilities: NDArray[np.floating], threshold: float
    ) -> GridRow:
        """Return the row of one threshold."""
        flagged = np.asarray(probabilities) >= threshold
        called, found, n = int(flagged.sum()), int(np.sum(positives)), len(positives)
        hits = int((flagged & positives).sum())
        negatives, misses = n - found, found - hits
        spared = negatives - (called - hits)
        return cls(
            threshold=threshold,
            called=called,
            sensitivity=_quotient(hits, found),
            specificity=_quotient(spared, negatives),
            ppv=_quotient(hits, called),
            npv=_quotient(spared, spared + misses),
            f1=_quotient(2 * hits, called + found),
            youden=_quotient(hits * negatives - (called - hits) * found, found * negatives),
            balanced_accuracy=_quotient(hits * negatives + spared * found, 2 * found * negatives),
        )


def _quotient(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def grid(
    positives: NDArray[np.bool_], probabilities: NDArray[np.floating], step: float = 0.01
) -> list[GridRow]:
    """Return the results of thresholds 0.05, 0.06, … 0.95: the table from which others choose.

    On uncalibrated or rare findings most rows call nobody; `choose` looks between all scores.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        step: distance of two thresholds, > 0; each is a decimal number and no sum of steps.

    >>> row = grid(np.array([True, False]), np.array([0.3, 0.1]))[25]
    >>> row.threshold, row.called, row.f1
    (0.3, 1, 1.0)
    """
    if step <= 0.0:
        raise ValueError(f"the grid's step must be greater than 0; got {step:g}")
    y, p = np.asarray(positives, bool), np.asarray(probabilities, np.float64)
    rows = math.floor((0.95 - 0.05) / step + 1e-9) + 1
    return [GridRow.of(y, p, round(0.05 + index * step, 10)) for index in range(rows)]


def best_on_grid(
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    target: Target,
    step: float = 0.01,
) -> GridRow | None:
    """Return the row of the grid with the largest F1, Youden's J or balanced accuracy.

    The lowest threshold of equally good ones, as tables of the field have it. Kept to reproduce
    them; `choose` finds cuts that a grid steps over.

    Args:
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        target: what to maximize.
        step: distance of two thresholds.

    Returns:
        None where a class is absent.

    Raises:
        ValueError: for a target that needs a goal.
    """
    if target.needs_goal:
        raise ValueError(f"the grid maximizes f1, youden or balanced_accuracy; got {target}")
    rows = grid(positives, probabilities, step)
    values: list[float | None] = [getattr(row, target.value) for row in rows]
    known = [value for value in values if value is not None]
    # F1 has a value without negative films, though not one to choose by
    if rows[0].youden is None or not known:
        return None
    return rows[values.index(max(known))]
