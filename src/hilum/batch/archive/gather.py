"""The parts of an archive together: every film once, of one plan and bundle, and the reports."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hilum.batch.archive.order import Identity
from hilum.batch.archive.part import Part, finished_chunks, part_path
from hilum.batch.archive.plan import PLAN, Plan
from hilum.batch.archive.run import read_identity
from hilum.batch.journal import Entry
from hilum.batch.score import reject_conflict
from hilum.domain.documents import Document
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import UsageError
from hilum.files.atomic import write_atomic
from hilum.files.parquet import DATASET

__all__ = ["ArchiveResults", "Dataset", "Gathered", "gather", "write_dataset"]

_NAMED = 20
"""Ranges of missing chunks that a message names."""


class Dataset(Document):
    """What the parts of an archive are together."""

    schema_version: int = 1
    identity: Identity
    films: int
    """Rows that are there."""
    planned: int
    """Rows of the plan."""
    parts: int
    missing: tuple[tuple[int, int], ...] = ()
    """First and last chunk of each range without a part; empty for a complete archive."""
    statuses: dict[str, int]
    codes: dict[str, int]
    positives: dict[str, int]
    """Finding to films that are positive."""
    conflicts: tuple[int, ...] = ()
    """Ordinals of films that claim the DICOM identity of an earlier one with other pixels: they are
    rejected in the reports, and counted so above."""
    sha256: str
    """Hash of the hashes of all parts, in their order."""

    @property
    def complete(self) -> bool:
        """Whether every chunk has a part."""
        return not self.missing


@dataclass(frozen=True)
class Gathered:
    """An archive whose parts were checked.

    Attributes:
        dataset: counts and hashes.
        results: the results, in the order of the plan.
    """

    dataset: Dataset
    results: ArchiveResults


class ArchiveResults(Collection[ImageResult]):
    """The results of an archive's parts, read from them each time they are requested.

    Args:
        place: folder of the archive.
        chunks: those with a part, in order.
        films: rows of these.
        conflicts: input to the film that keeps the DICOM identity it claims.
    """

    def __init__(
        self, place: Path, chunks: Sequence[int], films: int, conflicts: dict[str, str]
    ) -> None:
        self._place = place
        self._chunks = chunks
        self._films = films
        self._conflicts = conflicts

    def __len__(self) -> int:
        return self._films

    def __contains__(self, result: object) -> bool:
        return any(result == mine for mine in self)

    def __iter__(self) -> Iterator[ImageResult]:
        for chunk in self._chunks:
            for entry in Part(part_path(self._place, chunk)).entries():
                first = self._conflicts.get(entry.result.input)
                yield entry.result if first is None else reject_conflict(entry.result, first)


def gather(place: Path, partial: bool = False) -> Gathered:
    """Check the parts of an archive and count their results. Memory grows with conflicts alone.

    Args:
        place: folder of the archive.
        partial: take an archive whose chunks are not all there.

    Raises:
        UsageError: for a chunk without a part, unless `partial`; for a part of another plan,
            bundle or chunk, or one that somebody edited.
    """
    identity = read_identity(place)
    plan = Plan(place / PLAN)
    if plan.facts.sha256 != identity.plan:
        raise UsageError(
            f"parts must be of the plan beside them; {place / PLAN} is another. Put back the plan "
            "that was scored"
        )
    there = finished_chunks(place)
    chunks = [chunk for chunk in range(plan.facts.chunks) if chunk in there]
    if odd := sorted(there.difference(chunks)):
        raise UsageError(
            f"parts must be of chunks of the plan, 0 to {plan.facts.chunks - 1}; "
            f"{part_path(place, odd[0])} is not. Remove it"
        )
    missing = _ranges(sorted(set(range(plan.facts.chunks)).difference(there)))
    if missing and not partial:
        raise UsageError(
            f"every chunk must have a part; {place} lacks {_named(missing)} of "
            f"{plan.facts.chunks:,}. Run the same `hilum predict` again, or take what is there "
            "with --partial"
        )
    with TemporaryDirectory(dir=place, prefix=".gather-") as work:
        dataset, conflicts = _read(place, plan, identity, chunks, Path(work) / "objects.db")
    dataset = dataset.model_copy(update={"missing": tuple(missing)})
    return Gathered(dataset, ArchiveResults(place, chunks, dataset.films, conflicts))


def write_dataset(place: Path, dataset: Dataset) -> None:
    """Write `dataset.json`."""
    text = dataset.model_dump_json(indent=1) + "\n"
    write_atomic(place / DATASET, text.encode(), durable=True)


def _read(
    place: Path, plan: Plan, identity: Identity, chunks: Sequence[int], work: Path
) -> tuple[Dataset, dict[str, str]]:
    """Return the counts of all parts, from one look at each, and the conflicts between them."""
    total, counts = hashlib.sha256(), _Counts()
    with closing(sqlite3.connect(work, isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode=OFF")
        store.execute("PRAGMA synchronous=OFF")
        store.execute(
            "CREATE TABLE object (uid TEXT, ordinal INTEGER, pixels TEXT, scored INTEGER)"
        )
        for chunk in chunks:
            part = Part(part_path(place, chunk))
            ordinals = plan.ordinals(chunk)
            facts = part.facts
            if (facts.identity, facts.chunk) != (identity, chunk) or (
                range(facts.first, facts.first + facts.rows) != ordinals
            ):
                raise UsageError(
                    f"all parts must be of one plan, bundle, code and options; {part.path} is of "
                    "others. Remove it, and run the same `hilum predict` again"
                )
            total.update(part.check().encode())
            objects = [
                (entry.sop_instance_uid, ordinal, entry.pixels_sha256, entry.result.status.scored)
                for ordinal, entry in zip(ordinals, counts.added(part.entries()), strict=True)
                if entry.sop_instance_uid
            ]
            store.executemany("INSERT INTO object VALUES (?, ?, ?, ?)", objects)
        conflicts = _conflicts(store, plan, place)
    for one in conflicts:
        counts.reject(one.result)
    dataset = Dataset(
        identity=identity,
        films=counts.films,
        planned=plan.facts.films,
        parts=len(chunks),
        statuses=dict(sorted(counts.statuses.items())),
        codes=dict(sorted(counts.codes.items())),
        positives={name: counts.positives[name] for name in identity.findings},
        conflicts=tuple(sorted(one.ordinal for one in conflicts)),
        sha256=total.hexdigest(),
    )
    return dataset, {one.result.input: one.first for one in conflicts}


class _Counts:
    """Counts of the results of an archive."""

    def __init__(self) -> None:
        self.films = 0
        self.statuses: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.positives: Counter[str] = Counter()

    def added(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Count results as they pass."""
        for entry in entries:
            self._add(entry.result, 1)
            yield entry

    def reject(self, result: ImageResult) -> None:
        """Count a result as one that is rejected for its identity."""
        self._add(result, -1)
        self._add(reject_conflict(result, ""), 1)

    def _add(self, result: ImageResult, times: int) -> None:
        self.films += times
        self.statuses[result.status.value] += times
        for code in result.codes:
            self.codes[code.value] += times
        for name in result.positives:
            self.positives[name] += times


