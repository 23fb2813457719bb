"""What view, sex, age and follow-up number know of a finding: the rival that reads no pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.domain.radiograph import Sex, ViewPosition
from hilum.domain.record import FOLDS, Cohort, Record, patient_folds
from hilum.evaluation.entries import Entries

__all__ = ["FOLDS", "Metadata"]


@dataclass(frozen=True, eq=False)
class Metadata:
    """The films' metadata as numbers, and the fold of each film's patient.

    All films of a patient are in one fold, and so are scored by a model that never saw the patient.

    Attributes:
        known: what differs between films, in words.
        columns: (N, k) the same in numbers.
        folds: (N,) from 0 to FOLDS - 1.
    """

    known: tuple[str, ...]
    columns: NDArray[np.float64]
    folds: NDArray[np.intp]

    @classmethod
    def of(cls, cohort: Cohort, patients: NDArray[np.str_], seed: int) -> Metadata:
        """Reads the metadata.

        Args:
            cohort: the split's films, one at least.
            patients: (N,) whose films they are.
            seed: of the folds.
        """
        # what is the same for every film tells nothing
        varied = {n: x[:, (x != x[0]).any(axis=0)] for n, x in _columns(cohort.records).items()}
        known = tuple(name for name, x in varied.items() if x.shape[1])
        people = len(np.unique(patients))
        folds = patient_folds(patients.tolist(), min(FOLDS, people), seed) if people > 1 else None
        return cls(
            known,
            np.concatenate(list(varied.values()), axis=1),
            np.zeros(len(patients), np.intp) if folds is None else folds,
        )

    @property
    def features(self) -> str:
        """What is known of the films, and how it was used, in words."""
        if not self.known:
            return "none: view, sex, age and follow-up number are unknown, or the same for all"
        return (
            f"{', '.join(self.known)}; logistic regression on the evaluated films, "
            f"cross-fitted over {FOLDS} folds of patients"
        )

    def scored(self, entries: Entries) -> Entries | str:
        """The same entries as the metadata score them, or why they cannot.

        Args:
            entries: one finding's.

        Returns:
            Entries whose probabilities are the scores of the metadata, on no scale.
        """
        if not entries.both_classes:
            return entries.missing
        if not self.known:
            return "view, sex, age and follow-up number are unknown, or the same for all films"
        x, folds, y = self.columns[entries.films], self.folds[entries.films], entries.positives
        scores = np.zeros(len(y))
        for fold in np.unique(folds):
            held = folds == fold
            if y[~held].all() or not y[~held].any():
                return "too few patients with or without the finding to learn from"
            scores[held] = _scores(x[~held], y[~held], x[held])
        return Entries(entries.films, entries.patients, y, scores, entries.constants)


def _columns(records: Iterable[Record]) -> dict[str, NDArray[np.float64]]:
    """(N, k) numbers of each kind of metadata; what is unknown has a column of its own."""
    every = list(records)
    views = np.array([[r.view is view for view in ViewPosition] for r in every], float)
    sexes = np.array([[r.sex is sex for sex in Sex] for r in every], float)
    ages = np.array([np.nan if r.age_years is None else r.age_years for r in every])
    decades = (ages - 50.0) / 20.0
    visits = np.array([np.nan if r.follow_up is None else r.follow_up for r in every])
    return {
        "view": views,
        "sex": sexes,
        # the square, since the very young and the very old may resemble each other
        "age": _filled(decades, decades**2),
        "follow-up number": _filled(np.log1p(visits)),
    }


def _filled(*columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns with 0 where unknown, and a last one that says where."""
    return np.column_stack([*(np.nan_to_num(x) for x in columns), np.isnan(columns[0])])


def _scores(
    x: NDArray[np.float64], y: NDArray[np.bool_], films: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scores of films whose patients were not fitted on.

    Without the intercept: it is higher where fewer of the films left out are positive, and would
    rank whole folds the wrong way round.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="newton-cholesky").fit(x, y)
    scores = np.einsum("nk,k->n", films - x.mean(axis=0), model.coef_[0])
    # films with the same metadata must tie on any machine, whatever the order of its sums
    return np.round(scores, 10)
