"""SIIM-ACR Pneumothorax Segmentation: 12,047 frontal films with masks of each pneumothorax."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hilum.datasets import Card, DatasetReader
from hilum.datasets.parts import disk, readings
from hilum.datasets.parts.records import NO_PATIENTS, at_row, film_notes, row_notes
from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelState, label_set
from hilum.domain.radiograph import ViewPosition
from hilum.domain.record import Box, Cohort, Record

__all__ = ["CARD", "DATASET", "read", "recognize", "write_example"]

CARD = Card(
    name="siim",
    title="SIIM-ACR Pneumothorax Segmentation",
    films=12_047,
    patients=12_047,
    labels="Read from the films by radiologists, who outlined each pneumothorax; a film without an "
    "outline counts as negative.",
    layout="train-rle.csv or stage_2_train.csv, with films in dicom-images-train/*/*/ and "
    "dicom-images-test/*/*/",
    licence="the competition's rules at Kaggle",
    citation="Filice RW, Stein A, Wu CC, et al. Crowdsourcing pneumothorax annotations using "
    "machine learning annotations on the NIH chest X-ray dataset. Journal of Digital Imaging "
    "33:490-496, 2020",
    url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    known_faults=(
        "The films are of NIH ChestX-ray14 under other names: a model that was trained on one has "
        "seen films and patients of the other.",
        "NIH's patients are not named: a patient's films cannot be kept together.",
        "Pneumothorax is enriched: 22 % of the films have one, nearly five times NIH's share.",
        "The first stage's table is shorter: the second's has the films of the first test, too.",
        "Only pneumothorax was looked for: a negative film may show anything else.",
    ),
)

_TABLES = ("train-rle.csv", "stage_2_train.csv")
_COLUMNS = ("ImageId", "EncodedPixels")
_NO_MASK = "-1"
_SIDE = 1024


def recognize(place: Path) -> bool:
    """Return whether the table is in the folder, or the table has its columns."""
    if place.is_file():
        return disk.has_columns(place, _COLUMNS)
    return disk.find_table(place, _TABLES) is not None


def read(place: Path) -> Cohort:
    """Read the masks, as the boxes around them, and find the films that are here.

    Raises:
        DatasetError: for a mask that is none, or a film with a mask and without; with the row.
    """
    table = disk.required_table(place, _TABLES, CARD)
    root = disk.folder_of(place)
    folders = sorted(root.glob("dicom-images-*/*/*/"))
    films = disk.films_by_stem(folders)
    notes = [*disk.source_notes(table), NO_PATIENTS]
    records = {
        film: Record(
            image_id=film,
            patient_id=film,
            states=(LabelState(bool(boxes)),),
            path=films.find(film),
            view=ViewPosition.FRONTAL,
            boxes=tuple(boxes),
        )
        for film, boxes in _boxes(table, notes).items()
    }
    notes += film_notes(records, films)
    drawn = disk.is_synthetic(root)
    return Cohort(CARD.name, label_set("SIIM"), tuple(records.values()), None, tuple(notes), drawn)


def write_example(folder: Path) -> Path:
    """Write invented rows of three films, one with two masks, and two of the films."""
    names = [f"1.2.276.0.7230010.3.1.4.8323329.{number}" for number in (1, 2, 3)]
    rows = (
        f"{names[0]},-1",
        # 4 rows of columns 100 and 101 from row 200; then 2 rows of column 500 from row 10
        f"{names[1]},{100 * _SIDE + 200} 4 {_SIDE - 4} 4",
        f"{names[1]},{500 * _SIDE + 10} 2",
        f"{names[2]},-1",
    )
    disk.write_lines(folder / _TABLES[0], ("ImageId, EncodedPixels", *rows))
    for number, name in enumerate(names[:2]):
        study = folder / "dicom-images-train" / f"study{number}" / f"series{number}"
        disk.draw_dicom(study / f"{name}.dcm", 16 * number)
    return folder


DATASET: DatasetReader = DatasetReader(CARD, recognize, read, write_example)


def _boxes(table: Path, notes: list[str]) -> dict[str, list[Box]]:
    """Film to the boxes around its masks: none where there is no pneumothorax."""
    found: dict[str, list[Box]] = {}
    repeated = 0
    for number, (film, pixels) in disk.read_rows(table, _COLUMNS):
        where = f"{table.name} row {number}"
        if not film:
            raise DatasetError(f"{where}: ImageId must be given")
        with at_row(where):
            boxes = [] if pixels == _NO_MASK else [_around(pixels)]
            repeated += not readings.add_boxes(found, film, boxes)
    notes += row_notes(repeated)
    return found


def _around(pixels: str) -> Box:
    """Return the box around a mask, which is written as pairs of a gap and a run.

    Pixels are counted down the columns of a film of 1024 by 1024 px, from its upper left corner
    and from 0; a gap counts from the end of the run before. (NIH's and Kaggle's usual encoding
    counts every start from the upper left, and from 1.)
    """
    words = pixels.split()
    fine = words and len(words) % 2 == 0 and "0" not in words[1::2]
    # a gap or run has 7 digits at most, as has the number of pixels
    if not fine or not all(word.isdecimal() and len(word) <= 7 for word in words):
        raise DatasetError(
            f"EncodedPixels must be {_NO_MASK} or pairs of gap and run in px; got '{pixels:.40}'"
        )
    places = np.cumsum([int(word) for word in words])
    first, last = places[::2], places[1::2] - 1
    top, bottom = int((first % _SIDE).min()), int((last % _SIDE).max()) + 1
    if (first // _SIDE < last // _SIDE).any():  # a run goes on at the top of the next column
        top, bottom = 0, _SIDE
    left, right = int(first[0]) // _SIDE, int(last[-1]) // _SIDE + 1
    return readings.film_box("Pneumothorax", (left, top, right, bottom), (_SIDE, _SIDE))
