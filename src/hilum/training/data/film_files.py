"""The films of a cohort as files: which are there, and their pixels, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.domain.errors import ReasonCode
from hilum.domain.record import Cohort
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.stack import Stack, read_stacks

__all__ = ["Advance", "FilmFile", "blocks", "notes", "on_disk"]

Advance = Callable[[str, int, int], None]
"""Called with (what, done, total) for a progress bar."""

BLOCK = 256
"""Films in memory at a time."""


@dataclass(frozen=True)
class FilmFile:
    """A film's file as it is now.

    Attributes:
        record: the film's place in its cohort.
        name: the film's name in the dataset.
        path: of the file.
        bytes, mtime_ns: its size and time of change: what tells an exchanged file.
    """

    record: int
    name: str
    path: Path
    bytes: int
    mtime_ns: int


def on_disk(cohort: Cohort) -> list[FilmFile]:
    """The films that have a file, in the cohort's order; a file that vanished is no film."""
    found: list[FilmFile] = []
    for number, record in enumerate(cohort.records):
        if record.path is None:
            continue
        try:
            status = record.path.stat()
        except OSError:
            continue
        found.append(
            FilmFile(number, record.image_id, record.path, status.st_size, status.st_mtime_ns)
        )
    return found


def blocks(
    files: Sequence[FilmFile],
    preprocessing: Preprocessing,
    threads: int,
    progress: tuple[str, Advance],
) -> Iterator[tuple[Sequence[FilmFile], Stack]]:
    """Read the films a block at a time, exactly as serving reads them.

    Args:
        files: the films.
        preprocessing: of the network they are for.
        threads: films read at a time.
        progress: what is being done, and the callback after each film.
    """
    what, advance = progress

    def step(done: int, total: int) -> None:
        advance(what, done, total)

    paths = [file.path for file in files]
    for number, stack in enumerate(read_stacks(paths, preprocessing, BLOCK, threads, step)):
        yield files[number * BLOCK : (number + 1) * BLOCK], stack


def notes(
    cohort: Cohort, files: Sequence[FilmFile], refused: Mapping[str, ReasonCode]
) -> tuple[str, ...]:
    """What the user should know of the films that are left out, a line each.

    Args:
        cohort: all rows.
        files: those with a film on disk.
        refused: film name to the reason, for those that cannot be used.
    """
    lines: list[str] = []
    if len(files) < len(cohort):
        lines.append(f"{len(cohort) - len(files)} rows have no film on disk; left out")
    if refused:
        name, code = next(iter(refused.items()))
        lines.append(f"{len(refused)} films could not be used, first {name}: {code}")
    return tuple(lines)
