"""All measures of an evaluation with their resampled values: one pass over the resamples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.result import Interval
from hilum.domain.scores import OperatingPoint
from hilum.evaluation.entries import Entries, Measure, Values, at_threshold
from hilum.metrics.resampling import interval, patient_resamples

__all__ = [
    "CONSTANT_MACRO",
    "CONSTANT_MICRO",
    "MACRO",
    "MICRO",
    "Numbers",
    "ScoredSplit",
    "point_row",
]

MACRO, MICRO = "macro", "micro"
CONSTANT_MACRO, CONSTANT_MICRO = "constant macro", "constant micro"

_CELLS = 1_000_000
"""Entries times resamples worked on at once: few enough for a processor's cache."""


@dataclass(frozen=True, eq=False)
class ScoredSplit:
    """A split's entries by finding, and the thresholds to try on them.

    Attributes:
        patients: (N,) patient ids.
        entries: finding to its labelled films.
        points: operating points that have a threshold.
    """

    patients: NDArray[np.str_]
    entries: Mapping[str, Entries]
    points: tuple[OperatingPoint, ...]

    @property
    def counted(self) -> tuple[str, ...]:
        """Findings with positive and negative films: those that a mean can count."""
        return tuple(name for name, entries in self.entries.items() if entries.both_classes)

    def rows(self, weights: NDArray[np.integer]) -> Iterator[tuple[str, Values]]:
        """Every row of the evaluation, and its measures on the resamples given.

        A mean over findings is taken of those that have a value in the resample: a finding of few
        patients is missing from some, which must not remove the other findings' evidence.
        """
        own = {name: entries.values(weights) for name, entries in self.entries.items()}
        yield from own.items()
        for point in self.points:
            if point.threshold is not None:
                entries = self.entries[point.finding]
                yield point_row(point), at_threshold(entries, point.threshold, weights)
        yield MACRO, _mean([own[name] for name in self.counted])
        constant = [self.entries[name].constant().values(weights) for name in self.counted]
        yield CONSTANT_MACRO, _mean(constant)
        pooled = Entries.pooled(self.entries.values())
        yield MICRO, pooled.values(weights)
        yield CONSTANT_MICRO, pooled.constant().values(weights)


def point_row(point: OperatingPoint) -> str:
    """The row of an operating point."""
    return f"{point.finding} at {point.target}"


def _mean(parts: list[Values]) -> Values:
    """The mean of each measure over the parts that have a value; none without parts."""
    means: dict[Measure, NDArray[np.float64]] = {}
    for measure in parts[0] if parts else ():
        stacked = np.stack([part[measure] for part in parts])
        there = ~np.isnan(stacked)
        total = np.where(there, stacked, 0.0).sum(axis=0)
        count = there.sum(axis=0)
        means[measure] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means


@dataclass(frozen=True, eq=False)
class Numbers:
    """Measures by row: on the films themselves, and on each resample."""

    values: Mapping[tuple[str, Measure], float]
    resampled: Mapping[tuple[str, Measure], NDArray[np.float64]]

    @classmethod
    def of(cls, split: ScoredSplit, resamples: int, rng: np.random.Generator) -> Numbers:
        """Measures the split once as it is, and once for each patient resample."""
        films = len(split.patients)
        values = {
            (row, measure): float(value[0])
            for row, measures in split.rows(np.ones((1, films), np.int32))
            for measure, value in measures.items()
        }
        parts: dict[tuple[str, Measure], list[NDArray[np.float64]]] = {key: [] for key in values}
        cells = _CELLS // max(1, len(split.entries))
        for weights in patient_resamples(split.patients, resamples, rng, cells):
            for row, measures in split.rows(weights):
                for measure, value in measures.items():
                    parts[row, measure].append(value)
        return cls(values, {key: np.concatenate(part) for key, part in parts.items()})

    def interval(self, row: str, measure: Measure, absent: str) -> Interval:
        """The number with its interval; null, with the reason `absent`, where it does not exist."""
        if (row, measure) not in self.values:
            return Interval(value=None, reason=absent)
        return interval(self.values[row, measure], self.resampled[row, measure], absent)
