"""Patients dealt into folds, for numbers that must not see the patient they are of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError

__all__ = ["FOLDS", "patient_folds"]

FOLDS = 5
"""The usual number: whatever is fitted is fitted on four fifths of the patients."""


def patient_folds(patients: Sequence[str], folds: int = FOLDS, seed: int = 0) -> NDArray[np.intp]:
    """(N,) the fold of each film's patient, 0 to folds - 1.

    Patients are dealt round in the order of sha256(seed, patient): it depends on nothing else, and
    no fold stays empty.

    Args:
        patients: (N,) the patient of each film.
        folds: at least 2.
        seed: another one puts patients into other folds.

    Raises:
        UsageError: for fewer than 2 folds, or fewer patients than folds.

    >>> patient_folds(["a", "b", "a"], folds=2).tolist()
    [0, 1, 0]
    """

    def drawn(patient: str) -> bytes:
        return hashlib.sha256(f"{seed}\t{patient}".encode("utf-8", "surrogateescape")).digest()

    everyone = sorted(set(patients), key=drawn)
    if folds < 2 or len(everyone) < folds:
        raise UsageError(
            f"cross-fitting needs 2 folds or more, and a patient for each; got {folds} folds and "
            f"{len(everyone)} patients"
        )
    place = {patient: number % folds for number, patient in enumerate(everyone)}
    return np.array([place[patient] for patient in patients], np.intp)
