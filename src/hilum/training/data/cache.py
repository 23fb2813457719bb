"""Films of a dataset at a preset's size, on disk: read and resized once, mapped into memory after.

::

    CACHE/
      cache.json            the films in order, their files' sizes and times; sealed
      rasters-HASH.bin      (K, S, S) uint8, row after row
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hilum.domain.errors import BundleError, DatasetError, ReasonCode
from hilum.domain.record import Cohort, Split
from hilum.files.atomic import atomic_file
from hilum.files.lock import locked
from hilum.files.sealed import file_sha256, read_sealed, write_sealed
from hilum.imaging.preprocess import Fit, Preprocessing
from hilum.training.data.films import Advance, FilmFile, Films, Rasters, blocks, notes, on_disk

__all__ = ["CachedFilm", "FilmCache", "Index", "RasterRules", "films_of", "ready", "write"]

INDEX = "cache.json"
AGAIN = "Make it again with `hilum cache`"


class RasterRules(BaseModel):
    """The part of a preprocessing that decides the rasters; mean and deviation come after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    fit: Fit
    clahe_clip: float
    version: int

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> RasterRules:
        """The rules of a preprocessing."""
        return cls.model_validate(preprocessing.model_dump(include=set(cls.model_fields)))


class CachedFilm(NamedTuple):
    """A film's name, its file as it was when it was read, and why it was refused, if it was."""

    name: str
    bytes: int
    mtime_ns: int
    refused: ReasonCode | None


class Index(BaseModel):
    """cache.json: what the rasters are, row by row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    dataset: str
    records_sha256: str
    """Hash of the records of the cached cohort."""
    rules: RasterRules
    films: tuple[CachedFilm, ...]
    """All films that were on disk; those not refused are the rows, in this order."""
    rasters_sha256: str

    @property
    def rasters_name(self) -> str:
        """The rasters' file, named by its hash: an old index never meets new rasters."""
        return f"rasters-{self.rasters_sha256[:16]}.bin"

    @cached_property
    def rows(self) -> dict[str, int]:
        """Film name to its row, for the films not refused."""
        kept = (film.name for film in self.films if film.refused is None)
        return {name: row for row, name in enumerate(kept)}

    @property
    def refused(self) -> dict[str, ReasonCode]:
        """Film name to the reason, for the films that cannot be used."""
        return {film.name: film.refused for film in self.films if film.refused is not None}


@dataclass(frozen=True, eq=False)
class FilmCache:
    """A whole cache, found to be as it was written.

    Attributes:
        folder: where it lies.
        index: what it holds.
        rasters: (K, S, S) uint8, a memory map.
    """

    folder: Path
    index: Index
    rasters: NDArray[np.uint8]

    @property
    def sha256(self) -> str:
        """Hash of the rasters."""
        return self.index.rasters_sha256

    @staticmethod
    def open(folder: Path) -> FilmCache:
        """Open a cache; all of it is read once, to compare its hash.

        Raises:
            BundleError: when there is none, or one that is damaged, edited or foreign.
        """
        index = read_sealed(Index, folder / INDEX)
        path, side = folder / index.rasters_name, index.rules.size
        shape = (len(index.rows), side, side)
        try:
            complete = path.stat().st_size == math.prod(shape)
            complete = complete and file_sha256(path) == index.rasters_sha256
        except OSError as error:
            raise BundleError(
                f"a film cache must have its rasters; {path}: {error.strerror}. {AGAIN}"
            ) from None
        if not complete:
            raise BundleError(f"a film cache must be as it was written; {path} is damaged. {AGAIN}")
        return FilmCache(folder, index, np.asarray(np.memmap(path, np.uint8, "r", shape=shape)))

    def fault(self, cohort: Cohort, preprocessing: Preprocessing) -> str | None:
        """Why the cohort's films cannot come from here, in one line; None where they can.

        Args:
            cohort: all or some of the records that were cached.
            preprocessing: of the network they are for.
        """
        for what, wanted, has in (
            ("dataset", cohort.dataset, self.index.dataset),
            *_differences(RasterRules.of(preprocessing), self.index.rules),
        ):
            if wanted != has:
                return f"the film cache must have {what} {wanted}; {self.folder} has {has}"
        known = {film.name: film for film in self.index.films}
        for file in on_disk(cohort):
            film = known.get(file.name)
            if film is None:
                return f"the film cache must have every film; {self.folder} has no {file.name}"
            if (film.bytes, film.mtime_ns) != (file.bytes, file.mtime_ns):
                return f"cached films must stay as they were; {file.path} changed since"
        return None

    def films(self, cohort: Cohort, preprocessing: Preprocessing) -> tuple[Films, tuple[str, ...]]:
        """The usable films of a cohort, in its order, and notes on the others.

        Args:
            cohort: all or some of the records that were cached, such as a split.
            preprocessing: of the network they are for.

        Raises:
            DatasetError: when the cache was made by other rules, or a film is missing here or has
                changed on disk since; the first is named.
        """
        fault = self.fault(cohort, preprocessing)
        if fault is not None:
            raise DatasetError(f"{fault}. {AGAIN}")
        files, codes = on_disk(cohort), self.index.refused
        kept = [file for file in files if file.name not in codes]
        rows = np.array([self.index.rows[file.name] for file in kept], np.intp)
        refused = {file.name: codes[file.name] for file in files if file.name in codes}
        return _films(cohort, kept, Rasters(self.rasters, rows)), notes(cohort, files, refused)


