"""AUROC and AP with patient-bootstrap intervals: ours beside a scikit-learn loop.

Both score the same resamples of the same patients. scikit-learn repeats each film as often as its
resample has it, which is the usual script; it is timed on a few resamples, ours on all.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from hilum.domain.findings import LabelState, nih14
from hilum.domain.record import Cohort, Record
from hilum.domain.scores import Probabilities
from hilum.evaluation.evaluate import evaluate
from hilum.evaluation.request import EvaluationRequest
from hilum.metrics.ranking import Ranking
from hilum.metrics.resampling import patient_resamples

FILMS, PATIENTS, RESAMPLES, LOOP, REPEATS = 22_000, 2_500, 2_000, 3, 3
PREVALENCES = (
    0.10,
    0.03,
    0.12,
    0.18,
    0.05,
    0.06,
    0.013,
    0.05,
    0.04,
    0.02,
    0.02,
    0.015,
    0.03,
    0.002,
)
CELLS = 200_000
"""Patients times resamples at once."""


def drawn(seed: int = 0) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.float64]]:
    """Patient numbers, labels at the prevalences of NIH's findings, and scores near AUROC 0.8."""
    rng = np.random.default_rng(seed)
    patients = np.sort(rng.integers(PATIENTS, size=FILMS))
    positives = rng.random((FILMS, 14)) < PREVALENCES
    logits = rng.normal(size=(FILMS, 14)) + 1.2 * positives
    return patients, positives, 1.0 / (1.0 + np.exp(3.0 - logits))


def ours(
    people: NDArray[np.intp], positives: NDArray[np.bool_], scores: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """(count, 14, 2) AUROC and AP of every resample."""
    _, patient = np.unique(people, return_inverse=True)
    rankings = [Ranking.of(positives[:, c], scores[:, c], patient) for c in range(14)]
    names = np.arange(patient.max() + 1).astype(str)
    parts: list[NDArray[np.float64]] = []
    for times in patient_resamples(names, count, np.random.default_rng(0), CELLS):
        counts = [ranking.counts(np.asfortranarray(times)) for ranking in rankings]
        values = [np.stack([c.auroc(), c.average_precision()], axis=-1) for c in counts]
        parts.append(np.stack(values, axis=1))
    return np.concatenate(parts)


def loop(
    people: NDArray[np.intp], positives: NDArray[np.bool_], scores: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The same of scikit-learn."""
    _, patient = np.unique(people, return_inverse=True)
    names = np.arange(patient.max() + 1).astype(str)
    values = np.empty((count, 14, 2))
    for times in patient_resamples(names, count, np.random.default_rng(0), len(names) * count):
        for r, row in enumerate(times):
            films = np.repeat(np.arange(FILMS), row[patient])
            for c in range(14):
                y, s = positives[films, c], scores[films, c]
                values[r, c] = roc_auc_score(y, s), average_precision_score(y, s)
    return values


def main() -> None:
    """Time both, check that they agree, and print the ratio; then a whole evaluation."""
    people, positives, scores = drawn()
    seconds: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        found = ours(people, positives, scores, RESAMPLES)
        np.percentile(found, [2.5, 97.5], axis=0)
        seconds.append(time.perf_counter() - started)
    quick = statistics.median(seconds)
    started = time.perf_counter()
    theirs = loop(people, positives, scores, LOOP)
    slow = (time.perf_counter() - started) / LOOP * RESAMPLES
    apart = float(np.abs(theirs - ours(people, positives, scores, LOOP)).max())
    print(f"AUROC and AP, {FILMS:,} films, 14 findings, {RESAMPLES:,} patient resamples")
    print(f"  hilum                 {quick:8.1f} s")
    print(f"  scikit-learn loop     {slow:8.1f} s   (from {LOOP} resamples)   {slow / quick:.0f}x")
    print(f"  largest difference    {apart:8.1e}")
    states = np.where(positives, LabelState.POSITIVE, LabelState.NEGATIVE)
    records = tuple(
        Record(f"{i}.png", str(person), tuple(LabelState(int(s)) for s in row))
        for i, (person, row) in enumerate(zip(people, states, strict=True))
    )
    cohort = Cohort("drawn", nih14(), records)
    request = EvaluationRequest("drawn", "drawn", resamples=RESAMPLES)
    started = time.perf_counter()
    evaluate(Probabilities(scores, nih14()), cohort, request)
    print(f"  whole evaluation      {time.perf_counter() - started:8.1f} s")
