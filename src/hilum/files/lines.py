"""The lines of a table that somebody else wrote: UTF-8, plain or gzipped, none of any length."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hilum.domain.errors import DatasetError, UsageError

__all__ = ["LONGEST", "text_lines"]

LONGEST = 1 << 20
"""Characters a line may have: more is no table, and would fill the memory."""


@contextmanager
def text_lines(path: Path, errors: str = "strict") -> Generator[Iterator[str]]:
    """Open a table and give its lines, one at a time; a byte order mark is passed over.

    Args:
        path: plain, or gzipped where its name ends in `.gz`.
        errors: what to do with bytes that are not UTF-8, as `open` has it.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for bytes that are not UTF-8, a damaged archive, or a line that is too long.
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors=errors, newline="") as file:
            yield _lines(path, file)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DatasetError(
            f"{path.name} must be UTF-8; it has the byte 0x{byte:02x}. Save it as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path.name} must be a whole archive: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _lines(path: Path, file: IO[str]) -> Iterator[str]:
    while line := file.readline(LONGEST):
        if len(line) == LONGEST:
            raise DatasetError(
                f"{path.name} must have lines below {LONGEST:,} characters; one is longer. "
                "Is it a table?"
            )
        yield line
