"""A film's scores in reading order: at or above the threshold, near it, below it, not called.

Distance to a threshold is measured in log-odds: a threshold of 2 % and one of 20 % then have the
same meaning of "near", which a difference of percentages does not have. All of it is computed from
results alone; no number is made here that is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hilum.domain.documents.results import Decision, FindingResult, ImageResult
from hilum.domain.findings import LabelSet

__all__ = ["NEAR_ODDS", "FindingScore", "ScoreGroup", "margin", "priority", "scores_of", "top"]

NEAR_ODDS = 1.5
"""A score is near its threshold when its odds times this reach the threshold's."""
_FURTHEST = 50.0
"""Cap of a margin, so that a probability of 0 or 1 has one too; odds of 5e21."""


class ScoreGroup(StrEnum):
    """The place of a score beside its threshold. Every score has exactly one."""

    ABOVE = "at or above threshold"
    NEAR = "near threshold"
    BELOW = "below threshold"
    UNCALLED = "not called"
    """No threshold, or a rule of the bundle forbids a call."""

    @classmethod
    def of(cls, finding: FindingResult) -> ScoreGroup:
        """Return the group of one finding on one film.

        >>> one = FindingResult.called(0.05, 0.063, calibrated=True)
        >>> ScoreGroup.of(one).value
        'near threshold'
        """
        if finding.decision is Decision.POSITIVE:
            return cls.ABOVE
        if finding.decision is not Decision.NEGATIVE or finding.threshold is None:
            return cls.UNCALLED
        near = margin(finding.probability, finding.threshold) >= -math.log(NEAR_ODDS)
        return cls.NEAR if near else cls.BELOW


@dataclass(frozen=True)
class FindingScore:
    """One finding of one film, with its place.

    Attributes:
        name: the finding.
        result: its result.
        group: its place beside its threshold.
        margin: log-odds above its threshold; None where there is no threshold.
    """

    name: str
    result: FindingResult
    group: ScoreGroup
    margin: float | None


def margin(probability: float, threshold: float) -> float:
    """Return the log-odds of a probability less those of its threshold, within ±50.

    It is 0 at the threshold and above 0 on the positive side only: its sign agrees with
    `probability >= threshold`, also where the two differ in the last digit.

    Args:
        probability: in [0, 1].
        threshold: in [0, 1].

    >>> round(margin(0.5, 0.2), 3), margin(0.0, 0.2), margin(1.0, 1.0)
    (1.386, -50.0, 0.0)
    """
    if probability == threshold:
        return 0.0
    size = min(abs(_logit(probability) - _logit(threshold)), _FURTHEST)
    return math.copysign(size, probability - threshold)


def _logit(share: float) -> float:
    if share <= 0.0:
        return -math.inf
    return math.inf if share >= 1.0 else math.log(share) - math.log1p(-share)


def scores_of(result: ImageResult, labels: LabelSet) -> list[FindingScore]:
    """Return a film's scores in reading order; none of a film that was not scored.

    Groups follow one another; within a group the largest margin is first, without a threshold the
    largest probability, and ties are in the label set's order.
    """
    if result.findings is None:
        return []
    order = list(ScoreGroup)
    return sorted(
        (_score(name, result.findings[name]) for name in labels),
        key=lambda one: (
            order.index(one.group),
            -(one.result.probability if one.group is ScoreGroup.UNCALLED else one.margin or 0.0),
        ),
    )


def _score(name: str, finding: FindingResult) -> FindingScore:
    threshold = finding.threshold
    distance = None if threshold is None else margin(finding.probability, threshold)
    return FindingScore(name, finding, ScoreGroup.of(finding), distance)


def top(scores: Sequence[FindingScore]) -> FindingScore | None:
    """Return the called score with the largest margin; None where nothing was called."""
    called = (one for one in scores if one.group is not ScoreGroup.UNCALLED)
    return max(called, key=lambda one: one.margin or 0.0, default=None)


def priority(scores: Sequence[FindingScore]) -> float:
    """Return a film's priority in a list: its largest margin; -50 where nothing was called.

    It orders a list and measures no urgency: a finding that is far above its threshold need not
    be one that matters.
    """
    first = top(scores)
    return -_FURTHEST if first is None else first.margin or 0.0
