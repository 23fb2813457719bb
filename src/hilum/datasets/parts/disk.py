"""Files of a dataset on disk: tables found by name or header, films by name, lists of films.

Tables are CSV and read by column. Examples of all are written here too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.datasets import Card
from hilum.datasets.parts.records import first_names
from hilum.domain.errors import DatasetError, LeakError, UsageError
from hilum.domain.film_names import FilmNames, stem_of
from hilum.files.films import FilmFiles, counts_as_film
from hilum.files.lines import TableRows, fold, text_lines

__all__ = [
    "draw_dicom",
    "draw_film",
    "film_index",
    "films_by_stem",
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
    "resolved",
    "source_notes",
    "tables_in",
    "write_lines",
]


_ENDS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def find_table(place: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the tables that is in the folder, plain or gzipped; None if none is.

    Where none has its very name, one counts whose name differs by case, or ends in `.tsv`. A place
    that is a table is returned as it is.
    """
    if place.is_file():
        return place
    for name in names:
        for candidate in (place / name, place / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return _alike(place, names)


def _alike(place: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the tables whose name differs by case alone, or that is a .tsv."""
    for name in names:
        folder, stem = (place / name).parent, Path(name).name.casefold().removesuffix(".csv")
        ends = _ENDS if name.casefold().endswith(".csv") else ("", ".gz")
        wanted = {stem + end for end in ends}
        here = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for other in here:
            if other.casefold() in wanted:
                return folder / other
    return None


def tables_in(folder: Path) -> list[Path]:
    """Return the tables right in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.name.casefold().endswith(_ENDS))


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
    """Return whether a file is a CSV table with these columns, whatever their case."""
    return frozenset(map(fold, columns)) <= frozenset(map(fold, read_header(table)))


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
            names = next(iter(TableRows(file)), [])
    except (DatasetError, UsageError, csv.Error):
        return []
    names = names[0].split(";") if len(names) == 1 else names
    return [name.strip() for name in names]


def source_notes(*tables: Path) -> list[str]:
    """Return notes on where labels are from, and on columns that commas do not separate."""
    notes = [f"labels are from {', '.join(table.name for table in tables)}"]
    for table in tables:
        with text_lines(table, "replace") as file:
            tabs = TableRows(file).separator == "\t"
        notes += [f"{table.name}: its columns are separated by tabs"] if tabs else []
    return notes


def read_rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield row number and the values of some columns, found by name, for each row of a CSV table.

    Columns may stand in any order, and others beside them; their case does not matter. Files are
    read as `hilum.files.lines` says: UTF-8, with commas or tabs. The row number is that of a
    spreadsheet: the header is row 1.

    Raises:
        DatasetError: for a missing column, a short row, or a file that is not CSV.
    """
    with text_lines(table) as file:
        table_rows = TableRows(file)
        rows = iter(table_rows)
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
            raise DatasetError(f"{table.name} row {table_rows.line} is not CSV: {error}") from error


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


def resolved(names: frozenset[str], films: Collection[str]) -> frozenset[str]:
    r"""Return the films that a list names, by the rules of `FilmNames`; unknown names stay.

    >>> sorted(resolved(frozenset({"images\\1.PNG", "9.png"}), ["1.png", "2.png"]))
    ['1.png', '9.png']
    """
    unknown = names.difference(films)
    if not unknown:
        return names
    order = list(films)
    known, found = FilmNames(order), {name: name for name in names}
    for name in unknown:
        row = known.find(name).row
        found[name] = name if row is None else order[row]
    return frozenset(found.values())


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
    folded = [fold(name) for name in header]
    absent = [name for name in columns if name not in header and fold(name) not in folded]
    if not absent:
        return [
            header.index(name) if name in header else folded.index(fold(name)) for name in columns
        ]
    semicolons = len(header) == 1 and ";" in header[0]
    hint = " Its columns are separated by ';': save it with commas" if semicolons else ""
    raise DatasetError(
        f"{table.name} must have the columns {', '.join(columns)}; "
        f"it lacks {', '.join(absent)}.{hint}"
    )


def film_index(folders: Iterable[Path]) -> FilmFiles:
    """Return the films in some folders by file name; absent folders are skipped.

    Films are known by suffix, others by their first bytes. Where two folders hold the same name,
    the first folder's film counts.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name not in found)
        found |= {name: folder / name for name in names if counts_as_film(folder / name)}
    return FilmFiles(found)


def films_by_stem(folders: Iterable[Path]) -> FilmFiles:
    """Return the films of `film_index` by their names without suffix."""
    return FilmFiles({stem_of(name): path for name, path in film_index(folders).items()})


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
