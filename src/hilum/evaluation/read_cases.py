"""Cases that readers and a model read, and shares of them with intervals by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import interval, share

__all__ = ["ABSENT", "ReadCases", "gaps", "rate"]

ABSENT = "a class is absent among these cases"
"""Why a number of some cases does not exist."""
_SLACK = 1e-12


@dataclass(frozen=True, eq=False)
class ReadCases:
    """Labeled films of one finding, with what the model and the readers say of them.

    Attributes:
        truth: (n,) whether positive.
        scores: (n,) of the model.
        ratings: reader to (n,) ratings, NaN where skipped.
        patients: (n,).
        weights: (R, n) of the resamples.
        called_at: rating from which on it is a call.
    """

    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]
    ratings: dict[str, NDArray[np.float64]]
    patients: NDArray[np.str_]
    weights: NDArray[np.int32]
    called_at: float

    def where(self, kept: NDArray[np.bool_]) -> ReadCases:
        """Return some of the cases."""
        return ReadCases(
            self.truth[kept],
            self.scores[kept],
            {name: own[kept] for name, own in self.ratings.items()},
            self.patients[kept],
            self.weights[:, kept],
            self.called_at,
        )

    def calls(self, reader: str) -> NDArray[np.bool_]:
        """Return (n,) cases that a reader calls positive."""
        return self.ratings[reader] >= self.called_at

    @property
    def complete(self) -> ReadCases:
        """The cases that all readers read."""
        read = [~np.isnan(own) for own in self.ratings.values()]
        return self.where(np.logical_and.reduce(read))

    @property
    def read(self) -> NDArray[np.bool_]:
        """(n,) cases that any reader read."""
        read = [~np.isnan(own) for own in self.ratings.values()]
        return np.logical_or.reduce(read) if read else np.zeros(len(self.truth), np.bool_)

    @property
    def both_classes(self) -> bool:
        """Whether there are cases with and without the finding."""
        return bool(self.truth.any() and not self.truth.all())


def rate(cases: ReadCases, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Interval:
    """Return the share of some cases that are of a part, with its interval by patient."""
    if not whole.any():
        return Interval(value=None, reason=ABSENT)
    resampled = _resampled(cases.weights, part & whole, whole)
    return interval(float((part & whole).sum() / whole.sum()), resampled, ABSENT)


def _resampled(
    weights: NDArray[np.int32], part: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> NDArray[np.float64]:
    sums = weights.astype(np.float64) @ np.column_stack((part, whole)).astype(np.float64)
    return share(sums[:, 0], sums[:, 1])


def gaps(
    cases: ReadCases, name: str, weights: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (R,) sensitivities of the model at the reader's specificity, and reader less model."""
    calls = cases.calls(name)
    sensitivity = _resampled(weights, calls & cases.truth, cases.truth)
    specificity = _resampled(weights, ~calls & ~cases.truth, ~cases.truth)
    counts = Ranking.of(cases.truth, cases.scores).counts(weights)
    model = counts.sensitivity_at(specificity[:, None] - _SLACK)
    return model, sensitivity - model
