"""What there is to count in a batch: outcomes, findings, statuses, reasons, views."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hilum.domain.findings import LabelSet
from hilum.domain.result import ImageResult

__all__ = [
    "FindingCount",
    "Outcome",
    "Spread",
    "count_findings",
    "count_outcomes",
    "findings_a_film",
    "spread",
]


class Outcome(StrEnum):
    """What one input came to, in the words of the reports. Every input has exactly one."""

    POSITIVE = "with a positive finding"
    NEGATIVE = "none above threshold"
    UNCALLED = "scored, no thresholds"
    UNSCORED = "not scored"

    @classmethod
    def of(cls, result: ImageResult) -> Outcome:
        """The outcome of one input."""
        if result.findings is None:
            return cls.UNSCORED
        if result.positives:
            return cls.POSITIVE
        called = any(finding.positive is not None for finding in result.findings.values())
        return cls.NEGATIVE if called else cls.UNCALLED


def count_outcomes(results: Iterable[ImageResult]) -> list[tuple[Outcome, int]]:
    """How many inputs came to each outcome; they add up to all inputs.

    The outcome of a bundle without thresholds is left out where it does not occur.
    """
    counted = Counter(Outcome.of(result) for result in results)
    return [
        (outcome, counted[outcome])
        for outcome in Outcome
        if counted[outcome] or outcome is not Outcome.UNCALLED
    ]


@dataclass(frozen=True)
class FindingCount:
    """How often one finding was called.

    Attributes:
        finding: its name.
        positive: films at or above its threshold.
        called: films that were scored and had a threshold; the denominator.
    """

    finding: str
    positive: int
    called: int


def count_findings(results: Iterable[ImageResult], labels: LabelSet) -> list[FindingCount]:
    """One count a finding, in the label set's order."""
    calls = [result.findings for result in results if result.findings is not None]
    counts: list[FindingCount] = []
    for name in labels:
        said = [findings[name].positive for findings in calls]
        counts.append(FindingCount(name, said.count(True), said.count(True) + said.count(False)))
    return counts


def findings_a_film(results: Iterable[ImageResult]) -> list[tuple[int, int]]:
    """(positive findings, films that have so many), over scored films, from 0 up without gaps."""
    counted = Counter(len(r.positives) for r in results if r.findings is not None)
    return [(number, counted[number]) for number in range(max(counted, default=-1) + 1)]


@dataclass(frozen=True)
class Spread:
    """The distribution of one finding's probabilities over a batch.

    Attributes:
        finding: its name.
        n: scored films.
        median: of their probabilities; None without films.
        upper: right end of the axis, in (0, 1].
        counts: films in each of the equal bins of [0, upper]; the last one includes `upper`.
        threshold: its operating point, or None.
    """

    finding: str
    n: int
    median: float | None
    upper: float
    counts: tuple[int, ...]
    threshold: float | None


_BINS = 20
_AXIS_ENDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def spread(results: Iterable[ImageResult], finding: str) -> Spread:
    """Counts of one finding's probabilities in 20 bins.

    Calibrated probabilities of rare findings crowd near zero, where an axis to 1 would show a
    single column. So the axis ends at the first of 1, 2, 5, 10, 20, 50, 100 % that holds every
    probability and the threshold.
    """
    scored = [r.findings[finding] for r in results if r.findings is not None]
    values = [one.probability for one in scored]
    threshold = scored[0].threshold if scored else None
    highest = max([*values, threshold or 0.0])
    upper = next(end for end in _AXIS_ENDS if end >= min(highest, 1.0))
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value / upper * _BINS), _BINS - 1)] += 1
    median = statistics.median(values) if values else None
    return Spread(finding, len(values), median, upper, tuple(counts), threshold)
