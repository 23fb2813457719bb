"""Tables of Parquet: the library, which an extra brings, and rows as the text of a CSV.

A table is one file, or the folder of an archive: its parts, with its `dataset.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hilum.domain.errors import DatasetError, Status, UsageError
from hilum.files.sealed import file_sha256

__all__ = ["DATASET", "PARTS", "is_parquet", "parquet_rows", "pyarrow", "table_sha256"]

PARTS = "parts"
"""Folder of the parts of an archive."""
DATASET = "dataset.json"
"""What the parts of an archive are together; there is one when all were checked."""
COMPLETE = "entry"
"""Column of a part with the complete result, which is not a column of the table."""
_ROWS_AT_ONCE = 4096


def pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet package, loaded on first use.

    Raises:
        UsageError: where it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise UsageError(
            "plans, parts and tables of Parquet need pyarrow, which is not installed. "
            "Run: pip install 'hilum[cluster]'"
        ) from None
    return pyarrow, pyarrow.parquet


def is_parquet(path: Path) -> bool:
    """Return whether a path is a table of Parquet: a file by its suffix, or an archive's folder.

    >>> is_parquet(Path("scores.parquet")), is_parquet(Path("scores.csv"))
    (True, False)
    """
    return path.suffix.lower() == ".parquet" or (path / PARTS).is_dir()


def parquet_rows(path: Path) -> Iterator[list[str]]:
    """Yield the header and the rows of a table as text: blank for null, 0 and 1 for false and true.

    Of an archive, rows that were rejected when its parts were put together have that status.

    Args:
        path: a file, or the folder of an archive.

    Raises:
        UsageError: for an archive whose parts were not put together, or a file that is not there.
        DatasetError: for a file that is not Parquet.
    """
    files, rejected = [path], frozenset[int]()
    if path.is_dir():
        files, rejected = _parts(path)
    header: list[str] = []
    for file in files:
        for names, rows in _batches(file):
            if not header:
                header = names
                yield names
            if names != header:
                raise DatasetError(f"{file.name} must have the columns of the parts before it")
            yield from (_marked(row, names, rejected) for row in rows)


def _batches(file: Path) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    pa, pq = pyarrow()
    try:
        with pq.ParquetFile(file) as table:
            names = [name for name in table.schema_arrow.names if name != COMPLETE]
            yield names, iter(())
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=names):
                columns = [column.to_pylist() for column in batch.columns]
                yield names, (list(map(_text, row)) for row in zip(*columns, strict=True))
    except pa.ArrowInvalid:
        raise DatasetError(f"{file.name} must be Parquet; it is not, or is damaged") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error


def _parts(folder: Path) -> tuple[list[Path], frozenset[int]]:
    """Return the parts of an archive, and the ordinals that are rejected in all of it."""
    try:
        dataset = json.loads((folder / DATASET).read_bytes())
        missing, rejected = dataset["missing"], frozenset(map(int, dataset["conflicts"]))
    except (OSError, ValueError, KeyError, TypeError):
        missing, rejected = True, frozenset[int]()
    if missing:
        raise UsageError(
            f"an archive must be complete and put together; {folder} is not. "
            f"Run: hilum merge {folder}"
        )
    return sorted((folder / PARTS).glob("*.parquet")), rejected


def _marked(row: list[str], names: list[str], rejected: frozenset[int]) -> list[str]:
    if rejected and int(row[names.index("ordinal")]) in rejected:
        row[names.index("status")] = Status.REJECT.value
    return row


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case bytes():
            return value.decode("utf-8", "replace")
        case list():
            return ";".join(map(_text, value))
        case _:
            return str(value)


def table_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a table's bytes; of an archive, that of its `dataset.json`."""
    return file_sha256(path / DATASET if path.is_dir() else path)
