"""Input of a report on a batch: its results, facts of the bundle, and counts."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from typing import Self

from hilum.domain.documents import Interval, SplitFacts
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import FindingResult, ImageResult
from hilum.domain.errors import ReasonCode, Status
from hilum.domain.findings import LabelSet
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.report.parts.text import by_hand

__all__ = [
    "SHOWN",
    "BatchResults",
    "BatchTally",
    "BundleFacts",
    "FindingCount",
    "InputOutcome",
    "Spread",
    "ranked",
    "spread",
]


@dataclass(frozen=True)
class BundleFacts:
    """Facts of the bundle that scored a batch.

    Attributes:
        name: what its makers call it.
        id: its short hash, as in every result's `bundle`.
        precision: the arithmetic it was run in, such as "bf16".
        calibrator: how its probabilities were made, such as "platt".
        created: when it was made, as text; may be empty.
        evaluation: its own numbers, or None where it was never evaluated.
        calibrated_on: the films that its calibrator was fitted on; None where they are not known.
        prevalence: share of films with each finding that its probabilities are calibrated to: that
            of those films, or the one requested; empty where it is not known.
    """

    name: str
    id: str
    precision: str
    calibrator: str
    created: str = ""
    evaluation: Evaluation | None = None
    calibrated_on: SplitFacts | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class BatchResults:
    """Everything a report may say: nothing else reaches it, not even the clock.

    Attributes:
        results: one an input, sorted by input, so that the order films were scored in cannot be
            seen in a report. A tuple is sorted here; a collection that reads its results from disk
            each time, as a large batch's does, must come sorted.
        labels: the findings scored, which are the columns of every table.
        bundle: the bundle that scored.
        generated: the date to print, as text; empty for none, so that the same results give the
            same bytes.
        sheets: whether a picture of a heatmap holds the film too (`--panel`, `triptych`): such
            sheets are wide, and the page gives each the width of its card.

    Raises:
        ValueError: for a result whose findings are not those of `labels`, or that has probabilities
            although its status says that it was not scored, or none although it was.
    """

    results: Collection[ImageResult]
    labels: LabelSet
    bundle: BundleFacts
    generated: str = ""
    sheets: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.results, tuple):
            return
        for result in self.results:
            if result.status.scored != (result.findings is not None):
                raise ValueError(
                    f"{result.input!r}: a result has findings exactly when its status is ok or "
                    f"warn; got status {result.status} and findings {result.findings!r}"
                )
            names = set(result.findings or self.labels)
            if names != set(self.labels):
                odd = ", ".join(sorted(names ^ set(self.labels)))
                raise ValueError(
                    f"{result.input!r}: the findings of a result must be those of "
                    f"{self.labels.name}; these are in only one of the two: {odd}"
                )
        ordered = tuple(sorted(self.results, key=lambda result: result.input))
        object.__setattr__(self, "results", ordered)

    @cached_property
    def tally(self) -> BatchTally:
        """Counts of the results, from one look at each for all reports."""
        return BatchTally.of(self.results, self.labels)


SHOWN = 200
"""Inputs without a score that are kept to be named; of more, the table names all."""


class InputOutcome(StrEnum):
    """Outcome of one input, in the words of the reports. Every input has exactly one."""

    POSITIVE = "with a positive finding"
    NEGATIVE = "none above threshold"
    UNCALLED = "scored, no thresholds"
    UNSCORED = "not scored"

    @classmethod
    def of(cls, result: ImageResult) -> InputOutcome:
        """Return the outcome of one input."""
        if result.findings is None:
            return cls.UNSCORED
        if result.positives:
            return cls.POSITIVE
        called = any(finding.positive is not None for finding in result.findings.values())
        return cls.NEGATIVE if called else cls.UNCALLED


@dataclass(frozen=True)
class FindingCount:
    """Number of times that one finding was called.

    Attributes:
        finding: its name.
        positive: films at or above its threshold.
        called: films that were scored and had a threshold; the denominator.
    """

    finding: str
    positive: int
    called: int


@dataclass(frozen=True)
class BatchTally:
    """Everything that is counted of a batch, from one look at each result.

    A large batch reads its results from disk each time it is looked through, so that is done once,
    and what is kept of a film is its probabilities.

    Attributes:
        labels: the findings scored.
        statuses: inputs of each status.
        codes: inputs that have each code.
        views: inputs of each view position.
        unscored: the first of the inputs without a score.
    """

    labels: LabelSet
    statuses: Counter[Status] = field(default_factory=Counter)
    codes: Counter[ReasonCode] = field(default_factory=Counter)
    views: Counter[ViewPosition] = field(default_factory=Counter)
    unscored: list[ImageResult] = field(default_factory=list)
    _by_hand: list[float] = field(default_factory=list)
    _outcomes: Counter[InputOutcome] = field(default_factory=Counter)
    _found: Counter[int] = field(default_factory=Counter)
    _together: Counter[tuple[str, str]] = field(default_factory=Counter)
    _people: Counter[tuple[float | None, Sex]] = field(default_factory=Counter)
    _calls: Counter[tuple[str, bool | None]] = field(default_factory=Counter)
    _probabilities: dict[str, array[float]] = field(default_factory=dict)
    _thresholds: dict[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Iterable[ImageResult], labels: LabelSet) -> Self:
        """Return the counts of a batch."""
        tally = cls(labels)
        for result in results:
            tally._add(result)
        return tally

    def _add(self, result: ImageResult) -> None:
        self.statuses[result.status] += 1
        self.codes.update(result.codes)
        self.views[result.view] += 1
        self._outcomes[InputOutcome.of(result)] += 1
        age = None if result.age_years is None else result.age_years // 10 * 10
        self._people[age, result.sex] += 1
        if result.findings is None:
            if len(self.unscored) < SHOWN:
                self.unscored.append(result)
            return
        if not self._by_hand and (given := by_hand(result)) is not None:
            self._by_hand.append(given)
        positives = [name for name in self.labels if result.findings[name].positive]
        self._found[len(positives)] += 1
        self._together.update(combinations(positives, 2))
        for name, finding in result.findings.items():
            self._calls[name, finding.positive] += 1
            self._probabilities.setdefault(name, array("d")).append(finding.probability)
            self._thresholds.setdefault(name, finding.threshold)

    @property
    def by_hand(self) -> float | None:
        """The threshold that was given by hand; None where the bundle's are used."""
        return self._by_hand[0] if self._by_hand else None

    @property
    def total(self) -> int:
        """Inputs."""
        return self.statuses.total()

    @property
    def scored(self) -> int:
        """Films that carry probabilities."""
        return self._found.total()

    def outcomes(self) -> list[tuple[InputOutcome, int]]:
        """Return the number of inputs by outcome; they add up to all inputs.

        The outcome of a bundle without thresholds is left out where it does not occur.
        """
        return [
            (outcome, self._outcomes[outcome])
            for outcome in InputOutcome
            if self._outcomes[outcome] or outcome is not InputOutcome.UNCALLED
        ]

    def findings(self) -> list[FindingCount]:
        """Return one count a finding, in the label set's order."""
        return [
            FindingCount(
                name, self._calls[name, True], self._calls[name, True] + self._calls[name, False]
            )
            for name in self.labels
        ]

    def findings_a_film(self) -> list[tuple[int, int]]:
        """(positive findings, films that have so many), over scored films, from 0 without gaps."""
        return [(number, self._found[number]) for number in range(max(self._found, default=-1) + 1)]

    def together(self, first: str, second: str) -> int:
        """Return on how many scored films both findings are positive."""
        return self._together[first, second] or self._together[second, first]

    def people(self) -> Mapping[tuple[float | None, Sex], int]:
        """Return inputs by the first year of the patient's decade of age, and by sex.

        None stands for an age that is not known, or was not requested.
        """
        return self._people

    def mean(self, finding: str) -> Interval | None:
        """Return the mean of one finding's probabilities over scored films; None without films.

        Its interval is the mean plus and minus 1.96 standard errors, with each film taken as
        independent: that of films of few patients is too narrow.
        """
        values = self._probabilities.get(finding)
        if not values:
            return None
        mean = statistics.fmean(values)
        if len(values) < 2:
            return Interval(value=mean, reason="one film")
        reach = 1.96 * statistics.stdev(values, mean) / len(values) ** 0.5
        return Interval(value=mean, low=max(0.0, mean - reach), high=min(1.0, mean + reach))

    def spread(self, finding: str) -> Spread:
        """Return the distribution of one finding's probabilities."""
        values = self._probabilities.get(finding, array("d"))
        return spread(finding, values, self._thresholds.get(finding))


def ranked(result: ImageResult, labels: LabelSet) -> list[tuple[str, FindingResult]]:
    """Return a film's findings, most probable first, ties in the label set's order; or none."""
    findings = result.findings
    if findings is None:
        return []
    return sorted(
        ((name, findings[name]) for name in labels), key=lambda pair: -pair[1].probability
    )


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


def spread(finding: str, values: Sequence[float], threshold: float | None) -> Spread:
    """Return counts of one finding's probabilities in 20 bins.

    Calibrated probabilities of rare findings crowd near zero, where an axis to 1 would show a
    single column. So the axis ends at the first of 1, 2, 5, 10, 20, 50, 100 % that holds every
    probability and the threshold.
    """
    highest = max([*values, threshold or 0.0])
    upper = next(end for end in _AXIS_ENDS if end >= min(highest, 1.0))
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value / upper * _BINS), _BINS - 1)] += 1
    median = statistics.median(values) if values else None
    return Spread(finding, len(values), median, upper, tuple(counts), threshold)
