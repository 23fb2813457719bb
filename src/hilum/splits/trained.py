"""Films that a model was trained on: from a list, a split table, a run or a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.record import Cohort, Split
from hilum.splits.overlap import first_names
from hilum.splits.seen import SeenPatients
from hilum.splits.table import SplitTable

__all__ = ["TrainingFilms", "read_training_films"]

_SPLIT_FILE = "split.csv"
_SEEN_FILE = "seen_patients.txt"


@dataclass(frozen=True)
class TrainingFilms:
    """Films that trained, tuned or calibrated a model, and their patients.

    Attributes:
        source: file and splits that were read, in words.
        films: names of the films.
        patients: their patients, as far as they are known.
        unknown: films whose patient is not known, since the labels do not list them.
    """

    source: str
    films: frozenset[str]
    patients: frozenset[str]
    unknown: int


def read_training_films(place: Path, cohort: Cohort) -> TrainingFilms:
    """Read the films that a model was trained on.

    Args:
        place: a list of films, one per line (further columns, after a blank or a comma, are
            ignored); a split table, of which every split but test counts; a run folder that has
            one; or a bundle, which has its patients as hashes.
        cohort: the dataset, which gives the patient of each listed film.

    Raises:
        UsageError: for a file that does not exist.
        DatasetError: for a list that names no film, or none of the cohort.
        LeakError: for a split table with a patient in two splits.
    """
    path = place / _SPLIT_FILE if place.is_dir() else place
    if not path.is_file() and (place / _SEEN_FILE).is_file():
        return _of_seen(SeenPatients.read(place / _SEEN_FILE), cohort, place.name)
    if not path.is_file():
        raise UsageError(
            f"training films must be a list, a split table, a run, or a bundle that carries "
            f"{_SEEN_FILE}; there is no {path}"
        )
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"no training films could be read from {path}: {error}") from error
    if place.is_dir() or _is_split_table(lines):
        found = _of_table(SplitTable.read(path), path.name)
        seen = place / _SEEN_FILE
        return _with_seen(found, SeenPatients.read(seen), cohort) if seen.is_file() else found
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


def _of_seen(seen: SeenPatients, cohort: Cohort, name: str) -> TrainingFilms:
    """Return the patients only: a bundle does not carry the names of films."""
    patients = seen.among(cohort.population, cohort.patients().tolist())
    source = f"{len(seen):,} patients that {name} has seen"
    return TrainingFilms(source, frozenset(), patients, unknown=0)


def _with_seen(found: TrainingFilms, seen: SeenPatients, cohort: Cohort) -> TrainingFilms:
    """Add the patients of the weights that the run started from."""
    more = seen.among(cohort.population, cohort.patients().tolist())
    return replace(found, patients=found.patients | more)


def _of_list(lines: list[str], cohort: Cohort, name: str) -> TrainingFilms:
    names = FilmNames(cohort.image_ids())
    patient_of = {record.image_id: record.patient_id for record in cohort.records}
    listed = frozenset(_film(line, names, cohort) for line in lines if line.strip())
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


def _film(line: str, names: FilmNames, cohort: Cohort) -> str:
    """Find the film named by the whole line, else by its part before a blank or a comma."""
    whole = line.strip()
    field = whole.replace(",", " ").split()[0] if whole.strip(", ") else whole
    for candidate in (whole, field, field.strip('"')):
        found = names.find(candidate)
        # films that match by a part of the path may be different films of the same name
        if found.row is not None and not found.parts:
            return cohort.records[found.row].image_id
    return field
