"""A bound on the negative predictive value of films ruled out, at a stated prevalence.

Of a film drawn with the finding at the prevalence, and else without it, the odds that a ruled out
one has it are `prevalence / (1 - prevalence) * missed / spared`: missed, the share of films with
the finding that are ruled out; spared, that of films without. Both shares are bounded, each with
half the error, so the prevalence may be another one than that of these films.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.bounds import p_value, positives_needed, units_of
from hilum.calibration.abstention.thresholds import Cut, RuleFilms
from hilum.domain.documents.rule_out import MissUnit

__all__ = ["NpvGoal", "npv_broken", "npv_holds", "npv_p", "npv_threshold"]

_GRID = 1.0 / (1.0 + np.exp(-np.linspace(-12.0, 8.0, 201)))
"""Thresholds from safe to bold, fixed before any label is seen: 0.1 in log odds apart."""
_START = 2
"""How many times the fewest positives there must be for the first threshold."""
_STEPS = 8
"""Halvings behind the bound of the share spared: to 1/256, on the safe side."""
_ERRORS = np.geomspace(1e-4, 1.0, 41)
_LARGEST = 1.0 - 1e-9


@dataclass(frozen=True)
class NpvGoal:
    """What a threshold must bound.

    Attributes:
        npv: share without the finding among films ruled out, in (0, 1).
        prevalence: share of films with the finding where the rule is used, in (0, 1).
        error: 1 less the confidence, of this one rule.
        unit: films counted alike, or patients counted alike, within those with and without.
    """

    npv: float
    prevalence: float
    error: float
    unit: MissUnit

    @property
    def ratio(self) -> float:
        """Largest ratio of the share missed to the share spared.

        >>> round(NpvGoal(0.99, 0.05, 0.05, MissUnit.FILM).ratio, 3)
        0.192
        """
        return (1.0 - self.prevalence) / self.prevalence * (1.0 - self.npv) / self.npv

    @property
    def needed(self) -> int:
        """Independent positives without a miss that the bound needs, however many are spared."""
        return positives_needed(min(self.ratio, _LARGEST), self.error / 2.0)


def npv_holds(films: RuleFilms, ruled: NDArray[np.bool_], goal: NpvGoal) -> bool:
    """Return whether these films show that the predictive value is above the goal's.

    Args:
        films: labeled.
        ruled: (n,) whether each is ruled out.
        goal: what to bound.
    """
    part, positive = goal.error / 2.0, films.positive
    if not positive.any() or positive.all():
        return False
    without = films.patients[~positive]
    spared = 1.0 - _upper(~ruled[~positive], without, part, goal.unit)
    limit = goal.ratio * spared
    if not 0.0 < limit < 1.0:
        return limit >= 1.0
    return p_value(ruled[positive], films.patients[positive], limit, part, goal.unit) <= part


def npv_broken(films: RuleFilms, ruled: NDArray[np.bool_], goal: NpvGoal) -> bool:
    """Return whether these films show that the predictive value is below the goal's."""
    part, positive = goal.error / 2.0, films.positive
    if not positive.any() or positive.all():
        return False
    spared = _upper(ruled[~positive], films.patients[~positive], part, goal.unit)
    limit = goal.ratio * spared
    if not 0.0 < limit < 1.0:
        return False
    # a share missed above the limit is a share found below 1 less the limit
    found = ~ruled[positive]
    return p_value(found, films.patients[positive], 1.0 - limit, part, goal.unit) <= part


def npv_p(films: RuleFilms, ruled: NDArray[np.bool_], goal: NpvGoal) -> float:
    """Return the smallest error at which the bound holds, of 41 from 0.0001 to 1; else 1."""
    held = (
        error
        for error in _ERRORS.tolist()
        if npv_holds(films, ruled, NpvGoal(goal.npv, goal.prevalence, error, goal.unit))
    )
    return float(next(held, 1.0))


def npv_threshold(films: RuleFilms, goal: NpvGoal) -> Cut:
    """Return the largest threshold below which the predictive value is bounded.

    The value need not fall as the threshold rises, so the thresholds to test are fixed before
    labels are seen. Those so low that the bound would need more than half of the positives
    there are, were as many spared as are ruled out, are passed over: one miss would end the
    sequence there. The first after them that fails does.

    Args:
        films: all labeled films of the stratum.
        goal: what to bound.

    >>> scores = np.r_[np.linspace(0.0, 0.4, 400), np.linspace(0.5, 1.0, 400)]
    >>> films = RuleFilms(scores, scores >= 0.5, np.arange(800))
    >>> cut = npv_threshold(films, NpvGoal(0.99, 0.05, 0.05, MissUnit.FILM))
    >>> 0.5 < cut.threshold < 0.6
    True
    """
    units = units_of(films.patients[films.positive], goal.unit)
    words = f"an NPV of {goal.npv:.2%} at a prevalence of {goal.prevalence:.1%}"
    if goal.ratio >= 1.0:
        return Cut(
            reason=f"{words} is there without any rule: {1.0 - goal.prevalence:.2%} have no finding"
        )
    if units < goal.needed:
        return Cut(
            reason=f"{words} needs {goal.needed:,} independent positives or more; there are "
            f"{units:,} {goal.unit.value}s"
        )
    found, tried, alone = None, False, _independent(films.patients[films.positive], goal.unit)
    for threshold in np.unique(_GRID).tolist():
        ruled = films.scores < threshold
        limit = min(goal.ratio * float(ruled.mean()), _LARGEST)
        if limit <= 0.0 or _START * positives_needed(limit, goal.error / 2.0) > alone:
            continue
        tried = True
        if not npv_holds(films, ruled, goal):
            break
        found = threshold
    if found is not None:
        return Cut(threshold=float(found))
    if not tried:
        return Cut(reason=f"{words} needs more positives than {units:,} {goal.unit.value}s")
    return Cut(reason=f"{words} is not shown by any threshold: too many are missed")


def _independent(patients: NDArray[np.intp], unit: MissUnit) -> float:
    """Return how many independent units some films are at the least, were each patient's alike."""
    sizes = np.unique(patients, return_counts=True)[1].astype(np.float64)
    return float(len(sizes) if unit is MissUnit.PATIENT else sizes.sum() ** 2 / (sizes**2).sum())


def _upper(
    kept: NDArray[np.bool_], patients: NDArray[np.intp], error: float, unit: MissUnit
) -> float:
    """Return the smallest limit of 1/256, 2/256, … that the share is shown to be below; else 1."""
    low, high = 0, 1 << _STEPS
    while high - low > 1:
        middle = (low + high) // 2
        p = p_value(kept, patients, middle / (1 << _STEPS), error, unit)
        low, high = (low, middle) if p <= error else (middle, high)
    return high / (1 << _STEPS)
