"""Scored entries, a film and a finding each, and every measure of them on many resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.binned import Binned
from hilum.metrics.ranking import Ranking
from hilum.metrics.reliability import log_losses, squared_errors
from hilum.metrics.resampling import share

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["ACTED_AT", "LEVELS", "Called", "Entries", "Measure", "Ratios", "Values", "at"]

LEVELS = (0.80, 0.90, 0.95)
"""Specificities at which sensitivities are compared, and sensitivities at which specificities."""

ACTED_AT = (0.01, 0.02, 0.05, 0.10, 0.20)
"""Probabilities at which one might act, for net benefit: a miss as bad as 99 to 4 needless acts."""


class Measure(StrEnum):
    """A number of an evaluation; the words are those of evaluation.json."""

    AUROC = "auroc"
    AVERAGE_PRECISION = "average_precision"
    SENSITIVITY_AT_SPECIFICITY = "sensitivity_at_specificity"
    SPECIFICITY_AT_SENSITIVITY = "specificity_at_sensitivity"
    BRIER = "brier"
    BRIER_SKILL = "brier_skill"
    LOG_LOSS = "log_loss"
    O_E = "o_e"
    ECE_EQUAL_MASS = "ece_equal_mass"
    ECE_EQUAL_WIDTH = "ece_equal_width"
    DEBIASED_L2 = "debiased_l2"
    NET_BENEFIT = "net_benefit"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    PPV = "ppv"
    NPV = "npv"
    F1 = "f1"


def at(measure: Measure, level: float) -> str:
    """Return the name of a measure at a level.

    >>> at(Measure.NET_BENEFIT, 0.05)
    'net_benefit 0.05'
    """
    return f"{measure} {level:.2f}"


Values = Mapping[str, NDArray[np.float64]]
"""(R,) of each measure, a value a resample; NaN where it does not exist."""


_Column = NDArray[np.floating] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ratios:
    """Measures that are one sum over entries divided by another.

    Attributes:
        names: of the M measures.
        patients: how many there are, P.
        sums: (2 M, P) what each patient adds: the M upper sums, then the M lower ones.
    """

    names: tuple[str, ...]
    patients: int
    sums: csr_array

    @classmethod
    def of(
        cls,
        patients: NDArray[np.intp],
        columns: Mapping[str, tuple[_Column, _Column]],
    ) -> Ratios:
        """Build from each entry's numerator and denominator.

        Args:
            patients: (n,) number of each entry's patient.
            columns: name to two (n,) columns.
        """
        from scipy.sparse import csr_array

        parts = [top for top, _ in columns.values()] + [bottom for _, bottom in columns.values()]
        sums = np.stack([np.bincount(patients, part) for part in parts]).astype(np.float64)
        return cls(tuple(columns), sums.shape[1], csr_array(sums))

    def values(self, times: NDArray[np.integer]) -> Values:
        """Return every measure on each resample.

        Args:
            times: (R, P) how often each patient stands in each resample.
        """
        above, below = np.split(self.sums @ times[:, : self.patients].T, 2)
        return dict(zip(self.names, share(above, below), strict=True))


@dataclass(frozen=True, eq=False)
class Entries:
    """Scored and labeled films of one finding, or of several findings pooled.

    Attributes:
        films: (n,) row of the split that each entry belongs to.
        patients: (n,) number of its patient, from 0.
        positives: (n,) whether the finding is present.
        probabilities: (n,) in [0, 1].
        constants: (n,) the constant predictor's score of each entry.
    """

    films: NDArray[np.intp]
    patients: NDArray[np.intp]
    positives: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    constants: NDArray[np.float64]

    @classmethod
    def pooled(cls, parts: Iterable[Entries]) -> Entries:
        """Pool the entries of several findings into one ranking."""
        every = list(parts)
        return cls(
            np.concatenate([part.films for part in every]),
            np.concatenate([part.patients for part in every]),
            np.concatenate([part.positives for part in every]),
            np.concatenate([part.probabilities for part in every]),
            np.concatenate([part.constants for part in every]),
        )

    def constant(self) -> Entries:
        """Return the same entries with the constant predictor's scores."""
        return Entries(self.films, self.patients, self.positives, self.constants, self.constants)

    def where(self, keep: NDArray[np.bool_]) -> Entries:
        """Return the entries of some films.

        Args:
            keep: (N,) whether a film of the split stays.
        """
        own = keep[self.films]
        return Entries(
            self.films[own],
            self.patients[own],
            self.positives[own],
            self.probabilities[own],
            self.constants[own],
        )

    @property
    def both_classes(self) -> bool:
        """Whether there is a positive and a negative entry: else nothing can be ranked."""
        return bool(self.positives.any() and not self.positives.all())

    @property
    def missing(self) -> str:
        """Reason why measures may not exist, in words."""
        if not len(self.positives):
            return "no film is labeled"
        return "no film is negative" if self.positives.all() else "no film is positive"

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking.of(self.positives, self.probabilities, self.patients)

    @cached_property
    def _binned(self) -> Binned:
        return Binned.of(self.positives, self.probabilities, self.patients)

    @cached_property
    def _means(self) -> Ratios:
        """Measures that need neither order nor bins."""
        y, p = self.positives, self.probabilities
        one, error = np.ones(len(y)), squared_errors(y, p)
        columns = {
            Measure.BRIER: (error, one),
            Measure.BRIER_SKILL: (error, squared_errors(y, self.constants)),
            Measure.LOG_LOSS: (log_losses(y, p), one),
            Measure.O_E: (y, p),
        }
        # a film acted on adds 1 where it is positive, and else takes what a needless act costs
        worth = {
            at(Measure.NET_BENEFIT, t): ((p >= t) * np.where(y, 1.0, -t / (1.0 - t)), one)
            for t in ACTED_AT
        }
        return Ratios.of(self.patients, {**columns, **worth})

    def values(self, times: NDArray[np.integer]) -> Values:
        """Return every measure that needs no operating point.

        Args:
            times: (R, P) how often each patient stands in each resample.
        """
        counts = self._ranking.counts(times)
        auroc = counts.auroc()
        means = self._means.values(times)
        # without a class the constant predictor is next to perfect, and any skill absurd
        skill = np.where(np.isnan(auroc), np.nan, 1.0 - means[Measure.BRIER_SKILL])
        mass, width, debiased = self._binned.errors(times)
        return {
            Measure.AUROC: auroc,
            Measure.AVERAGE_PRECISION: counts.average_precision(),
            **{
                at(Measure.SENSITIVITY_AT_SPECIFICITY, level): counts.sensitivity_at(level)
                for level in LEVELS
            },
            **{
                at(Measure.SPECIFICITY_AT_SENSITIVITY, level): counts.specificity_at(level)
                for level in LEVELS
            },
            **means,
            Measure.BRIER_SKILL: skill,
            Measure.ECE_EQUAL_MASS: mass,
            Measure.ECE_EQUAL_WIDTH: width,
            Measure.DEBIASED_L2: debiased,
        }


@dataclass(frozen=True, eq=False)
class Called:
    """The entries of one finding, called positive at a threshold."""

    ratios: Ratios

    @classmethod
    def of(cls, entries: Entries, threshold: float | NDArray[np.float64]) -> Called:
        """Call entries at `probability >= threshold`: one threshold for all, or (n,) one each."""
        y, called = entries.positives, entries.probabilities >= threshold
        hits, spared = called & y, ~called & ~y
        columns: dict[str, tuple[_Column, _Column]] = {
            Measure.SENSITIVITY: (hits, y),
            Measure.SPECIFICITY: (spared, ~y),
            Measure.PPV: (hits, called),
            Measure.NPV: (spared, ~called),
            Measure.F1: (2.0 * hits, 1.0 * called + y),
        }
        return cls(Ratios.of(entries.patients, columns))

    def values(self, times: NDArray[np.integer]) -> Values:
        """Return sensitivity, specificity, PPV, NPV and F1 on each resample."""
        found = self.ratios.values(times)
        # F1 has a value, 0, where no film is positive; it tells nothing there
        absent = np.isnan(found[Measure.SENSITIVITY])
        return {**found, Measure.F1: np.where(absent, np.nan, found[Measure.F1])}
