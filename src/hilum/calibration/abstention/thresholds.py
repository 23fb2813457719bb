"""From tests to thresholds: fixed-sequence testing from safe to bold.

Thresholds are tested one after the other, beginning where nothing is ruled out, until a test fails.
The first that is false costs the whole error, and none before it does, so no correction is paid
for their number (Learn then Test, arXiv 2110.01052).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.calibration.abstention.bounds import p_path, p_value, positives_needed, units_of
from hilum.domain.documents.rule_out import MissUnit

__all__ = [
    "Cut",
    "Goal",
    "RuleFilms",
    "coverage_threshold",
    "flag_threshold",
    "rule_out_threshold",
]

FLAG_GRID = 1.0 / (1.0 + np.exp(-np.linspace(8.0, -8.0, 161)))
"""Thresholds of a flag from safe to bold, fixed before any label is seen: 0.1 in log odds apart."""

FLAG_START = 4
"""How many times the fewest films a flag's first threshold must have."""


@dataclass(frozen=True)
class Goal:
    """What a threshold must bound.

    Attributes:
        limit: rate to stay below, in (0, 1).
        error: 1 less the confidence, of this one rule.
        unit: films counted alike, or patients counted alike.
    """

    limit: float
    error: float
    unit: MissUnit


@dataclass(frozen=True, eq=False)
class RuleFilms:
    """Films that a threshold is chosen on or tried on. All are labeled.

    Attributes:
        scores: (n,), higher where the finding is more likely.
        positive: (n,) whether the film has the finding.
        patients: (n,) number of its patient.
    """

    scores: NDArray[np.float64]
    positive: NDArray[np.bool_]
    patients: NDArray[np.intp]

    def where(self, kept: NDArray[np.bool_]) -> RuleFilms:
        """Return some of the films."""
        return RuleFilms(self.scores[kept], self.positive[kept], self.patients[kept])


@dataclass(frozen=True)
class Cut:
    """A threshold, or why there is none."""

    threshold: float | None = None
    reason: str = ""


def rule_out_threshold(films: RuleFilms, goal: Goal) -> Cut:
    """Return the largest threshold below which the miss rate is bounded.

    Films with a score below it are ruled out; one with a score equal to it is not, so tied films
    stay on one side. It lies between two seen scores, so that rounding moves no film across it.

    Args:
        films: all labeled films of the stratum.
        goal: what to bound.

    >>> scores = np.r_[np.linspace(0.0, 0.4, 50), np.linspace(0.5, 1.0, 59)]
    >>> films = RuleFilms(scores, scores >= 0.5, np.arange(109))
    >>> rule_out_threshold(films, Goal(0.05, 0.05, MissUnit.PATIENT))
    Cut(threshold=0.45, reason='')
    """
    order = np.argsort(films.scores[films.positive], kind="stable")
    missed_at = films.scores[films.positive][order]
    patients = films.patients[films.positive][order]
    units = units_of(patients, goal.unit)
    needed = positives_needed(goal.limit, goal.error)
    if units < needed:
        return Cut(
            reason=f"a miss rate of {goal.limit:.2%} needs {needed:,} independent positives; "
            f"there are {units:,} {goal.unit.value}s"
        )
    if films.scores.min() == films.scores.max():
        return Cut(
            reason="all scores are equal, or every film has a finding at its operating point: "
            "none is below another"
        )
    p = p_path(patients, goal.limit, goal.error, goal.unit)
    # k misses are a threshold's only where the next score is higher
    ends = np.flatnonzero(np.r_[True, missed_at[1:] > missed_at[:-1]])
    held = p[ends] <= goal.error
    if not held[0]:
        return Cut(
            reason=f"the {units:,} {goal.unit.value}s have too many films each: as few as "
            "independent ones they cannot bound the rate, even without a miss"
        )
    last = ends[len(held) - 1 if held.all() else int(np.argmin(held)) - 1]
    return _between(films.scores, float(missed_at[last]))


def _between(scores: NDArray[np.float64], bound: float) -> Cut:
    """Return the middle between a score that must not be ruled out and the next lower one."""
    below = scores[scores < bound]
    if not len(below):
        return Cut(reason="the lowest score is of a film with the finding: nothing is ruled out")
    low = float(below.max())
    middle = (low + bound) / 2.0
    return Cut(threshold=middle if middle > low else bound)


def coverage_threshold(films: RuleFilms, coverage: float) -> Cut:
    """Return the largest threshold below which at most a share of the films lie.

    Scores alone choose it, so a bound on the miss rate below it needs no correction. Tied films
    stay on one side, and fewer than the share may be ruled out.

    Args:
        films: all labeled films of the stratum.
        coverage: share of them to rule out, in (0, 1).

    >>> films = RuleFilms(np.arange(10.0), np.arange(10) > 8, np.arange(10))
    >>> coverage_threshold(films, 0.3)
    Cut(threshold=2.5, reason='')
    """
    if not films.positive.any():
        return Cut(reason="no film with the finding: no miss rate can be bounded")
    scores = np.sort(films.scores)
    count = int(coverage * len(scores) + 1e-9)
    bound = float(scores[count])
    if not (scores < bound).any():
        return Cut(reason=f"more than {coverage:.1%} of the films have the lowest score")
    return _between(films.scores, bound)


def flag_threshold(films: RuleFilms, goal: Goal, floor: float = 0.0) -> float | None:
    """Return the smallest threshold above which the share without the finding is bounded.

    The predictive value need not rise with the threshold, so the thresholds to test are fixed
    before labels are seen. Those with fewer than four times the films that the bound needs are
    passed over, since one wrong flag would end the sequence there; the first after them that
    fails does.

    Args:
        films: all labeled films of the stratum.
        goal: the largest share of flagged films without the finding, 1 less the PPV.
        floor: where to end: below it films are ruled out.
    """
    found: float | None = None
    needed = FLAG_START * positives_needed(goal.limit, goal.error)
    for threshold in FLAG_GRID[floor <= FLAG_GRID]:
        flagged = films.where(films.scores >= threshold)
        if units_of(flagged.patients, goal.unit) < needed:
            continue
        wrong = ~flagged.positive
        if p_value(wrong, flagged.patients, goal.limit, goal.error, goal.unit) > goal.error:
            break
        found = float(threshold)
    return found
