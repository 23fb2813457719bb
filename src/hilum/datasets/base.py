"""The contract of a dataset reader, and the file reading that all readers share.

A reader is a file of this folder; the file's name is the reader's name. It offers what `Reader`
lists, as plain functions of the module, and nothing has to be registered anywhere.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort, Record
from hilum.files.lines import text_lines

__all__ = [
    "NO_PATIENTS",
    "Card",
    "DatasetReader",
    "add_once",
    "age_years",
    "draw_dicom",
    "draw_film",
    "film_index",
    "film_notes",
    "find_table",
    "first_names",
    "folder_of",
    "has_columns",
    "header",
    "is_synthetic",
    "label_state",
    "label_states",
    "read_list",
    "read_rows",
    "recognises",
    "spelling_notes",
    "write_lines",
]

NO_PATIENTS = "no patient column: each film is taken as its own patient, so intervals are by film"
"""The note of a dataset that does not name its patients."""

_WRITTEN = {
    **dict.fromkeys(("1", "1.0"), LabelState.POSITIVE),
    **dict.fromkeys(("0", "0.0"), LabelState.NEGATIVE),
    **dict.fromkeys(("-1", "-1.0"), LabelState.UNCERTAIN),
    "": LabelState.UNLABELLED,
}


@dataclass(frozen=True)
class Card:
    """What one must know of a dataset before quoting a number from it.

    Attributes:
        name: the reader's name, which is its file's.
        title: the name its authors gave it.
        films, patients: as published, for the complete dataset.
        labels: how its labels came about, and what an absent label means.
        layout: the files a folder is recognised by.
        licence, citation, url: the terms, the paper and the place.
        known_faults: what is wrong with it, as far as is known.
    """

    name: str
    title: str
    films: int
    patients: int
    labels: str
    layout: str
    licence: str
    citation: str
    url: str
    known_faults: tuple[str, ...]


class DatasetReader(Protocol):
    """What each file of this folder offers."""

    @property
    def CARD(self) -> Card:  # noqa: N802  a constant of the module
        """The dataset's card."""
        ...

    def recognise(self, place: Path) -> bool:
        """Whether this is the dataset: of a folder by the names in it, of a table by its header."""
        ...

    def read(self, place: Path) -> Cohort:
        """All films the dataset's table lists, whether their files are here or not.

        Args:
            place: the dataset's top folder, or one table of it, beside which films are looked for.

        Raises:
            DatasetError: where the table breaks the dataset's own format.
        """
        ...

    def write_example(self, folder: Path) -> Path:
        """Write a few invented rows and films in the dataset's own layout; return its root."""
        ...


def find_table(place: Path, names: Sequence[str]) -> Path | None:
    """The first of the tables that is in the folder, plain or gzipped; None if none is.

    A table, where a table is given.
    """
    if place.is_file():
        return place
    for name in names:
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None


def folder_of(place: Path) -> Path:
    """The folder itself, or the one that the table stands in."""
    return place.parent if place.is_file() else place


def has_columns(table: Path, columns: Iterable[str]) -> bool:
    """Whether a file is a CSV table with these columns: how a table is recognised."""
    return frozenset(columns) <= frozenset(header(table))


def recognises(place: Path, names: Sequence[str], columns: Iterable[str]) -> bool:
    """Whether a folder holds one of the tables, or a table has the columns."""
    if place.is_file():
        return has_columns(place, columns)
    return find_table(place, names) is not None


def header(table: Path) -> list[str]:
    """The columns of a CSV table, plain or gzipped; none for a file that is not one.

    Bytes that are not UTF-8 and semicolons are let pass: the table is then recognised, and
    `read_rows` says what is wrong with it.
    """
    try:
        with text_lines(table, "replace") as file:
            names = next(csv.reader(file), [])
    except (DatasetError, UsageError, csv.Error):
        return []
    names = names[0].split(";") if len(names) == 1 else names
    return [name.strip() for name in names]


def read_rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Row number and the values of some columns, found by name, for each row of a CSV table.

    Columns may stand in any order, and others beside them. A byte-order mark and CRLF are
    accepted. The row number is that of a spreadsheet: the header is row 1.

    Raises:
        DatasetError: for a missing column, a short row, or a file that is not CSV in UTF-8.
    """
    with text_lines(table) as file:
        rows = csv.reader(file, strict=True)
        try:
            at = _positions(table, [name.strip() for name in next(rows, [])], columns)
            width = max(at) + 1
            for number, row in enumerate(rows, start=2):  # a quoted cell may run over lines
                if not row:
                    continue
                if len(row) < width:
                    raise DatasetError(
                        f"{table.name} row {number} must have {width} fields or more; it "
                        f"has {len(row)}. Is a comma missing, or the file cut short?"
                    )
                yield number, [row[index].strip() for index in at]
        except csv.Error as error:
            raise DatasetError(f"{table.name} row {rows.line_num} is not CSV: {error}") from error


def read_list(path: Path) -> frozenset[str] | None:
    """The film names of a list, one a line, plain or gzipped; None where there is no list.

    Raises:
        DatasetError: for a list without a name in it.
    """
    found = find_table(path.parent, (path.name,))
    if found is None:
        return None
    with text_lines(found) as file:
        names = frozenset(line.strip() for line in file) - {""}
    if not names:
        raise DatasetError(f"{found.name} must list films, one a line; it is empty")
    return names


def film_index(folders: Iterable[Path], suffix: str | tuple[str, ...]) -> dict[str, Path]:
    """File name to path of the films in some folders, one pass each; absent folders are passed by.

    Where two folders hold the same name, the first folder's film counts.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.lower().endswith(suffix)]
        # macOS leaves a "._name" beside each file that it copies to a foreign disk
        found |= {
            name: folder / name
            for name in sorted(names)
            if not name.startswith(".") and name not in found
        }
    return found


