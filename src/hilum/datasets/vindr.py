"""VinDr-CXR: 18,000 frontal films, each read by three radiologists or by the consensus of five."""

from __future__ import annotations

from pathlib import Path

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk, readings
from hilum.datasets.parts.records import (
    NO_PATIENTS,
    film_notes,
    first_names,
    row_notes,
    row_states,
    spelling_notes,
)
from hilum.domain.errors import DatasetError, LeakError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Cohort, Record, Vote
from hilum.files.films import FilmFiles

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="vindr",
    title="VinDr-CXR",
    films=18_000,
    patients=18_000,
    labels="Read from the films: 22 findings and 6 diagnoses. Three of 17 radiologists read each "
    "training film by themselves; five agreed on each test film. What is not marked is negative.",
    layout="annotations/image_labels_train.csv or annotations/image_labels_test.csv, with films "
    "in train/ and test/",
    licence="PhysioNet Credentialed Health Data License; research and education, no redistribution",
    citation="Nguyen HQ, Lam K, Le LT, et al. VinDr-CXR: an open dataset of chest X-rays with "
    "radiologist's annotations. Scientific Data 9:429, 2022",
    url="https://physionet.org/content/vindr-cxr/",
    known_faults=(
        "Patients are not named, so two films of one patient cannot be kept together.",
        "The test table spells 'Other disease' what the training table spells 'Other diseases'.",
        "Training labels are single readers', test labels a consensus: they are not alike.",
        "VinBigData's films are the training films of this dataset.",
    ),
)

_LABELS = ("image_labels_train.csv", "image_labels_test.csv")
_BOXES = ("annotations_train.csv", "annotations_test.csv")
_READER = "rad_id"
"""The readers' table has this column; that of the consensus has not."""
_READERS = 3
_OTHER = ("Other diseases", "Other disease")
_FINDINGS = (
    *("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture"),
    *("Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity"),
    *("Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass", "Pleural effusion"),
    *("Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion"),
    *("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", _OTHER[0], "No finding"),
)
"""The columns of the training table, in the order of the label set."""


def recognize(place: Path) -> bool:
    """Return whether a label table is in the folder, or the table has a column for each finding."""
    if place.is_file():
        return disk.has_columns(place, {"image_id", *_FINDINGS} - {*_OTHER})
    return bool(_tables(place))


