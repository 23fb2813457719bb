"""Scored entries, a film and a finding each, and every measure of them on many resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.ranking import Ranking
from hilum.metrics.reliability import Binning, ece_resampled, log_losses, squared_errors

__all__ = ["SPECIFICITY", "Entries", "Measure", "Values", "at_threshold"]

SPECIFICITY = 0.80
"""Where sensitivities are compared: one film in five without the finding is called positive."""


class Measure(StrEnum):
    """A number of an evaluation; the words are those of evaluation.json."""

    AUROC = "auroc"
    AVERAGE_PRECISION = "average_precision"
    SENSITIVITY_AT_SPECIFICITY = "sensitivity_at_specificity"
    BRIER = "brier"
    BRIER_SKILL = "brier_skill"
    LOG_LOSS = "log_loss"
    ECE_EQUAL_MASS = "ece_equal_mass"
    ECE_EQUAL_WIDTH = "ece_equal_width"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    PPV = "ppv"


Values = Mapping[Measure, NDArray[np.float64]]
"""(R,) of each measure, a value a resample; NaN where it does not exist."""


@dataclass(frozen=True, eq=False)
class Entries:
    """What was said of some films, and what was so. One finding, or several pooled.

    Attributes:
        films: (n,) row of the split that each entry belongs to.
        positives: (n,) whether the finding is there.
        probabilities: (n,) in [0, 1].
        constants: (n,) what the constant predictor says of each entry.
    """

    films: NDArray[np.intp]
    positives: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    constants: NDArray[np.float64]

    @classmethod
    def pooled(cls, parts: Iterable[Entries]) -> Entries:
        """All entries of several findings as one ranking."""
        every = list(parts)
        return cls(
            np.concatenate([part.films for part in every]),
            np.concatenate([part.positives for part in every]),
            np.concatenate([part.probabilities for part in every]),
            np.concatenate([part.constants for part in every]),
        )

    def constant(self) -> Entries:
        """The same entries as the constant predictor scores them."""
        return Entries(self.films, self.positives, self.constants, self.constants)

    @property
    def both_classes(self) -> bool:
        """Whether there is a positive and a negative entry: else nothing can be ranked."""
        return bool(self.positives.any() and not self.positives.all())

    @property
    def missing(self) -> str:
        """Why measures may not exist, in words."""
        if not len(self.positives):
            return "no film is labelled"
        return "no film is negative" if self.positives.all() else "no film is positive"

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking.of(self.positives, self.probabilities, self.films)

    @cached_property
    def _losses(self) -> NDArray[np.float64]:
        """(4, n) what each entry adds to: entries, Brier, constant predictor's Brier, log loss."""
        columns = [
            np.ones(len(self.films)),
            squared_errors(self.positives, self.probabilities),
            squared_errors(self.positives, self.constants),
            log_losses(self.positives, self.probabilities),
        ]
        return np.stack(columns)

    def values(self, weights: NDArray[np.integer]) -> Values:
        """Every measure that needs no threshold.

        Args:
            weights: (R, N) how often each film of the split stands in each resample.
        """
        own = weights[:, self.films]
        counts = self._ranking.counts(weights)
        auroc = counts.auroc()
        entries, brier, constant, log_loss = _sums(own, self._losses)
        labels = (self.positives, self.probabilities, own)
        return {
            Measure.AUROC: auroc,
            Measure.AVERAGE_PRECISION: counts.average_precision(),
            Measure.SENSITIVITY_AT_SPECIFICITY: counts.sensitivity_at(SPECIFICITY),
            Measure.BRIER: _share(brier, entries),
            # without a class the constant predictor is next to perfect, and any skill absurd
            Measure.BRIER_SKILL: np.where(np.isnan(auroc), np.nan, 1.0 - _share(brier, constant)),
            Measure.LOG_LOSS: _share(log_loss, entries),
            Measure.ECE_EQUAL_MASS: ece_resampled(*labels),
            Measure.ECE_EQUAL_WIDTH: ece_resampled(*labels, binning=Binning.EQUAL_WIDTH),
        }


def at_threshold(entries: Entries, threshold: float, weights: NDArray[np.integer]) -> Values:
    """Sensitivity, specificity and PPV of `probability >= threshold` on each resample."""
    own = weights[:, entries.films]
    called = entries.probabilities >= threshold
    kinds = [entries.positives, ~entries.positives, called, called & entries.positives]
    positives, negatives, flagged, hits = _sums(own, np.stack(kinds).astype(np.float64))
    return {
        Measure.SENSITIVITY: _share(hits, positives),
        Measure.SPECIFICITY: _share(negatives - (flagged - hits), negatives),
        Measure.PPV: _share(hits, flagged),
    }


def _sums(weights: NDArray[np.integer], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, R) weighted sums of (C, n) columns, the same to the bit on any number of threads."""
    return np.einsum("rn,cn->cr", weights, columns)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
