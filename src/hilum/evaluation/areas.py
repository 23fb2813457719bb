"""AUROC and AP of models on the same films and the same resamples, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import Probabilities
from hilum.metrics.crossed import RunNumbers, run_resamples
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import mean_present, patient_resamples

__all__ = ["MACRO", "ModelAreas", "measure_areas"]

MACRO = "macro"
"""Key of the mean over findings."""
_CELLS = 100_000
"""Films times resamples worked on at once."""
_RUNS = 0x5EED
"""Stream of the drawn runs, apart from that of the drawn patients."""

_Curve = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ModelAreas:
    """AUROC and AP of one model by finding and macro, of each of its runs."""

    auroc: Mapping[str, RunNumbers]
    average_precision: Mapping[str, RunNumbers]


def measure_areas(
    models: Sequence[Sequence[Probabilities]], cohort: Cohort, resamples: int, seed: int
) -> list[ModelAreas]:
    """Measure each model on the films themselves and on each resample of patients.

    Args:
        models: scores of the N films by each run of each model, all with the same findings.
        cohort: the films; entries labeled neither positive nor negative count for no model.
        resamples: of patients, shared by all runs; and of runs, drawn for each model.
        seed: of both.
    """
    runs = [run for model in models for run in model]
    measured = iter(_measured(runs, cohort, resamples, seed))
    found: list[ModelAreas] = []
    for number, model in enumerate(models):
        rng = np.random.default_rng(np.random.SeedSequence((seed, _RUNS, number)))
        drawn = run_resamples(len(model), resamples, rng)
        own = [next(measured) for _ in model]
        found.append(ModelAreas(*(_by_run([one[kind] for one in own], drawn) for kind in (0, 1))))
    return found


def _by_run(runs: Sequence[_Curve], drawn: NDArray[np.float64]) -> dict[str, RunNumbers]:
    return {name: RunNumbers(np.stack([run[name] for run in runs]), drawn) for name in runs[0]}


def _measured(
    runs: Sequence[Probabilities], cohort: Cohort, resamples: int, seed: int
) -> list[tuple[_Curve, _Curve]]:
    """Return AUROC and AP of each run by finding: (1 + R,), the films themselves first."""
    labels = runs[0].labels
    states = cohort.states()[:, cohort.labels.columns(labels)]
    counted = {name: labeled(states[:, column]) for column, name in enumerate(labels)}
    rankings = [
        {
            name: Ranking.of(positives, run.of(name)[rows], rows)
            for name, (rows, positives) in counted.items()
            if positives.any() and not positives.all()
        }
        for run in runs
    ]
    parts: list[list[tuple[_Curve, ...]]] = [[] for _ in runs]
    rng = np.random.default_rng(seed)
    itself = np.ones((1, len(cohort)), np.int32)
    draws = patient_resamples(cohort.patients(), resamples, rng, _CELLS)
    for weights in (itself, *draws):
        for part, own in zip(parts, rankings, strict=True):
            counts = {name: ranking.counts(weights) for name, ranking in own.items()}
            part.append(
                (
                    {name: count.auroc() for name, count in counts.items()},
                    {name: count.average_precision() for name, count in counts.items()},
                )
            )
    return [
        (_joined([one[0] for one in part]), _joined([one[1] for one in part])) for part in parts
    ]


def _joined(parts: Sequence[_Curve]) -> _Curve:
    """Join values by finding, and add the mean of the findings that a resample has."""
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not found:
        return found
    return {**found, MACRO: mean_present(np.stack(list(found.values())))}
