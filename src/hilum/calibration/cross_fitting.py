"""Calibrated probabilities of films that must serve for fitting too, each fitted on the others.

For a table of predictions that brings no films of its own to calibrate on. Fitting and scoring the
same films would show an error of 0 that nobody else will find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.calibration import FittedCalibrator, curve_type, fit
from hilum.calibration.curves import FEW
from hilum.domain.record import FOLDS, patient_folds
from hilum.domain.scores import Logits, Probabilities

__all__ = ["CrossFitted", "cross_fit"]


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Probabilities of films, none of them from a curve that saw its patient.

    Attributes:
        probabilities: (N, L).
        fold: (N,) which calibrator each film is from, 0 to folds - 1.
        notes: what the user should know, a line each.
    """

    probabilities: Probabilities
    fold: NDArray[np.intp]
    notes: tuple[str, ...]


def cross_fit(
    method: str,
    logits: Logits,
    states: NDArray[np.int8],
    patients: Sequence[str],
    folds: int = FOLDS,
    seed: int = 0,
) -> CrossFitted:
    """Map each fold of patients by a calibrator fitted on all other folds.

    The curves differ a little between folds, so films of two folds whose logits are next to each
    other may change places: AUROC moves by a little, and says so of no model. With few positive
    films a finding may lack a curve in some folds; it stays a plain sigmoid there, and is noted.

    Args:
        method: one of the files of `hilum.calibration.curves`.
        logits: (N, L).
        states: (N, L) LabelState values, columns as in `logits`.
        patients: (N,) the patient of each film.
        folds: at least 2.
        seed: another one puts patients into other folds.

    Raises:
        UsageError: for an unknown method, fewer than 2 folds, or fewer patients than folds.
        ValueError: for states or patients of another length.
    """
    if len(patients) != len(logits.values):
        raise ValueError(
            f"every film must have its patient; got {len(patients)} patients for "
            f"{len(logits.values)} films"
        )
    fold = patient_folds(patients, folds, seed)
    values = np.empty_like(logits.values)
    calibrators: list[FittedCalibrator] = []
    for number in range(folds):
        inside = fold == number
        others = Logits(logits.values[~inside], logits.labels)
        calibrator = fit(method, others, states[~inside])
        values[inside] = calibrator.apply(Logits(logits.values[inside], logits.labels)).values
        calibrators.append(calibrator)
    probabilities = Probabilities(values, logits.labels)
    return CrossFitted(probabilities, fold, tuple(_notes(method, calibrators, probabilities)))


def _notes(
    method: str, calibrators: Sequence[FittedCalibrator], probabilities: Probabilities
) -> Iterator[str]:
    for finding in probabilities.labels:
        fitted = [calibrator.findings[finding] for calibrator in calibrators]
        for used, count in sorted(Counter(one.method for one in fitted).items()):
            if used != method:
                word = "plain sigmoid" if used == "sigmoid" else used
                yield f"{finding}: {method} refused in {count} of {len(fitted)} folds; {word} there"
        fewest = min((one.positives for one in fitted if one.calibrated), default=FEW)
        if fewest < FEW:
            yield f"{finding}: fitted on only {fewest} positive films in a fold"
        if not all(curve_type(one.method).strict for one in fitted):
            column = probabilities.of(finding)
            levels = len(np.unique(column))
            yield f"{finding}: {levels:,} distinct values on {len(column):,} films"
