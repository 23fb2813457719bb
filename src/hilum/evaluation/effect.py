"""Effect of calibration: numbers before and after, on the same films and resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents import Interval
from hilum.domain.documents.comparison import (
    Believed,
    CalibrationEffect,
    EffectChange,
    FindingEffect,
)
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.evaluation.entries import Ratios
from hilum.metrics.binned import Binned
from hilum.metrics.comparison import paired_interval
from hilum.metrics.recalibration import slope_and_intercept
from hilum.metrics.reliability import log_losses, squared_errors
from hilum.metrics.resampling import interval, patient_resamples

__all__ = ["effect_of_calibration"]

_CELLS = 200_000
"""Patients times resamples worked on at once."""
_ABSENT = "no film is labeled"


class _Of(StrEnum):
    MEAN = "mean_probability"
    BRIER = "brier"
    LOG_LOSS = "log_loss"
    O_E = "o_e"
    ECE_MASS = "ece_equal_mass"
    ECE_WIDTH = "ece_equal_width"


_COMPARED = (_Of.BRIER, _Of.LOG_LOSS, _Of.ECE_MASS, _Of.ECE_WIDTH)
_Drawn = Mapping[str, NDArray[np.float64]]
"""(1 + R,) of each number, the films themselves first."""


@dataclass(frozen=True, eq=False)
class _Scores:
    """One finding's labeled films with one set of probabilities."""

    positives: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    patients: NDArray[np.intp]

    def drawn(self, draws: list[NDArray[np.int32]]) -> _Drawn:
        y, p, one = self.positives, self.probabilities, np.ones(len(self.positives))
        ratios = Ratios.of(
            self.patients,
            {
                _Of.MEAN: (p, one),
                _Of.BRIER: (squared_errors(y, p), one),
                _Of.LOG_LOSS: (log_losses(y, p), one),
                _Of.O_E: (y, p),
            },
        )
        binned = Binned.of(y, p, self.patients)
        parts: list[_Drawn] = []
        for times in draws:
            mass, width, _ = binned.errors(times)
            parts.append({**ratios.values(times), _Of.ECE_MASS: mass, _Of.ECE_WIDTH: width})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def believed(self, drawn: _Drawn) -> Believed:
        line = slope_and_intercept(self.positives, self.probabilities, self.patients)
        numbers = {of: _interval(drawn[of]) for of in _Of}
        return Believed(**numbers, slope=line.slope, intercept=line.intercept)


def effect_of_calibration(
    before: tuple[str, Probabilities],
    after: tuple[str, Probabilities],
    cohort: Cohort,
    evaluation: Evaluation,
) -> CalibrationEffect:
    """Measure what calibration changed, with intervals of the paired change.

    Calibration moves a Brier score by about one part in a hundred; discrimination moves it far
    more. A calibrator fitted on these very films would show an error near 0: give films
    that neither trained nor calibrated.

    Args:
        before: in words, and (N, L) as they were.
        after: in words, and (N, L) as they became.
        cohort: the N films.
        evaluation: of the probabilities after: its split, seed and resamples are used.
    """
    people, number = np.unique(cohort.patients(), return_inverse=True)
    rng = np.random.default_rng(evaluation.seed)
    draws = [np.ones((1, len(people)), np.int32)]
    draws += [
        np.asfortranarray(times)
        for times in patient_resamples(people, evaluation.resamples, rng, _CELLS)
    ]
    states = cohort.states()
    findings: dict[str, FindingEffect] = {}
    changes: list[dict[str, NDArray[np.float64]]] = []
    for name in after[1].labels:
        known, y = labeled(states[:, cohort.labels.index(name)])
        first, second = (
            _Scores(y, one.of(name)[known], number[known]) for one in (before[1], after[1])
        )
        old, new = first.drawn(draws), second.drawn(draws)
        findings[name] = FindingEffect(
            n=len(known),
            positives=int(y.sum()),
            prevalence=float(y.mean()) if len(y) else None,
            before=first.believed(old),
            after=second.believed(new),
            change=EffectChange(**{of: _change(old[of], new[of]) for of in _COMPARED}),
        )
        if y.any() and not y.all():
            changes.append({of: new[of] - old[of] for of in _COMPARED})
    return CalibrationEffect(
        model=evaluation.model,
        split=evaluation.split,
        before=before[0],
        after=after[0],
        interval=evaluation.interval,
        seed=evaluation.seed,
        resamples=evaluation.resamples,
        findings=findings,
        macro_change=_macro(changes),
    )


def _interval(drawn: NDArray[np.float64], bounded: bool = True) -> Interval:
    return interval(float(drawn[0]), drawn[1:], _ABSENT, bounded)


def _change(before: NDArray[np.float64], after: NDArray[np.float64]) -> Interval:
    return paired_interval(before[1:], after[1:], float(before[0]), float(after[0]))


def _macro(changes: list[dict[str, NDArray[np.float64]]]) -> EffectChange:
    if not changes:
        nothing = Interval(value=None, reason="no finding has both positive and negative films")
        return EffectChange(**dict.fromkeys(_COMPARED, nothing))
    means = {of: np.mean([change[of] for change in changes], axis=0) for of in _COMPARED}
    return EffectChange(**{of: _interval(mean, bounded=False) for of, mean in means.items()})