def add_once(records: dict[str, Record], record: Record, where: str) -> bool:
    """Add a record, unless its film is there with the same labels and patient already.

    Returns:
        Whether the film is new.

    Raises:
        DatasetError: where the film is there with other labels or another patient, or where film
            or patient has no name.
    """
    if not (record.image_id and record.patient_id):
        raise DatasetError(f"{where}: film and patient must both be named")
    known = records.setdefault(record.image_id, record)
    if (known.states, known.patient_id) != (record.states, record.patient_id):
        raise DatasetError(
            f"{where}: film {record.image_id} is listed before with other labels or another "
            "patient. Keep the row that is right"
        )
    return known is record


def film_notes(records: Mapping[str, Record], films: Mapping[str, Path]) -> list[str]:
    """What to say of rows without a film here, and of films here without a row."""
    notes: list[str] = []
    here = sum(record.path is not None for record in records.values())
    if here < len(records):
        notes.append(f"films here: {here:,} of {len(records):,}; the rest is known by label only")
    rowless = films.keys() - records.keys()
    if rowless:
        some = f"{len(rowless):,} ({first_names(rowless)})"
        notes.append(f"films here without a row in the table, left out: {some}")
    return notes


def spelling_notes(words: Iterable[str], labels: LabelSet, source: str) -> list[str]:
    """A note for each finding that the source spells otherwise: the mapping, in print.

    >>> from hilum.domain.findings import nih14
    >>> spelling_notes(["Infiltrate", "Mass"], nih14(), "boxes.csv")
    ["boxes.csv: 'Infiltrate' is read as Infiltration"]
    """
    known = {word: labels.findings[labels.index(word)] for word in words}
    return [
        f"{source}: '{word}' is read as {finding}"
        for word, finding in sorted(known.items())
        if word != finding
    ]


def is_synthetic(root: Path) -> bool:
    """Whether the folder says that its films were drawn: it holds a `SYNTHETIC.txt`."""
    return (root / "SYNTHETIC.txt").is_file()


def first_names(names: Iterable[str], count: int = 5) -> str:
    """The first few of many names, for a message.

    >>> first_names(["b", "a", "c"], count=2)
    'a, b, …'
    """
    ordered = sorted(names)
    return ", ".join([*ordered[:count], *(["…"] if len(ordered) > count else [])])


def age_years(text: str) -> float | None:
    """An age in years; None for one that is blank, not above 0, or above 120.

    >>> age_years("57"), age_years("060Y"), age_years("006M"), age_years("413")
    (57.0, 60.0, 0.5, None)
    """
    match = re.fullmatch(r"(\d{1,5})([YMD]?)", text)
    if match is None:
        return None
    years = int(match[1]) / {"": 1.0, "Y": 1.0, "M": 12.0, "D": 365.25}[match[2]]
    return years if 0.0 < years <= 120.0 else None


def label_state(text: str) -> LabelState:
    """The state that a table writes as a number; blank is unlabelled, never negative.

    Raises:
        DatasetError: for anything but 1, 0, -1 and blank.

    >>> label_state("1.0"), label_state("")
    (<LabelState.POSITIVE: 1>, <LabelState.UNLABELLED: -2>)
    """
    state = _WRITTEN.get(text)
    if state is None:
        raise DatasetError(
            "a label must be 1 (positive), 0 (negative), -1 (uncertain) or blank (unlabelled); "
            f"got '{text}'"
        )
    return state


@cache
def label_states(texts: tuple[str, ...]) -> tuple[LabelState, ...]:
    """`label_state` of each cell of a row; rows that say the same share one tuple."""
    return tuple(label_state(text) for text in texts)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file for `write_example`: one line an entry, UTF-8, the same on any system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def draw_film(path: Path, shade: int) -> None:
    """Write a grey ramp of 64 by 64 px: it stands for a film in `write_example`, no more."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_ramp(shade)).save(path)


def draw_dicom(path: Path, shade: int) -> None:
    """Write the ramp of `draw_film` as a DICOM film."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    film.Modality, film.PhotometricInterpretation = "CR", "MONOCHROME2"
    film.Rows = film.Columns = 64
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.PixelData = _ramp(shade).tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(path, enforce_file_format=True)


def _ramp(shade: int) -> NDArray[np.uint8]:
    return (np.add.outer(np.arange(64), np.arange(64)) + shade).astype(np.uint8)


def _positions(table: Path, header: list[str], columns: Sequence[str]) -> list[int]:
    absent = [name for name in columns if name not in header]
    if not absent:
        return [header.index(name) for name in columns]
    semicolons = len(header) == 1 and ";" in header[0]
    hint = " Its columns are separated by ';': save it with commas" if semicolons else ""
    raise DatasetError(
        f"{table.name} must have the columns {', '.join(columns)}; "
        f"it lacks {', '.join(absent)}.{hint}"
    )