def read(place: Path) -> Cohort:
    """Read the readers' labels and boxes, and find the films that are here.

    A training film's label is positive where more than half of its readers say so; `votes` keeps
    the labels of each. Boxes are in pixels of the original film, whose size is only in its DICOM
    file: those of films that are not here as DICOM are left out.

    Raises:
        DatasetError: for a label that is not one, a reader with two opinions of a film, or a box
            that is none; with the row.
        LeakError: for a film in both tables.
    """
    tables = _tables(place)
    if not tables:
        raise DatasetError(f"{CARD.title} must have {CARD.layout}; none is in {place}")
    folder = tables[0].parent
    root = folder.parent if folder.name == "annotations" else folder
    films = disk.films_by_stem([root / "train", root / "test"])
    notes = [*disk.source_notes(*tables), NO_PATIENTS]
    records: dict[str, Record] = {}
    tested: frozenset[str] | None = None
    for table in tables:
        part = _records(table, films, notes)
        if both := records.keys() & part.keys():
            raise LeakError(
                f"a film must be for training or for test; in both tables: {len(both):,} "
                f"({first_names(both)}). Fetch the tables again"
            )
        records |= part
        tested = frozenset(part) if _agreed(table) else tested
    if tested is None:
        notes.append(f"there is no {_LABELS[1]}: no official test set")
    notes += film_notes(records, films)
    rows, drawn = tuple(records.values()), disk.is_synthetic(root)
    return Cohort(CARD.name, label_set("VinDr-28"), rows, tested, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write invented labels of three films by three readers and of two by consensus, and films."""
    names = [f"5f0c{number:028x}" for number in range(5)]
    marked = ("Cardiomegaly", "Cardiomegaly|ILD", *["No finding"] * 7)
    rows = [f"{names[i // 3]},R{8 + i % 3},{_marks(words)}" for i, words in enumerate(marked)]
    agreed = [f"{names[3]},{_marks('Pleural effusion|Other diseases')}"]
    agreed += [f"{names[4]},{_marks('No finding')}"]
    reader = f"{_READER},"
    labels = f"image_id,{reader}{','.join(_FINDINGS)}"
    corners = f"image_id,{reader}class_name,x_min,y_min,x_max,y_max"
    boxes = ("R8,Cardiomegaly,16,32,48,56", "R9,ILD,8.5,8,24,40", "R10,No finding,,,,")
    files = {
        _LABELS[0]: (labels, *rows),
        _LABELS[1]: (labels.replace(reader, "").replace(*_OTHER), *agreed),
        _BOXES[0]: (corners, *(f"{names[0]},{box}" for box in boxes)),
        _BOXES[1]: (corners.replace(reader, ""), f"{names[3]},Pleural effusion,4,40,20,60"),
    }
    for name, lines in files.items():
        disk.write_lines(folder / "annotations" / name, lines)
    for number, name in enumerate(names[:4]):
        part = "test" if number == 3 else "train"
        disk.draw_dicom(folder / part / f"{name}.dicom", 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _marks(words: str) -> str:
    return ",".join(str(int(finding in words.split("|"))) for finding in _FINDINGS)


def _tables(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = [disk.find_table(place, (f"annotations/{name}", name)) for name in _LABELS]
    return [table for table in found if table is not None]


def _agreed(table: Path) -> bool:
    """Return whether the labels are a consensus: only the table of single readers names them."""
    return not disk.has_columns(table, (_READER,))


def _records(table: Path, films: FilmFiles, notes: list[str]) -> dict[str, Record]:
    agreed = _agreed(table)
    read = _votes(table, notes)
    if not agreed and (odd := sum(len(votes) != _READERS for votes in read.values())):
        notes.append(f"films that not exactly {_READERS} readers read: {odd:,}")
    corners = disk.find_table(table.parent, (_BOXES[agreed],))
    boxes = (
        readings.read_corners(corners, label_set("VinDr-28"), films, {}, notes) if corners else {}
    )
    if strays := boxes.keys() - read.keys():
        notes.append(f"films with boxes but without labels, left out: {len(strays):,}")
    records: dict[str, Record] = {}
    for film, states in read.items():
        votes = tuple(Vote(reader, marks) for reader, marks in states.items())
        records[film] = Record(
            image_id=film,
            patient_id=film,
            states=readings.majority(votes),
            path=films.find(film),
            view=ViewPosition.PA,
            boxes=boxes.get(film, ()),
            votes=() if agreed else votes,
        )
    return records


def _votes(table: Path, notes: list[str]) -> dict[str, dict[str, tuple[LabelState, ...]]]:
    """Film to reader to labels; a consensus is one reader without a name."""
    other = _OTHER[disk.has_columns(table, _OTHER[1:])]
    names = [other if name == _OTHER[0] else name for name in _FINDINGS]
    key = ["image_id"] if _agreed(table) else ["image_id", _READER]
    read: dict[str, dict[str, tuple[LabelState, ...]]] = {}
    repeated = 0
    for number, row in disk.read_rows(table, [*names, *key]):
        film, reader = (*row[len(names) :], "")[:2]
        where = f"{table.name} row {number}"
        if "" in row[len(names) :]:
            raise DatasetError(f"{where}: {' and '.join(key)} must be given")
        marks = row_states(row[: len(names)], where)
        votes = read.setdefault(film, {})
        repeated += reader in votes
        if votes.setdefault(reader, marks) != marks:
            raise DatasetError(
                f"{where}: {reader or 'the consensus'} has other labels for film {film} in a row "
                "before. Keep the row that is right"
            )
    notes += spelling_notes(names, label_set("VinDr-28"), table.name)
    notes += row_notes(repeated)
    return read
