"""A worker: a loaded bundle and readers in lanes, which score chunk after chunk."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hilum.batch.archive.listing import PlannedFilm, state_of
from hilum.batch.archive.order import Order
from hilum.batch.archive.part import write_part
from hilum.batch.journal import Entry
from hilum.batch.lanes import MORE_LANES, lanes_of
from hilum.batch.score import FilmScoring, Input
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.files.films import RESULT_FOLDERS
from hilum.reading.process import ReaderProcess

__all__ = ["ChunkWorker", "PlannedInput"]


@dataclass(frozen=True, slots=True)
class PlannedInput(Input):
    """A film of a plan, to score.

    Attributes:
        folder: that its path is meant from.
        size: bytes when the plan was made; None where there was no such file.
        etag: its state when the plan was made.
    """

    folder: Path
    size: int | None
    etag: str

    @property
    def path(self) -> Path:
        """Path of the film on this machine."""
        return self.folder / self.listed.path

    def check(self) -> None:
        """Refuse a film that is not the one that was planned.

        Raises:
            FilmError: when it changed, or came since.
        """
        if self.listed.refusal is None and state_of(self.path) not in (
            (self.size, self.etag),
            (None, ""),  # the reader says what is wrong
        ):
            raise FilmError(
                Status.ERROR,
                ReasonCode.CHANGED_WHILE_READING,
                "the file changed after the plan was made; make a new plan",
            )


class ChunkWorker:
    """Scores chunks of an order, several at a time if several threads call it.

    Args:
        order: what to score, and how.

    Raises:
        UsageError: where this machine's bundle, code or key is not that of the order.
        BundleError: for a damaged bundle.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        request = order.request()
        bundle = order.load()
        self.identity = order.check(bundle, request)
        self._scoring = FilmScoring(bundle, order.place, request)
        if request.pictures is not None:
            for folder in RESULT_FOLDERS:
                (order.place / folder).mkdir(parents=True, exist_ok=True)
        manifest, lanes = bundle.manifest, order.lanes or order.threads + MORE_LANES
        readers = [
            ReaderProcess(manifest.preprocessing, manifest.gate, request.limits)
            for _ in range(lanes)
        ]
        self._stack = ExitStack()
        self._begin = self._stack.enter_context(lanes_of(self._entry, readers))

    def score_chunk(self, chunk: int) -> Path:
        """Score the films of a chunk, and put its part.

        Args:
            chunk: its number in the plan.
        """
        films = self._order.films.films(chunk)
        begun = [self._begin(self._input(film)) for film in films]
        return self.put(chunk, [one.result() for one in begun])

    def score_film(self, chunk: int, at: int) -> Entry:
        """Score one film of a chunk, alone."""
        begun: Future[Entry] = self._begin(self._input(self._order.films.films(chunk)[at]))
        return begun.result()

    def put(self, chunk: int, entries: Sequence[Entry]) -> Path:
        """Put the part of a chunk whose films are scored."""
        first = self._order.films.ordinals(chunk).start
        return write_part(self._order.place, self.identity, chunk, first, entries)

    def killed(self, chunk: int, at: int) -> Entry:
        """Return the row of a film that takes every worker with it, without looking at it."""
        item = self._input(self._order.films.films(chunk)[at])
        return self._scoring.unopened(
            item,
            FilmError(
                Status.ERROR,
                ReasonCode.DECODER_CRASHED,
                "the process that scored the film ended with it, three times",
            ),
        )

    def close(self) -> None:
        """Stop the lanes, also in the middle of a film."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _input(self, film: PlannedFilm) -> PlannedInput:
        folder = Path(self._order.films.facts.folder)
        return PlannedInput(film.listed, film.stem, film.image_id, folder, film.size, film.etag)

    def _entry(self, item: PlannedInput, reader: ReaderProcess) -> Entry:
        try:
            item.check()
        except FilmError as error:
            return self._scoring.unopened(item, error)
        return self._scoring.score(item, reader).entry
