"""The plan of an archive: all films in one Parquet file, by name, and chunks of them by number.

A row has an ordinal, the input as it was listed, the film's name in results, the stem of its
pictures, and size and state on disk when it was listed. Names are bytes, as files are called:
UTF-8 wherever the names are. The file's metadata holds `hilum_plan`, a `PlanFacts` as JSON.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.batch.archive.listing import PlannedFilm, arranged, decoded, encoded
from hilum.batch.inputs import Listed, each_film, nothing_listed
from hilum.batch.walk import PassedOver
from hilum.domain.documents import Document
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.files.atomic import atomic_file
from hilum.files.parquet import pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FILMS_A_CHUNK", "PLAN", "Plan", "PlanFacts", "is_plan", "write_plan"]

PLAN = "plan.parquet"
FILMS_A_CHUNK = 256
_KEY = b"hilum_plan"
_ROWS_A_GROUP = 1 << 14
"""Rows that are in memory at a time when a plan is written or read."""


class PlanFacts(Document):
    """What a plan says of itself."""

    schema_version: int = 1
    films: int
    absent: int
    """Films whose file was not there when they were listed."""
    size: int
    """Bytes of all films that were there."""
    chunk: int
    """Films in a chunk; the last has fewer."""
    sha256: str
    """Identity of the plan: hash of its rows and of the films in a chunk."""
    folder: str
    """Folder that inputs which are not absolute are meant from."""

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.films // self.chunk)


def write_plan(
    named: Sequence[str],
    path: Path,
    chunk: int = FILMS_A_CHUNK,
    passed: PassedOver | None = None,
    advance: Callable[[int], None] | None = None,
    follow_links: bool = False,
) -> PlanFacts:
    """List films by files, folders, globs and lists, each once by path, and write the plan of them.

    Memory does not depend on the number of films: they are sorted in a file beside the plan.

    Args:
        named: inputs, as `list_films` has them.
        path: the plan.
        chunk: films in a chunk.
        passed: where what gets no row is counted.
        advance: called with the number of films found so far.
        follow_links: whether links found in folders may lead out of them.

    Raises:
        UsageError: when a name matches nothing, a list has no column of films, or there is none.
    """
    if not 1 <= chunk <= 1 << 20:
        raise UsageError(f"a chunk must have 1 to 1,048,576 films; got {chunk}")
    passed = passed or PassedOver()
    films = _counted(each_film(named, follow_links, passed), advance)
    with atomic_file(path) as unfinished:
        work = unfinished.with_name(f"{unfinished.name}.db")
        work.unlink(missing_ok=True)
        try:
            facts = _write(arranged(films, work), unfinished, chunk)
            if not facts.films:
                raise nothing_listed(named, passed)
        finally:
            work.unlink(missing_ok=True)
    return facts


def _counted(films: Iterator[Listed], advance: Callable[[int], None] | None) -> Iterator[Listed]:
    for number, film in enumerate(films, start=1):
        if advance is not None and number % 1000 == 0:
            advance(number)
        yield film


def _write(films: Iterator[PlannedFilm], path: Path, chunk: int) -> PlanFacts:
    pa, pq = pyarrow()
    schema = pa.schema(
        [
            *(("ordinal", pa.int64()), ("input", pa.binary()), ("image_id", pa.binary())),
            *(("stem", pa.string()), ("size", pa.int64()), ("etag", pa.string())),
            *(("status", pa.string()), ("code", pa.string()), ("message", pa.string())),
        ]
    )
    total, count, absent, size = hashlib.sha256(f"hilum plan {chunk}\n".encode()), 0, 0, 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(films, _ROWS_A_GROUP)):
            rows = [_row(count + at, film) for at, film in enumerate(group)]
            for row in rows:
                total.update(repr(row).encode())
            writer.write_table(pa.table(list(map(list, zip(*rows, strict=True))), schema=schema))
            count += len(group)
            absent += sum(film.size is None for film in group)
            size += sum(film.size or 0 for film in group)
        facts = PlanFacts(
            films=count,
            absent=absent,
            size=size,
            chunk=chunk,
            sha256=total.hexdigest(),
            folder=str(Path.cwd()),
        )
        writer.add_key_value_metadata({_KEY: json.dumps(facts.model_dump()).encode()})
    return facts


def _row(ordinal: int, film: PlannedFilm) -> tuple[object, ...]:
    refusal = film.refusal
    names = (encoded(film.name), encoded(film.image_id), film.stem)
    if refusal is None:
        return (ordinal, *names, film.size, film.etag or None, None, None, None)
    return (ordinal, *names, None, None, refusal.status.value, refusal.code.value, refusal.message)


def is_plan(path: Path) -> bool:
    """Return whether a file is a plan of hilum."""
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return Plan(path).facts.films >= 0
    except UsageError:
        return False


class Plan:
    """A plan on disk; films are read as they are requested, by several threads at once.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # a reader of pyarrow is not one for several threads: "ReadRangeCache did not find …"
        self._reading = threading.Lock()

    @cached_property
    def _file(self) -> Any:
        pa, pq = pyarrow()
        try:
            return pq.ParquetFile(self.path)
        except (OSError, pa.ArrowInvalid):
            raise self._foreign() from None

    @cached_property
    def facts(self) -> PlanFacts:
        """What the plan says of itself.

        Raises:
            UsageError: for a file that is not a plan.
        """
        try:
            return PlanFacts.model_validate_json((self._file.metadata.metadata or {})[_KEY])
        except (KeyError, ValueError):
            raise self._foreign() from None

    def _foreign(self) -> UsageError:
        return UsageError(
            f"a plan must be a file of `hilum plan`; {self.path} is not, or is damaged. "
            "Make it again"
        )

    def films(self, chunk: int) -> list[PlannedFilm]:
        """Return the films of a chunk, in their order.

        Args:
            chunk: its number, from 0.
        """
        first = chunk * self.facts.chunk
        end = min(first + self.facts.chunk, self.facts.films)
        found: list[PlannedFilm] = []
        for group in range(first // _ROWS_A_GROUP, -(-end // _ROWS_A_GROUP)):
            start = group * _ROWS_A_GROUP
            with self._reading:
                table: pa.Table = self._file.read_row_group(group)
            at = max(first - start, 0)
            found += map(_film, table.slice(at, min(end - start, len(table)) - at).to_pylist())
        return found

    def ordinals(self, chunk: int) -> range:
        """Return the ordinals of a chunk."""
        first = chunk * self.facts.chunk
        return range(first, min(first + self.facts.chunk, self.facts.films))


def _film(row: dict[str, Any]) -> PlannedFilm:
    refusal = None
    if row["status"]:
        refusal = FilmError(Status(row["status"]), ReasonCode(row["code"]), row["message"])
    return PlannedFilm(
        decoded(row["input"]),
        refusal,
        decoded(row["image_id"]),
        row["stem"],
        row["size"],
        row["etag"] or "",
    )
