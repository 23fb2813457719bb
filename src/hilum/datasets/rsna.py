"""RSNA Pneumonia Detection Challenge: 26,684 frontal films with boxes around lung opacities."""

from __future__ import annotations

from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk, readings
from hilum.datasets.parts.records import NO_PATIENTS, at_row, film_notes, row_notes
from hilum.domain.errors import DatasetError, suggestion
from hilum.domain.findings import LabelState, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Box, Cohort, Record

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="rsna",
    title="RSNA Pneumonia Detection Challenge",
    films=26_684,
    patients=26_684,
    labels="Read from the films by radiologists: Lung Opacity where they boxed one that suggests "
    "pneumonia. The second table tells the other films apart as normal and as not normal.",
    layout="stage_2_train_labels.csv, with films in stage_2_train_images/",
    licence="free use, commercial too, with the attribution that RSNA's terms ask for",
    citation="Shih G, Wu CC, Halabi SS, et al. Augmenting the National Institutes of Health chest "
    "radiograph dataset with expert annotations of possible pneumonia. Radiology: Artificial "
    "Intelligence 1(1):e180041, 2019",
    url="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
    known_faults=(
        "The films are of NIH ChestX-ray14 under other names: a model that was trained on one has "
        "seen films and patients of the other.",
        "'patientId' names a film: NIH's patients are not named, and one may have several films.",
        "'No Lung Opacity / Not Normal' films have another finding, which is not named.",
        "The labels of the challenge's test films are not in this table.",
    ),
)

_TABLES = ("stage_2_train_labels.csv",)
_COLUMNS = ("patientId", "x", "y", "width", "height", "Target")
_CLASSES = "stage_2_detailed_class_info.csv"
_FRAME: readings.Size = (1024, 1024)
_OPACITY, _NORMAL = "Lung Opacity", "Normal"
_WORDS = (_OPACITY, _NORMAL, "No Lung Opacity / Not Normal")


def recognize(place: Path) -> bool:
    """Return whether the table is in the folder, or the table has its columns."""
    if place.is_file():
        return disk.has_columns(place, _COLUMNS)
    return disk.find_table(place, _TABLES) is not None


def read(place: Path) -> Cohort:
    """Read targets, boxes and classes, and find the films that are here.

    `Lung Opacity` is the target. `No Finding` is positive on normal films and negative on the
    others; without the table of classes it is unlabeled, as who has no opacity may yet be ill.

    Raises:
        DatasetError: for a film with two targets or classes, a target that is not that of its
            boxes or its class, or a box that leaves its film.
    """
    table = disk.required_table(place, _TABLES, CARD)
    root = disk.folder_of(place)
    films = disk.films_by_stem([root / "stage_2_train_images"])
    notes = [*disk.source_notes(table), NO_PATIENTS]
    notes.append(f"{table.name}: 'Target' is read as {_OPACITY}")
    boxes = _boxes(table, notes)
    classes = _classes(root, notes)
    records: dict[str, Record] = {}
    for film, boxed in boxes.items():
        word = classes.get(film)
        if word is not None and (word == _OPACITY) != bool(boxed):
            raise DatasetError(
                f"{_CLASSES}: film {film} is of class '{word}', but its Target in {table.name} is "
                f"{int(bool(boxed))}. Fetch both tables again"
            )
        normal = LabelState.UNLABELLED if word is None else LabelState(word == _NORMAL)
        records[film] = Record(
            image_id=film,
            patient_id=film,
            states=(LabelState(bool(boxed)), normal),
            path=films.find(film),
            view=ViewPosition.FRONTAL,
            boxes=tuple(boxed),
        )
    if classes and (unknown := boxes.keys() - classes.keys()):
        notes.append(f"films without a class, No Finding unlabelled: {len(unknown):,}")
    notes += film_notes(records, films)
    drawn = disk.is_synthetic(root)
    return Cohort(CARD.name, label_set("RSNA"), tuple(records.values()), None, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write invented rows of four films, one with two boxes, their classes and three films."""
    names = [f"0000{number:04x}-9eaa-42f4-b0ab-c148ed3241cd" for number in range(4)]
    rows = (
        f"{names[0]},,,,,0",
        f"{names[1]},264.0,152.0,213.0,379.0,1",
        f"{names[1]},562.0,152.0,256.0,453.0,1",
        f"{names[2]},,,,,0",
        f"{names[3]},100,700,200,150,1",
    )
    classes = zip(names, (_WORDS[1], _WORDS[0], _WORDS[2], _WORDS[0]), strict=True)
    disk.write_lines(folder / _TABLES[0], (",".join(_COLUMNS), *rows))
    disk.write_lines(folder / _CLASSES, ("patientId,class", *map(",".join, classes)))
    for number, name in enumerate(names[:3]):
        disk.draw_dicom(folder / "stage_2_train_images" / f"{name}.dcm", 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _boxes(table: Path, notes: list[str]) -> dict[str, list[Box]]:
    """Film to its boxes: none where the target is 0."""
    found: dict[str, list[Box]] = {}
    repeated = 0
    for number, (film, *sides, target) in disk.read_rows(table, _COLUMNS):
        where = f"{table.name} row {number}"
        if not film or target not in ("0", "1") or (target == "1") != all(sides):
            raise DatasetError(
                f"{where}: patientId must be given, and Target be 1 with a box or 0 without one; "
                f"got '{film}', Target '{target}' and the box '{', '.join(sides)}'"
            )
        with at_row(where):
            boxes = [_box(*map(float, sides))] if target == "1" else []
            repeated += not readings.add_boxes(found, film, boxes)
    notes += row_notes(repeated)
    return found


def _box(x: float, y: float, width: float, height: float) -> Box:
    return readings.film_box(_OPACITY, (x, y, x + width, y + height), _FRAME)


def _classes(root: Path, notes: list[str]) -> dict[str, str]:
    """Film to its class; empty where the table of classes is not here."""
    table = disk.find_table(root, (_CLASSES,))
    if table is None:
        notes.append(f"there is no {_CLASSES}: No Finding is unlabelled")
        return {}
    classes: dict[str, str] = {}
    for number, (film, word) in disk.read_rows(table, ("patientId", "class")):
        if word not in _WORDS:
            raise DatasetError(
                f"{table.name} row {number}: a class must be one of {', '.join(_WORDS)}; "
                f"got '{word}'.{suggestion(word, _WORDS)}"
            )
        if classes.setdefault(film, word) != word:
            raise DatasetError(
                f"{table.name} row {number}: film {film} is listed before as "
                f"'{classes[film]}', here as '{word}'. Keep the row that is right"
            )
    return classes
