"""The films that a model was trained on, as its owner can say it: a list, a split or a run."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.record import Cohort, Split
from hilum.splits.overlap import first_names
from hilum.splits.table import SplitTable

__all__ = ["TrainingFilms", "read_training_films"]

_SPLIT_FILE = "split.csv"


@dataclass(frozen=True)
class TrainingFilms:
    """Films that trained, tuned or calibrated a model, and their patients.

    Attributes:
        source: where it was read, in words.
        films: names of the films.
        patients: their patients, as far as they are known.
        unknown: films whose patient is not known, since the labels do not list them.
    """

    source: str
    films: frozenset[str]
    patients: frozenset[str]
    unknown: int


def read_training_films(place: Path, cohort: Cohort) -> TrainingFilms:
    """Read what a model was trained on.

    Args:
        place: a list of films, one a line (further columns, after a blank or a comma, are passed
            over); a split table, of which every use but test counts; or a run folder that has one.
        cohort: the dataset, to tell the patient of each listed film.

    Raises:
        UsageError: for a file that is not there.
        DatasetError: for a list that names no film, or none of the cohort.
        LeakError: for a split table with a patient in two splits.
    """
    path = place / _SPLIT_FILE if place.is_dir() else place
    if not path.is_file():
        raise UsageError(
            f"training films must be a list, a split table or a run; there is no {path}"
        )
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"no training films could be read from {path}: {error}") from error
    if place.is_dir() or _is_split_table(lines):
        return _of_table(SplitTable.read(path), path.name)
    return _of_list(lines, cohort, path.name)


def _is_split_table(lines: list[str]) -> bool:
    header = lines[0].split(",") if lines else []
    return {"image_id", "patient_id", "split"} <= {name.strip().strip('"') for name in header}


def _of_table(table: SplitTable, name: str) -> TrainingFilms:
    seen = {film: place for film, place in table.films.items() if place.split is not Split.TEST}
    if not seen:
        raise DatasetError(
            f"{name} must place a film in train, tune or calibrate; all are for test"
        )
    *others, last = [s.value for s in Split if any(place.split is s for place in seen.values())]
    uses = f"{', '.join(others)} and {last}" if others else last
    return TrainingFilms(
        source=f"{uses} of {name}",
        films=frozenset(seen),
        patients=frozenset(place.patient_id for place in seen.values()),
        unknown=0,
    )


def _of_list(lines: list[str], cohort: Cohort, name: str) -> TrainingFilms:
    patient_of = {record.image_id: record.patient_id for record in cohort.records}
    listed = frozenset(_film(line, patient_of) for line in lines if line.strip())
    known = listed & patient_of.keys()
    if not known:
        some = ", ".join(first_names(listed)) or "nothing"
        raise DatasetError(
            f"{name} must list films of {cohort.dataset}, one a line; the labels have none of its "
            f"{len(listed):,} lines, first: {some}. Give the labels of the whole dataset"
        )
    return TrainingFilms(
        source=name,
        films=listed,
        patients=frozenset(patient_of[film] for film in known),
        unknown=len(listed) - len(known),
    )


def _film(line: str, known: Container[str]) -> str:
    """The film of a line: all of it, else what stands before a blank or a comma, else its name."""
    whole = line.strip()
    field = whole.replace(",", " ").split()[0] if whole.strip(", ") else whole
    candidates = (whole, field, field.strip('"'), field.rpartition("/")[2])
    return next((name for name in candidates if name in known), field)
