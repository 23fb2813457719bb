"""The films on disk: which are here, which can be read, and what they look like."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.inspection import Unreadable
from hilum.domain.errors import FilmError, ReasonCode
from hilum.domain.record import Cohort, Record
from hilum.files.films import counts_as_film
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.inspection.fingerprint import fingerprint, has_contrast
from hilum.reading.pool import ReaderPool
from hilum.reading.requests import FilmThumbnail, thumbnail_request

__all__ = [
    "FilmPrint",
    "FilmPrints",
    "films_without_row",
    "look_at",
    "sample",
    "thumbnail_pool",
]

_READERS = 2

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class FilmPrint:
    """Data kept of one film that was read.

    Attributes:
        record: whose film it is.
        path: where it lies.
        sha256: of the file's bytes.
        hashes: (3, 4) uint64, see `fingerprint`; None for a film without contrast.
        remarks: reason codes that were met while reading.
    """

    record: Record
    path: Path
    sha256: str
    hashes: NDArray[np.uint64] | None
    remarks: tuple[ReasonCode, ...]


@dataclass(frozen=True)
class FilmPrints:
    """All films that were to be read.

    Attributes:
        read: those that could be, in the cohort's order.
        unreadable: those that could not, and why.
    """

    read: tuple[FilmPrint, ...]
    unreadable: tuple[Unreadable, ...]

    def remarks(self) -> dict[str, int]:
        """Reason code to films that were read with it."""
        return _sorted_counts(code.value for look in self.read for code in look.remarks)

    def reasons(self) -> dict[str, int]:
        """Reason code to films that could not be read."""
        return _sorted_counts(film.code for film in self.unreadable)


def films_without_row(cohort: Cohort, root: Path) -> list[Path]:
    """Image files that no record names, in the folders of the dataset that hold named ones.

    Folders that differ by a number only, such as `images_001` and `images_002`, are the dataset's
    alike. Other folders beside them are not: results, masks, a test set without labels.

    Args:
        cohort: the whole dataset, before anything was left out of it.
        root: its folder.

    Returns:
        Paths relative to the folder, sorted.
    """
    known = {record.path for record in cohort.records if record.path is not None}
    inside = [path.relative_to(root).parts for path in known if path.is_relative_to(root)]
    tops = {_unnumbered(parts[0]) for parts in inside if len(parts) > 1}
    loose = any(len(parts) == 1 for parts in inside)
    beside = list(root.iterdir())
    here = [path for path in beside if loose and counts_as_film(path)]
    for top in beside:
        here += _images_below(top) if _unnumbered(top.name) in tops else []
    return sorted(path.relative_to(root) for path in here if path not in known)


def sample(records: Sequence[Record], count: int | None, seed: int) -> list[Record]:
    """Return that many of the records, drawn by the seed, in their order; all for None."""
    if count is None or count >= len(records):
        return list(records)
    drawn = np.random.default_rng(seed).choice(len(records), size=count, replace=False)
    return [records[at] for at in np.sort(drawn)]


def thumbnail_pool(films: int) -> ReaderPool:
    """Return confined processes that read films for inspection: at most two.

    Args:
        films: how many films there are to read.
    """
    return ReaderPool(Preprocessing(), GateRules.labeled(), films, _READERS)


def look_at(
    records: Sequence[Record], pool: ReaderPool, advance: Advance | None = None
) -> FilmPrints:
    """Read films and keep what is needed to find copies among them.

    Args:
        records: those with a path.
        pool: confined processes that read the films.
        advance: called with (done, total).
    """
    paths = [_path(record) for record in records]
    found: list[FilmPrint | Unreadable] = []
    for record, result in zip(records, pool.results(paths, thumbnail_request), strict=True):
        found.append(_print(record, result))
        if advance is not None:
            advance(len(found), len(records))
    return FilmPrints(
        read=tuple(film for film in found if isinstance(film, FilmPrint)),
        unreadable=tuple(film for film in found if isinstance(film, Unreadable)),
    )


def _path(record: Record) -> Path:
    if record.path is None:
        raise ValueError(f"only films that are here can be read; {record.image_id} is not")
    return record.path


def _print(record: Record, result: FilmThumbnail | FilmError) -> FilmPrint | Unreadable:
    if isinstance(result, FilmError):
        return Unreadable(image_id=record.image_id, code=result.code.value, message=result.message)
    pixels = result.pixels
    hashes = fingerprint(pixels) if has_contrast(pixels) else None
    return FilmPrint(record, _path(record), result.sha256, hashes, result.codes)


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "", name)


def _images_below(top: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(top):
        yield from filter(counts_as_film, (Path(folder, name) for name in names))


def _sorted_counts(words: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