def write(
    cohort: Cohort, preprocessing: Preprocessing, folder: Path, threads: int, advance: Advance
) -> FilmCache:
    """Read a cohort's films and write them as a cache; what was cached there is replaced.

    A few hundred films are in memory at a time. The index is put in its place last and at once, so
    that a killed write leaves the folder with the cache it had, or with none.

    Args:
        cohort: all records that any split may want; those without a film on disk are left out.
        preprocessing: of the network they are for.
        folder: where to; made if need be.
        threads: films read at a time.
        advance: called after each film.

    Returns:
        The cache, opened anew.

    Raises:
        DatasetError: when no film can be read.
    """
    with locked(folder, wait=True):
        return _write(cohort, preprocessing, folder, threads, advance)


def ready(
    cohort: Cohort, preprocessing: Preprocessing, folder: Path, threads: int, advance: Advance
) -> FilmCache:
    """The folder's cache where it fits the cohort, else a new one: first use writes it.

    Of several processes that call this at once, one writes and the others wait for it.

    Args:
        cohort: the records of all splits of the run.
        preprocessing: of the network they are for.
        folder: of the cache.
        threads: films read at a time.
        advance: called after each film that is read.

    Raises:
        DatasetError: when no film can be read.
    """
    found = _fitting(cohort, preprocessing, folder)
    if found is not None:
        return found
    with locked(folder, wait=True):
        found = _fitting(cohort, preprocessing, folder)
        if found is not None:
            return found
        return _write(cohort, preprocessing, folder, threads, advance)


def films_of(
    cohort: Cohort,
    split: Split,
    preprocessing: Preprocessing,
    cached: FilmCache | None,
    threads: int,
    advance: Advance,
) -> tuple[Films, tuple[str, ...]]:
    """The usable films of a split, from a cache or read into memory, and notes on the others.

    Args:
        cohort: the records of the split.
        split: its name, for the notes.
        preprocessing: of the network they are for.
        cached: where they lie; None reads their files.
        threads: films read at a time.
        advance: called after each film that is read.

    Raises:
        DatasetError: when no film can be used, or the cache does not fit.
    """
    if cached is None:
        films, notes = _read(cohort, preprocessing, threads, (f"reading {split}", advance))
    else:
        films, notes = cached.films(cohort, preprocessing)
    if not len(films):
        raise DatasetError(
            f"the {split} split needs readable films; {cohort.dataset} has {len(cohort)} rows "
            f"there and {len(on_disk(cohort))} films on disk, none readable"
        )
    return films, tuple(f"{split}: {note}" for note in notes)


def _differences(wanted: RasterRules, has: RasterRules) -> list[tuple[str, object, object]]:
    return [(name, getattr(wanted, name), getattr(has, name)) for name in RasterRules.model_fields]


def _films(cohort: Cohort, kept: Sequence[FilmFile], rasters: NDArray[np.uint8] | Rasters) -> Films:
    states = cohort.states()[[file.record for file in kept]]
    return Films(tuple(file.name for file in kept), rasters, states)


def _read(
    cohort: Cohort, preprocessing: Preprocessing, threads: int, step: tuple[str, Advance]
) -> tuple[Films, tuple[str, ...]]:
    files = on_disk(cohort)
    rasters = np.empty((len(files), preprocessing.size, preprocessing.size), np.uint8)
    kept: list[FilmFile] = []
    refused: dict[str, ReasonCode] = {}
    for block, stack in blocks(files, preprocessing, threads, step):
        rasters[len(kept) : len(kept) + len(stack.kept)] = stack.rasters
        kept += [block[position] for position in stack.kept]
        refused |= {block[position].name: error.code for position, error in stack.refused.items()}
    return _films(cohort, kept, rasters[: len(kept)]), notes(cohort, files, refused)


def _fitting(cohort: Cohort, preprocessing: Preprocessing, folder: Path) -> FilmCache | None:
    try:
        found = FilmCache.open(folder)
    except BundleError:  # none, or one to be replaced
        return None
    return found if found.fault(cohort, preprocessing) is None else None


def _write(
    cohort: Cohort, preprocessing: Preprocessing, folder: Path, threads: int, advance: Advance
) -> FilmCache:
    films: list[CachedFilm] = []
    total = hashlib.sha256()
    step = ("caching films", advance)
    new = folder / "rasters.bin"
    with atomic_file(new) as unfinished, unfinished.open("wb") as file:
        for block, stack in blocks(on_disk(cohort), preprocessing, threads, step):
            pixels = stack.rasters.tobytes()
            total.update(pixels)
            file.write(pixels)
            for place, film in enumerate(block):
                fault = stack.refused.get(place)
                code = fault.code if fault else None
                films.append(CachedFilm(film.name, film.bytes, film.mtime_ns, code))
        if all(film.refused for film in films):
            raise DatasetError(
                f"a film cache needs readable films; {cohort.dataset} has {len(cohort)} rows and "
                f"{len(films)} films on disk, none readable"
            )
    index = Index(
        dataset=cohort.dataset,
        records_sha256=cohort.sha256(),
        rules=RasterRules.of(preprocessing),
        films=tuple(films),
        rasters_sha256=total.hexdigest(),
    )
    new.replace(folder / index.rasters_name)
    with atomic_file(folder / INDEX) as unfinished:
        write_sealed(index, unfinished)
    for other in folder.glob("rasters-*.bin"):
        if other.name != index.rasters_name:
            other.unlink()
    return FilmCache.open(folder)
