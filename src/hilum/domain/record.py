"""Records of a dataset, the cohort that a stage works on, and its cross-validation folds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex, ViewPosition

__all__ = [
    "AGES",
    "FOLDS",
    "Box",
    "Cohort",
    "Record",
    "Split",
    "Vote",
    "age_band",
    "digest",
    "labeled",
    "patient_folds",
    "prevalences",
]


class Split(StrEnum):
    """The four uses of a patient. A patient has exactly one.

    Train fits weights; tune stops early and chooses; calibrate fits calibrator and operating
    points; test is looked at once. The word "validation" is avoided: it names all of these.
    """

    TRAIN = "train"
    TUNE = "tune"
    CALIBRATE = "calibrate"
    TEST = "test"


@dataclass(frozen=True)
class Box:
    """A reader's box around a finding, in fractions of the film: x right, y down, in [0, 1]."""

    finding: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Vote:
    """One reader's labels of a film: a LabelState for each finding, in the cohort's order."""

    reader: str
    states: tuple[LabelState, ...]


@dataclass(frozen=True)
class Record:
    """One row of a dataset: a film, its patient and its labels.

    Attributes:
        image_id: the film's name in the dataset, unique there.
        patient_id: the patient's name in the dataset.
        states: one LabelState for each finding of the cohort's label set, in its order.
        path: the film on disk; None where it was not downloaded.
        view, age_years, sex, follow_up: as recorded; None or unknown where blank or impossible.
        boxes: reader boxes, if any.
        study_id: the examination the film belongs to; None where each film is its own.
        votes: the readers' own labels, where there are several; `states` is then their majority.
    """

    image_id: str
    patient_id: str
    states: tuple[LabelState, ...]
    path: Path | None = None
    view: ViewPosition = ViewPosition.UNKNOWN
    age_years: float | None = None
    sex: Sex = Sex.UNKNOWN
    follow_up: int | None = None
    boxes: tuple[Box, ...] = ()
    study_id: str | None = None
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True)
class Cohort:
    """Records that share a label set: the input of every stage.

    Attributes:
        dataset: the reader's name, such as "nih".
        labels: the columns of `states`.
        records: in the dataset's order; image ids are unique.
        official_test: image ids that the dataset's authors set aside for test, or None.
        official_tune: image ids that they set aside for tuning (their "validation"), or None.
        notes: what the reader met and the user should know, a line each.
        synthetic: the films are synthetic; every result of them states it.

    Raises:
        DatasetError: for a repeated film or a row whose states do not fit the label set.
    """

    dataset: str
    labels: LabelSet
    records: tuple[Record, ...]
    official_test: frozenset[str] | None = None
    notes: tuple[str, ...] = field(default=())
    synthetic: bool = False
    official_tune: frozenset[str] | None = None

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for record in self.records:
            if record.image_id in seen:
                raise DatasetError(f"{self.dataset}: film {record.image_id} is listed twice")
            if len(record.states) != len(self.labels):
                raise DatasetError(
                    f"{self.dataset}: film {record.image_id} has {len(record.states)} label "
                    f"states for the {len(self.labels)} findings of {self.labels.name}"
                )
            seen.add(record.image_id)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def population(self) -> str:
        """The patients' population: a drawn patient 7 is not the dataset's patient 7."""
        return f"drawn-{self.dataset}" if self.synthetic else self.dataset

    def states(self) -> NDArray[np.int8]:
        """Return (N, L) int8 of LabelState values."""
        rows = [record.states for record in self.records]
        return np.array(rows, dtype=np.int8).reshape(len(rows), len(self.labels))

    def patients(self) -> NDArray[np.str_]:
        """Return (N,) patient ids, a row each."""
        return np.array([record.patient_id for record in self.records], dtype=np.str_)

    def image_ids(self) -> list[str]:
        """Return the films' names, in order."""
        return [record.image_id for record in self.records]

    def select(self, keep: Callable[[Record], bool]) -> Cohort:
        """Return the cohort of the records that `keep` accepts, in the same order."""
        kept = tuple(record for record in self.records if keep(record))
        return replace(self, records=kept)

    def sha256(self) -> str:
        """Return the hash of films, patients and label states."""
        return digest(
            "\t".join((r.image_id, r.patient_id, ",".join(str(int(s)) for s in r.states)))
            for r in self.records
        )


def digest(lines: Iterable[str]) -> str:
    """Return the sha256 (hex) of sorted lines, each ended by a newline.

    >>> digest(["b", "a"]) == digest(["a", "b"])
    True
    """
    text = "".join(f"{line}\n" for line in sorted(lines))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def labeled(states: NDArray[np.int8]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the films that count for a finding, and whether each has it.

    Args:
        states: (N,) LabelState values of one finding.

    Returns:
        (n,) rows of the films labeled positive or negative, and (n,) whether positive.

    >>> labeled(np.array([1, -1, 0, -2], np.int8))
    (array([0, 2]), array([ True, False]))
    """
    rows = np.flatnonzero((states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE))
    return rows, states[rows] == LabelState.POSITIVE


def prevalences(labels: LabelSet, states: NDArray[np.int8]) -> dict[str, float]:
    """Return the share of positives among labeled films; findings without one are left out.

    Args:
        labels: the findings of the columns.
        states: (N, L) LabelState values.

    >>> prevalences(LabelSet("two", ("Mass", "Edema")), np.array([[1, -2], [0, -1]], np.int8))
    {'Mass': 0.5}
    """
    counted = {name: labeled(states[:, column])[1] for column, name in enumerate(labels)}
    return {name: float(own.mean()) for name, own in counted.items() if len(own)}


AGES = ((18.0, "<18"), (40.0, "18-40"), (65.0, "40-65"), (math.inf, "65+"))
"""Each band's name, and the age in years at which it ends; that age belongs to the next."""


def age_band(age_years: float) -> str:
    """Return the name of the age band.

    >>> age_band(17.9), age_band(40.0)
    ('<18', '40-65')
    """
    return next(name for end, name in AGES if age_years < end)


FOLDS = 5
"""Number of folds: each fit uses four fifths of the patients."""


def patient_folds(patients: Sequence[str], folds: int = FOLDS, seed: int = 0) -> NDArray[np.intp]:
    """Return (N,) the fold of each film's patient, 0 to folds - 1.

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
