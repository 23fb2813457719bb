"""Where to cut: a threshold for one finding, chosen on films kept for that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.findings import LabelState
from hilum.domain.scores import OperatingPoint, Probabilities, Target
from hilum.metrics.ranking import Counts, Ranking

__all__ = ["choose", "choose_all"]


def choose(
    finding: str,
    positives: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    target: Target,
) -> OperatingPoint:
    """The threshold that reaches the best target value on these films.

    A film is called positive when `probability >= threshold`. The best cut lies between two seen
    probabilities; the threshold is their midpoint, so that a score rounded in a table, or computed
    on another machine to the last bit, stays on its side. Of equally good cuts the highest is
    taken: it calls the fewest films. The value achieved is optimistic on other films.

    Args:
        finding: its name.
        positives: (n,) whether the film has the finding.
        probabilities: (n,) in [0, 1].
        target: what to maximise.

    Returns:
        The operating point; without threshold, and with a reason, where a class is absent.

    >>> point = choose("Mass", np.array([True, False]), np.array([0.6, 0.2]), Target.YOUDEN)
    >>> point.threshold, point.achieved
    (0.4, 1.0)
    """
    y, p = np.asarray(positives, bool), np.asarray(probabilities, np.float64)
    n, found = len(y), int(y.sum())
    if found in (0, n):
        reason = "no film is negative" if found else "no film is positive"
        return OperatingPoint(finding, None, target, None, n, found, reason)
    ranking = Ranking.of(y, p)
    values = _values(ranking.counts(), target)
    best = int(np.argmax(values))
    threshold = _below(float(ranking.thresholds[best]), p)
    return OperatingPoint(finding, threshold, target, float(values[best]), n, found)


def _values(counts: Counts, target: Target) -> NDArray[np.float64]:
    """(K,) the target at each threshold, from high to low."""
    called_right, called_wrong = counts.flagged_positives[0], counts.flagged_negatives[0]
    positives, negatives = counts.positives[0], counts.negatives[0]
    if target is Target.F1:
        return 2 * called_right / (called_right + called_wrong + positives)
    return called_right / positives - called_wrong / negatives


def _below(score: float, probabilities: NDArray[np.float64]) -> float:
    """The midpoint of a seen score and the next lower one; the score where there is none."""
    lower = probabilities[probabilities < score]
    if len(lower) == 0:
        return score
    nearest = float(lower.max())
    middle = (score + nearest) / 2
    return middle if middle > nearest else score


def choose_all(
    probabilities: Probabilities, states: NDArray[np.int8], target: Target
) -> tuple[OperatingPoint, ...]:
    """An operating point for each finding; only films labelled positive or negative count.

    Args:
        probabilities: (N, L).
        states: (N, L) LabelState values, columns as in `probabilities`.
        target: what to maximise.
    """
    points: list[OperatingPoint] = []
    for column, finding in enumerate(probabilities.labels):
        state = states[:, column]
        known = (state == LabelState.POSITIVE) | (state == LabelState.NEGATIVE)
        positives = state[known] == LabelState.POSITIVE
        points.append(choose(finding, positives, probabilities.of(finding)[known], target))
    return tuple(points)
