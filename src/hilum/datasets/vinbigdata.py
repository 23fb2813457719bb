"""VinBigData: the 15,000 training films of VinDr-CXR as Kaggle gave them, three readers a film."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk, readings
from hilum.datasets.parts.records import (
    NO_PATIENTS,
    at_row,
    film_notes,
    first_names,
    spelling_notes,
)
from hilum.domain.errors import DatasetError
from hilum.domain.findings import NO_FINDING, LabelSet, LabelState, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record, Vote

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="vinbigdata",
    title="VinBigData Chest X-ray Abnormalities Detection",
    films=15_000,
    patients=15_000,
    labels="Read from the films: three of 17 radiologists boxed 14 findings on each film, or noted "
    "that there is none. A finding that a reader did not box counts as negative with that reader.",
    layout="train.csv, with films in train/",
    licence="the competition's rules at Kaggle; research and education, no redistribution",
    citation="Nguyen HQ, Lam K, Le LT, et al. VinDr-CXR: an open dataset of chest X-rays with "
    "radiologist's annotations. Scientific Data 9:429, 2022",
    url="https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection",
    known_faults=(
        "The films are the training films of VinDr-CXR: never train on one and test on the other.",
        "Patients are not named, so two films of one patient cannot be kept together.",
        "Readers disagree: of 15,365 findings that a reader boxed on a film, 6,540 have no second "
        "reader and count as negative.",
        "The labels of the 3,000 test films are not published here.",
    ),
)

_TABLES = ("train.csv",)
_COLUMNS = ("image_id", "class_name", "class_id", "rad_id", "x_min", "y_min", "x_max", "y_max")
_SIZES = "train_meta.csv"


def recognize(place: Path) -> bool:
    """Return whether the table is here, by its columns: other datasets use the same name."""
    table = disk.find_table(place, _TABLES)
    return table is not None and disk.has_columns(table, _COLUMNS)


def read(place: Path) -> Cohort:
    """Read the readers' findings and boxes, and find the films that are here.

    A label is positive where more than half of the film's readers boxed it; `votes` keeps the
    labels of each. Boxes are in pixels of the original film. Its size is read from the DICOM file
    or, for films that were converted, from `train_meta.csv` (image_id, dim0 rows, dim1 columns);
    where neither is here, the boxes are left out.

    Raises:
        DatasetError: for an unknown finding, a reader who boxed a film without a finding, or a
            box that is none; with the row.
    """
    table = disk.required_table(place, _TABLES, CARD)
    root = disk.folder_of(place)
    films = disk.films_by_stem([root / "train"])
    notes = [*disk.source_notes(table), NO_PATIENTS]
    listed = _listed(table, notes)
    boxed = readings.read_corners(table, _labels(), films, _sizes(root), notes)
    records: dict[str, Record] = {}
    for film, found in listed.items():
        votes = tuple(Vote(reader, _states(frozenset(names))) for reader, names in found.items())
        records[film] = Record(
            image_id=film,
            patient_id=film,
            states=readings.majority(votes),
            path=films.find(film),
            view=ViewPosition.PA,
            boxes=boxed.get(film, ()),
            votes=votes,
        )
    notes += film_notes(records, films)
    drawn = disk.is_synthetic(root)
    return Cohort(CARD.name, _labels(), tuple(records.values()), None, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write invented rows of three films and three readers, and two of the films."""
    names = [f"9d32{number:028x}" for number in range(3)]
    rows = (
        f"{names[0]},Cardiomegaly,3,R8,16,32,48,56",
        f"{names[0]},Cardiomegaly,3,R9,16,30,50,56",
        f"{names[0]},Pleural effusion,10,R9,2.5,40,12,60",
        f"{names[0]},No finding,14,R10,,,,",
        *(f"{name},No finding,14,R{reader},,,," for name in names[1:] for reader in (8, 9, 10)),
    )
    disk.write_lines(folder / _TABLES[0], (",".join(_COLUMNS), *rows))
    for number, name in enumerate(names[:2]):
        disk.draw_dicom(folder / "train" / f"{name}.dicom", 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _labels() -> LabelSet:
    return label_set("VinBigData-15")


@cache
def _states(found: frozenset[str]) -> tuple[LabelState, ...]:
    return tuple(LabelState(finding in found) for finding in _labels())


def _listed(table: Path, notes: list[str]) -> dict[str, dict[str, set[str]]]:
    """Film to reader to the findings that the reader listed."""
    labels = _labels()
    listed: dict[str, dict[str, set[str]]] = {}
    words: set[str] = set()
    for number, (film, reader, word) in disk.read_rows(table, ("image_id", "rad_id", "class_name")):
        where = f"{table.name} row {number}"
        if not film or not reader:
            raise DatasetError(f"{where}: image_id and rad_id must both be given")
        with at_row(where):
            finding = labels.findings[labels.index(word)]
        found = listed.setdefault(film, {}).setdefault(reader, set())
        found.add(finding)
        words.add(word)
        if NO_FINDING in found and len(found) > 1:
            raise DatasetError(
                f"{where}: '{NO_FINDING}' must stand alone; {reader} also lists "
                f"{first_names(found - {NO_FINDING})} for {film}"
            )
    notes += spelling_notes(words, labels, table.name)
    return listed


def _sizes(root: Path) -> dict[str, readings.Size]:
    table = disk.find_table(root, (_SIZES,))
    if table is None:
        return {}
    sizes: dict[str, readings.Size] = {}
    for number, (film, rows, columns) in disk.read_rows(table, ("image_id", "dim0", "dim1")):
        if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
            raise DatasetError(
                f"{table.name} row {number}: dim0 and dim1 must be the film's rows and columns in "
                f"px; got {rows} and {columns}"
            )
        sizes[film] = int(columns), int(rows)
    return sizes
