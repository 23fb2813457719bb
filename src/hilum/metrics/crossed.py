"""Numbers of several training runs on the same films: what seeds move, and what patients move.

A run is one draw of its seed, and a test set one draw of its patients. The two are crossed: every
run reads every film. So patients are drawn once for all runs, and runs beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hilum.metrics.resampling import NORMAL_975

__all__ = ["CrossedNumber", "RunNumbers", "run_resamples"]


def run_resamples(runs: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw as many runs as there are, with replacement, `count` times: (count, runs) shares.

    Example:
        >>> run_resamples(1, 2, np.random.default_rng(0))
        array([[1.],
               [1.]])
    """
    return rng.multinomial(runs, np.full(runs, 1.0 / runs), size=count) / runs


@dataclass(frozen=True, eq=False)
class RunNumbers:
    """One number of K runs that differ in their seed alone, such as the AUROC of a finding.

    Attributes:
        values: (K, 1 + R) the number of each run on the films themselves, and on R resamples of
            patients that all runs share; NaN where a resample does not have it.
        drawn: (R, K) the share of each run in each resample of runs, as `run_resamples` gives it.

    Example:
        >>> values = np.array([[0.80, 0.79, 0.81], [0.84, 0.83, 0.85]])
        >>> numbers = RunNumbers(values, np.array([[1.0, 0.0], [0.5, 0.5]]))
        >>> round(numbers.value, 3), round(numbers.seed_variance, 6)
        (0.82, 0.0008)
        >>> numbers.draws.round(4)
        array([0.7817, 0.83  ])
    """

    values: NDArray[np.float64]
    drawn: NDArray[np.float64]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.values)

    @property
    def value(self) -> float:
        """Mean over the runs on the films themselves."""
        return float(self.values[:, 0].mean())

    @cached_property
    def by_patients(self) -> NDArray[np.float64]:
        """(R,) mean over all runs on each resample of patients: only patients move it."""
        return self.values[:, 1:].mean(axis=0)

    @cached_property
    def seed_variance(self) -> float | None:
        """Variance of one run's number over seeds, at least 0; None with a single run.

        Runs differ on these films also since chance patients suit one run more than another. That
        part is what resamples of patients move a run against the mean of all, and is subtracted:
        `s² − K / (K − 1) · mean over runs of Var(run − mean)`.
        """
        if self.runs < 2:
            return None
        apart = self.values[:, 1:] - self.by_patients
        there = ~np.isnan(apart[0])
        chance = float(apart[:, there].var(axis=1).mean()) if there.any() else 0.0
        rest = float(self.values[:, 0].var(ddof=1)) - chance * self.runs / (self.runs - 1)
        return max(0.0, rest)

    @cached_property
    def draws(self) -> NDArray[np.float64]:
        """(R,) the mean of runs drawn beside patients: both move it.

        The runs' deviations are scaled so that the draws have the variance `seed_variance / K` of
        a mean of K runs: resampling K runs as they are would give `(K − 1) / K` of it, with the
        patients' chance counted twice.
        """
        variance = self.seed_variance
        apart = self.values[:, 0] - self.value
        spread = float(apart @ apart) / self.runs
        if not variance or not spread:
            return self.by_patients
        return self.by_patients + math.sqrt(variance / spread) * (self.drawn @ apart)


@dataclass(frozen=True, eq=False)
class CrossedNumber:
    """A number, or a difference of two, with its draws over patients and runs, ready for intervals.

    Attributes:
        value: on the films themselves, the mean over runs.
        draws: (R,) over patients and, where there are several runs, over runs.
        by_seeds: variance that seeds give it; None where a side has a single run.
        by_patients: variance that patients give it; NaN without a resample that has it.
        of_one_run: variance that seeds give it with one run a side; None as above.
    """

    value: float
    draws: NDArray[np.float64]
    by_seeds: float | None
    by_patients: float
    of_one_run: float | None

    @classmethod
    def alone(cls, numbers: RunNumbers) -> CrossedNumber:
        """Return one side's own number."""
        return _crossed(numbers.value, numbers.draws, numbers.by_patients, (numbers,))

    @classmethod
    def between(cls, first: RunNumbers, second: RunNumbers) -> CrossedNumber:
        """Return the second side less the first, on the same resamples of patients.

        Raises:
            ValueError: when the two have different numbers of resamples.

        >>> one = RunNumbers(np.array([[0.7, 0.6, 0.8]]), np.ones((2, 1)))
        >>> two = RunNumbers(np.array([[0.8, 0.7, 0.9]]), np.ones((2, 1)))
        >>> CrossedNumber.between(one, two).draws.round(3)
        array([0.1, 0.1])
        """
        if first.draws.shape != second.draws.shape:
            raise ValueError(
                f"paired resamples must both be (R,); got {first.draws.shape} and "
                f"{second.draws.shape}"
            )
        return _crossed(
            second.value - first.value,
            second.draws - first.draws,
            second.by_patients - first.by_patients,
            (first, second),
        )


def _crossed(
    value: float,
    draws: NDArray[np.float64],
    by_patients: NDArray[np.float64],
    sides: Sequence[RunNumbers],
) -> CrossedNumber:
    there = by_patients[~np.isnan(by_patients)]
    patients = float(there.var()) if len(there) else math.nan
    parts = [(one.seed_variance, one.runs) for one in sides]
    known = [(variance / runs, runs - 1) for variance, runs in parts if variance is not None]
    stretched = draws
    if known and there.size:
        stretched = value + _stretch(patients, known) * (draws - value)
    complete = len(known) == len(parts)
    return CrossedNumber(
        value=value,
        draws=stretched,
        by_seeds=sum(part for part, _ in known) if complete else None,
        by_patients=patients,
        of_one_run=sum(variance or 0.0 for variance, _ in parts) if complete else None,
    )


def _stretch(patients: float, seeds: Sequence[tuple[float, int]]) -> float:
    """Return Student's quantile over the normal one, at Satterthwaite's degrees of freedom.

    A variance from five runs is known badly; that from hundreds of patients counts as known.
    """
    doubt = sum(part**2 / freedom for part, freedom in seeds)
    if doubt == 0.0:
        return 1.0
    from scipy.stats import t

    freedom = (patients + sum(part for part, _ in seeds)) ** 2 / doubt
    return float(t.ppf(0.975, freedom)) / NORMAL_975