class _Conflict(NamedTuple):
    """A film that claims the identity of another, which keeps it."""

    ordinal: int
    result: ImageResult
    first: str


def _conflicts(store: sqlite3.Connection, plan: Plan, place: Path) -> list[_Conflict]:
    """Return the films that claim the identity of others.

    The first by name that was scored keeps it, as in a batch on one machine.
    """
    found: list[_Conflict] = []
    keeper: tuple[str, str, int] | None = None
    query = (
        "SELECT uid, ordinal, pixels, scored FROM object WHERE uid IN (SELECT uid FROM object "
        "GROUP BY uid HAVING count(DISTINCT pixels) > 1) ORDER BY uid, ordinal"
    )
    for uid, ordinal, pixels, scored in store.execute(query):
        if keeper is None or keeper[0] != uid:
            keeper = (uid, pixels, ordinal) if scored else None
        elif keeper[1] != pixels:
            result, first = (_result(plan, place, one) for one in (ordinal, keeper[2]))
            found.append(_Conflict(ordinal, result, first.image_id))
    return found


def _result(plan: Plan, place: Path, ordinal: int) -> ImageResult:
    chunk, at = divmod(ordinal, plan.facts.chunk)
    return list(Part(part_path(place, chunk)).entries())[at].result


def _ranges(chunks: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of numbers as (first, last).

    >>> _ranges([1, 2, 3, 7])
    [(1, 3), (7, 7)]
    """
    found: list[tuple[int, int]] = []
    for chunk in chunks:
        if found and found[-1][1] == chunk - 1:
            found[-1] = (found[-1][0], chunk)
        else:
            found.append((chunk, chunk))
    return found


def _named(ranges: Sequence[tuple[int, int]]) -> str:
    """Return ranges of chunks in words.

    >>> _named([(1, 3), (7, 7)])
    'chunks 1-3, 7'
    """
    words = [f"{first}-{last}" if last > first else f"{first}" for first, last in ranges[:_NAMED]]
    return f"chunks {', '.join(words)}{', …' if len(ranges) > _NAMED else ''}"
