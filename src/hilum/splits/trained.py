"""Films and patients that a model was trained on.

The films come from a list, a split table, a run or a bundle; the patients are kept as hashes that
may travel with the model's weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.domain.errors import BundleError, DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.record import Cohort, Split, digest
from hilum.splits.overlap import check_disjoint, first_names
from hilum.splits.table import SplitTable

__all__ = ["SeenPatients", "TrainingFilms", "read_training_films"]

_TITLE = "# hilum seen patients"
_DIGITS = 16


@dataclass(frozen=True)
class SeenPatients:
    """Patients that trained, tuned or calibrated a model, by 64-bit hash.

    A later evaluation checks whether one of its patients is among them, while no list of names
    has to leave the lab. Two patients of 100,000 share a hash by chance once in a billion sets.
    A hash is not de-identification: anybody with the names can find out who is in the set. Publish
    it for public datasets only.

    Attributes:
        hashes: dataset to the hashes of its patients: the first 16 hex digits of
            `sha256(dataset, tab, patient)`.

    >>> seen = SeenPatients.of("nih", ["1", "2"])
    >>> seen.refuse_overlap("nih", ["2", "3"], "test")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.LeakError: patients must not cross splits: 50.0 % of the test films
    (1 of 2) and 50.0 % of the test patients (1 of 2) belong to training patients, first: 2.
    Use films of other patients
    >>> seen.refuse_overlap("chexpert", ["2", "3"], "test")
    """

    hashes: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, dataset: str, patients: Iterable[str]) -> SeenPatients:
        """Return the set of some patients of one dataset."""
        return cls({dataset: frozenset(_hashed(dataset, patient) for patient in set(patients))})

    def __len__(self) -> int:
        return sum(map(len, self.hashes.values()))

    def union(self, other: SeenPatients) -> SeenPatients:
        """Return the patients of either set: those seen by a model that was trained twice."""
        datasets = [*self.hashes, *other.hashes]
        nobody: frozenset[str] = frozenset()
        return SeenPatients(
            {
                dataset: self.hashes.get(dataset, nobody) | other.hashes.get(dataset, nobody)
                for dataset in sorted(set(datasets))
            }
        )

    def among(self, dataset: str, patients: Iterable[str]) -> frozenset[str]:
        """Return the patients that are in the set."""
        known = self.hashes.get(dataset, frozenset())
        return frozenset(p for p in set(patients) if _hashed(dataset, p) in known)

    def refuse_overlap(self, dataset: str, patients: Iterable[str], use: str) -> None:
        """Refuse films of patients in the set.

        Args:
            dataset: the dataset of the patients, `Cohort.population`, such as "nih".
            patients: the patient of each film, one entry per film.
            use: use of the films in the message.

        Raises:
            LeakError: with the share of films and of patients that leak.
        """
        films = list(patients)
        check_disjoint(self.among(dataset, films), films, use)

    @property
    def sha256(self) -> str:
        """Hash of the hashes, sorted, one per line."""
        return digest(line for hashes in self.hashes.values() for line in hashes)

    def write(self, path: Path) -> Path:
        """Write the set as text, a header for each dataset and a line for each patient."""
        lines: list[str] = []
        for dataset, hashes in sorted(self.hashes.items()):
            lines += [f"{_TITLE} of {dataset}: {len(hashes)}", *sorted(hashes)]
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        return path

    @classmethod
    def read(cls, path: Path) -> SeenPatients:
        """Read what `write` wrote.

        Raises:
            BundleError: for a file that is missing, truncated or of a different format.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"no seen patients could be read from {path}: {error}") from error
        hashes: dict[str, set[str]] = {}
        counts: dict[str, str] = {}
        own: set[str] | None = None
        for number, line in enumerate(lines, start=1):
            if line.startswith(f"{_TITLE} of "):
                dataset, _, counts_text = line.removeprefix(f"{_TITLE} of ").rpartition(": ")
                own = hashes.setdefault(dataset, set())
                counts[dataset] = counts_text
            elif own is None or len(line) != _DIGITS or set(line) - set("0123456789abcdef"):
                raise BundleError(
                    f"{path} line {number} must be a hash of {_DIGITS} hex digits below a line "
                    f"'{_TITLE} of DATASET: COUNT'; got '{line[:40]}'. Restore the file"
                )
            else:
                own.add(line)
        for dataset, found in hashes.items():
            if counts[dataset] != str(len(found)):
                raise BundleError(
                    f"{path} must hold {counts[dataset]} patients of {dataset}, as it says; it has "
                    f"{len(found)}. Restore the file"
                )
        return cls({dataset: frozenset(found) for dataset, found in hashes.items()})


def _hashed(dataset: str, patient: str) -> str:
    key = f"{dataset}\t{patient}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(key).hexdigest()[:_DIGITS]


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
