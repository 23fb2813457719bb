"""All measures of an evaluation with their resampled values: one pass over the resamples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.scores import OperatingPoint
from hilum.evaluation.entries import Called, Entries, Measure, Values
from hilum.metrics.resampling import interval, mean_present, patient_resamples

__all__ = [
    "CONSTANT_MACRO",
    "CONSTANT_MICRO",
    "GAIN",
    "MACRO",
    "MICRO",
    "OWN_POINTS",
    "SHARED",
    "Numbers",
    "ScoredSplit",
    "point_row",
]

MACRO, MICRO = "macro", "micro"
CONSTANT_MACRO, CONSTANT_MICRO = "constant macro", "constant micro"
OWN_POINTS, SHARED, GAIN = "macro at own points", "macro at one point", "macro, own less one"

_CELLS = 4_000_000
"""Thresholds times resamples worked on at once: a table of 32 MB, and a few such."""


@dataclass(frozen=True, eq=False)
class ScoredSplit:
    """A split's entries by finding, and the thresholds to try on them.

    Attributes:
        patients: (N,) patient ids.
        entries: finding to its labeled films.
        points: operating points, those without a threshold among them.
        film_thresholds: as `EvaluationRequest.film_thresholds`.
        shared_threshold: as `EvaluationRequest.shared_threshold`.
    """

    patients: NDArray[np.str_]
    entries: Mapping[str, Entries]
    points: tuple[OperatingPoint, ...]
    film_thresholds: Mapping[tuple[str, str], NDArray[np.float64]]
    shared_threshold: float

    @cached_property
    def people(self) -> NDArray[np.str_]:
        """(P,) patients in the order they first appear, which is how entries number them."""
        _, first = np.unique(self.patients, return_index=True)
        return self.patients[np.sort(first)]

    @property
    def counted(self) -> tuple[str, ...]:
        """Findings with positive and negative films: those that a mean can count."""
        return tuple(name for name, entries in self.entries.items() if entries.both_classes)

    @cached_property
    def first_points(self) -> Mapping[str, OperatingPoint]:
        """The first operating point of each finding that has any: the one to call films by."""
        return {point.finding: point for point in reversed(self.points)}

    def cut(self, point: OperatingPoint, entries: Entries) -> NDArray[np.float64]:
        """Return (n,) the threshold that each entry is called at; NaN calls none."""
        own = self.film_thresholds.get((point.finding, point.name))
        if own is not None:
            return own[entries.films]
        return np.full(len(entries.films), np.nan if point.threshold is None else point.threshold)

    @cached_property
    def _parts(self) -> Mapping[str, Entries | Called]:
        """Parts to resample, by row."""
        parts: dict[str, Entries | Called] = dict(self.entries)
        for point in self.points:
            if point.threshold is not None:
                entries = self.entries[point.finding]
                parts[point_row(point)] = Called.of(entries, self.cut(point, entries))
        for name in self.counted:
            parts[_constant_row(name)] = self.entries[name].constant()
            parts[_shared_row(name)] = Called.of(self.entries[name], self.shared_threshold)
        pooled = Entries.pooled(self.entries.values())
        return {**parts, MICRO: pooled, CONSTANT_MICRO: pooled.constant()}

    def rows(self, times: NDArray[np.integer]) -> Iterator[tuple[str, Values]]:
        """Give every row that is not a mean, and its measures on the resamples given.

        Args:
            times: (R, P) how often each patient stands in each resample.
        """
        for row, part in self._parts.items():
            yield row, part.values(times)

    def means(self, values: Mapping[str, Values]) -> Iterator[tuple[str, Values]]:
        """Give the rows that are means over findings.

        A mean counts the findings that have a value in the resample: a finding of few
        patients is missing from some, which must not remove the other findings' evidence.
        """
        first = {name: self.first_points.get(name) for name in self.counted}
        called = [name for name, point in first.items() if point and point.threshold is not None]
        own = [values[point_row(self.first_points[name])] for name in called]
        shared = [values[_shared_row(name)] for name in called]
        yield MACRO, _mean(values[name] for name in self.counted)
        yield CONSTANT_MACRO, _mean(values[_constant_row(name)] for name in self.counted)
        yield OWN_POINTS, _mean(own)
        yield SHARED, _mean(shared)
        f1 = Measure.F1
        yield GAIN, _mean({f1: a[f1] - b[f1]} for a, b in zip(own, shared, strict=True))


def point_row(point: OperatingPoint) -> str:
    """Return the row of an operating point."""
    return f"{point.finding} at {point.name}"


def _shared_row(finding: str) -> str:
    return f"{finding} at the shared threshold"


def _constant_row(finding: str) -> str:
    return f"{finding}, constant"


def _mean(parts: Iterable[Values]) -> Values:
    """Return the mean of each measure over the parts that have a value; none without parts."""
    every = list(parts)
    return {
        measure: mean_present(np.stack([part[measure] for part in every]))
        for measure in (every[0] if every else ())
    }


@dataclass(frozen=True, eq=False)
class Numbers:
    """Measures by row: on the films themselves, and on each resample.

    Attributes:
        values: row to its measures, (1,) each.
        resampled: row to its measures, (R,) each.
    """

    values: Mapping[str, Values]
    resampled: Mapping[str, Values]

    @classmethod
    def of(cls, split: ScoredSplit, resamples: int, rng: np.random.Generator) -> Numbers:
        """Measure the split once as it is, and once for each resample of its patients."""
        people = split.people
        values = dict(split.rows(np.ones((1, len(people)), np.int32)))
        parts: dict[str, list[Values]] = {row: [] for row in values}
        thresholds = sum(int(entries.positives.sum()) for entries in split.entries.values())
        cells = max(1, _CELLS // max(1, thresholds)) * len(people)
        for times in patient_resamples(people, resamples, rng, cells):
            # patients first in memory, which is how sparse products read them
            for row, measured in split.rows(np.asfortranarray(times)):
                parts[row].append(measured)
        resampled = {
            row: {name: np.concatenate([part[name] for part in of]) for name in of[0]}
            for row, of in parts.items()
        }
        return cls(
            {**values, **dict(split.means(values))},
            {**resampled, **dict(split.means(resampled))},
        )

    def interval(self, row: str, measure: str, absent: str) -> Interval:
        """Return the number with its interval, or null with the reason `absent`."""
        value = self.values.get(row, {}).get(measure)
        if value is None:
            return Interval(value=None, reason=absent)
        return interval(float(value[0]), self.resampled[row][measure], absent)
