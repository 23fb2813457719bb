"""Files of a dataset on disk: tables found by name or header, films by name, lists of films.

Tables are CSV and read by column. Examples of all are written here too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.datasets import Card
from hilum.datasets.parts.records import first_names
from hilum.domain.errors import DatasetError, LeakError, UsageError
from hilum.files.lines import text_lines

__all__ = [
    "draw_dicom",
    "draw_film",
    "film_index",
    "find_table",
    "folder_of",
    "has_columns",
    "is_recognized",
    "is_synthetic",
    "read_header",
    "read_list",
    "read_lists",
    "read_rows",
    "required_table",
    "write_lines",
]


def find_table(place: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the tables that is in the folder, plain or gzipped; None if none is.

    A place that is a table is returned as it is.
    """
    if place.is_file():
        return place
    for name in names:
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None


def required_table(place: Path, names: Sequence[str], card: Card) -> Path:
    """Return what `find_table` does.

    Raises:
        DatasetError: where none is there.
    """
    table = find_table(place, names)
    if table is None:
        raise DatasetError(f"{card.title} must have {card.layout}; none is in {place}")
    return table


def folder_of(place: Path) -> Path:
    """Return the folder itself, or the folder that holds the table."""
    return place.parent if place.is_file() else place


def has_columns(table: Path, columns: Iterable[str]) -> bool:
    """Return whether a file is a CSV table with these columns."""
    return frozenset(columns) <= frozenset(read_header(table))


def is_recognized(place: Path, names: Sequence[str], columns: Iterable[str]) -> bool:
    """Return whether a folder holds one of the tables, or a table has the columns."""
    if place.is_file():
        return has_columns(place, columns)
    return find_table(place, names) is not None


def read_header(table: Path) -> list[str]:
    """Return the columns of a CSV table, plain or gzipped; none for a file that is not one.

    Bytes that are not UTF-8 and semicolons are let pass: the table is then recognized, and
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
    """Yield row number and the values of some columns, found by name, for each row of a CSV table.

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
    """Return the film names of a list, one a line, plain or gzipped; None where there is no list.

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


def read_lists(test: Path, rest: Path) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Return the films of two official lists, each as `read_list` does.

    Raises:
        DatasetError: for a list without a name in it.
        LeakError: for a film on both.
    """
    of_test, of_rest = read_list(test), read_list(rest)
    both = (of_test or frozenset()) & (of_rest or frozenset())
    if both:
        raise LeakError(
            f"a film must be on one official list; on both {rest.name} and {test.name}: "
            f"{len(both):,} ({first_names(both)}). Fetch the lists again"
        )
    return of_test, of_rest


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file for `write_example`: one line an entry, UTF-8, the same on any system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


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


def film_index(folders: Iterable[Path], suffix: str | tuple[str, ...]) -> dict[str, Path]:
    """Map file name to path of the films in some folders; absent folders are skipped.

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


def is_synthetic(root: Path) -> bool:
    """Return whether the folder declares its films synthetic: it holds a `SYNTHETIC.txt`."""
    return (root / "SYNTHETIC.txt").is_file()


def draw_film(path: Path, shade: int) -> None:
    """Write a gray ramp of 64 by 64 px: it stands for a film in `write_example`, no more."""
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
