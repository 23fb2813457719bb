"""Tables and lists that somebody else wrote: one reader of their bytes, lines and separators.

A table of numbers must be UTF-8 with commas or tabs: elsewhere a comma may be a decimal mark. A
list of names holds no numbers, and may also be UTF-16 or have semicolons.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from hilum.domain.errors import DatasetError, UsageError

__all__ = [
    "LONGEST",
    "NameList",
    "TableRows",
    "fold",
    "is_wide",
    "open_names",
    "read_names",
    "text_lines",
    "whole_number",
]

LONGEST = 1 << 20
"""Characters a line may have: more is no table, and would fill the memory."""

_TABLE, _LIST = (",", "\t"), (",", "\t", ";")
"""What may separate the columns of a table, and of a list, in order of preference."""
_DECLARED = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_SAVED = re.compile(r"(-?\d+)\.0*")
_PROBE = 64
"""First bytes that tell UTF-16 without a byte order mark."""


@contextmanager
def text_lines(path: Path, errors: str = "strict", wide: bool = False) -> Generator[Iterator[str]]:
    """Open a table and give its lines, one at a time; a byte order mark is passed over.

    Args:
        path: plain, or gzipped where its name ends in `.gz`.
        errors: what to do with bytes that cannot be decoded, as `open` has it.
        wide: take UTF-16 too.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for bytes that are not text, a damaged archive, or a line that is too long.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        encoding = (wide and _wide_encoding(path)) or "utf-8-sig"
        opener = gzip.open if packed else open
        with opener(path, "rt", encoding=encoding, errors=errors, newline="") as file:
            yield _lines(path, cast("IO[str]", file))
    except UnicodeDecodeError as error:
        byte = error.object[min(error.start, len(error.object) - 1)]
        raise DatasetError(
            f"{path.name} must be UTF-8; it has the byte 0x{byte:02x}. Save it as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path.name} must be a whole archive: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _opened(path: Path, packed: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


def is_wide(path: Path) -> bool:
    """Return whether a file is text in UTF-16, as Excel's "Unicode text" is.

    It is known by its byte order mark, or by a zero in every second byte.

    Raises:
        OSError: when it cannot be read, or is a damaged archive.
    """
    return bool(_wide_encoding(path))


def _wide_encoding(path: Path) -> str:
    with _opened(path, path.suffix.lower() == ".gz") as probe:
        head = probe.read(_PROBE)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[::2], head[1::2]
    if len(head) >= 4 and not any(odd) and all(even):
        return "utf-16-le"
    if len(head) >= 4 and not any(even) and all(odd):
        return "utf-16-be"
    return ""


def _lines(path: Path, file: IO[str]) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise DatasetError(
                f"{path.name} must have lines below {LONGEST:,} characters; one is longer. "
                "Is it a table?"
            )
        if "\0" in line and is_wide(path):
            raise DatasetError(f"{path.name} must be UTF-8; it is UTF-16. Save it as CSV UTF-8")
        if "\0" in line:
            raise DatasetError(
                f"{path.name} line {number} must be text; it has a zero byte, as a full disk or a "
                "crash leaves. Remove the line, or write the file again"
            )
        yield line


class TableRows:
    r"""The rows of a table of text, whatever separates its columns.

    A first line `sep=;`, as Excel has it, names the separator and is passed over. Else the header
    tells: commas, unless there are more tabs in it, or in a list more semicolons. Cells are not
    stripped.

    Args:
        lines: of the table, such as those of `text_lines`.
        names: the table is a list of names, which semicolons may separate too.

    Attributes:
        separator: between the columns.

    Raises:
        csv.Error: while reading, for text that is not CSV.

    >>> rows = TableRows(iter(["sep=;\n", "path;view\n", "a.png;PA\n"]), names=True)
    >>> rows.separator, list(rows), rows.line
    (';', [['path', 'view'], ['a.png', 'PA']], 3)
    """

    def __init__(self, lines: Iterator[str], names: bool = False) -> None:
        allowed = _LIST if names else _TABLE
        blank, first = _to_first_text(lines)
        declared = _DECLARED.fullmatch(first)
        self._above = 0
        if declared:
            self.separator = declared[1] if declared[1] in allowed else ","
            self._above = len(blank) + 1
            rest = lines
        else:
            bare = _QUOTED.sub("", first)
            self.separator = max(allowed, key=bare.count)  # the first of equals: commas
            rest = chain(blank, [first] if first else [], lines)
        self._reader = csv.reader(rest, delimiter=self.separator, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        return iter(self._reader)

    @property
    def line(self) -> int:
        """Number of the last line that was read, from 1."""
        return self._reader.line_num + self._above


def _to_first_text(lines: Iterator[str]) -> tuple[list[str], str]:
    blank: list[str] = []
    for line in lines:
        if line.strip():
            return blank, line
        blank.append(line)
    return blank, ""


def fold(name: str) -> str:
    """Return the name of a column without what people vary: case, blanks, punctuation.

    >>> fold("Image Index"), fold("IMAGE_ID"), fold(" View-Position ")
    ('imageindex', 'imageid', 'viewposition')
    """
    return "".join(filter(str.isalnum, name.casefold()))


def whole_number(text: str) -> str:
    """Return a number of a table as it was before it was saved as a decimal; else the text.

    >>> whole_number("10000032.0"), whole_number("012"), whole_number("1.5")
    ('10000032', '012', '1.5')
    """
    match = _SAVED.fullmatch(text)
    return text if match is None else match[1]


class NameList(NamedTuple):
    """A list of names that somebody wrote.

    Attributes:
        column: the column that held them, as it is spelled there; empty for one name a line.
        names: line number and name, without blanks around it.
        beside: the cell of a second column in each of these lines; empty where there is none.
    """

    column: str
    names: list[tuple[int, str]]
    beside: list[str]


def read_names(path: Path, columns: Sequence[str], beside: Sequence[str] = ()) -> NameList:
    """Read a list of names: one a line, or a column of a table.

    The first of the columns that the first row has, in any case, holds the names. Where it has
    none, each line is one name, blanks in it too, so that `chest film 1.png` is one film.
    Blank lines are passed over.

    Args:
        path: of the list.
        columns: names of the column, in order of preference.
        beside: names of a second column, such as the patient's, in order of preference.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for a file that is not text.
    """
    with open_names(path, columns, beside) as (column, rows):
        cells = list(rows)
    return NameList(column, [(line, name) for line, name, _ in cells], [b for _, _, b in cells])


@contextmanager
def open_names(
    path: Path, columns: Sequence[str], beside: Sequence[str] = ()
) -> Generator[tuple[str, Iterator[tuple[int, str, str]]]]:
    """Open a list of names as `read_names` has it, and give its names one at a time.

    Yields:
        The column, and line number, name and second cell of each name.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for a file that is not text, also while the names are read.
    """
    with text_lines(path, wide=True) as lines:
        rows = TableRows(lines, names=True)
        with _as_table(path, rows):
            header = next((row for row in rows if any(map(str.strip, row))), [])
        at, second = _place(header, columns), _place(header, beside)
        if at is not None:
            yield header[at].strip(), _cells(path, rows, at, second)
            return
    with text_lines(path, wide=True) as lines:
        words = ((at, line.strip().strip('"').strip()) for at, line in enumerate(lines, start=1))
        yield "", ((line, name, "") for line, name in words if name)


def _cells(
    path: Path, rows: TableRows, at: int, second: int | None
) -> Iterator[tuple[int, str, str]]:
    with _as_table(path, rows):
        for row in rows:
            if name := _cell(row, at):
                yield rows.line, name, _cell(row, second)


@contextmanager
def _as_table(path: Path, rows: TableRows) -> Generator[None]:
    try:
        yield
    except csv.Error as error:
        raise DatasetError(f"{path.name} line {rows.line} is not CSV: {error}") from None


def _place(header: Sequence[str], columns: Sequence[str]) -> int | None:
    """Return the place of the first of some columns that a header has."""
    folded = [fold(cell) for cell in header]
    return next((folded.index(word) for word in map(fold, columns) if word in folded), None)


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""
