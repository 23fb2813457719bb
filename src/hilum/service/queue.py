"""Films that wait to be scored: a bounded queue, and the lanes that work on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import PurePosixPath

from hilum.batch.inputs import Listed
from hilum.batch.score import FilmScoring, Input, ScoredInput, reject_conflict
from hilum.batch.standing import StandingLanes
from hilum.domain.documents.results import ImageResult
from hilum.reading.process import ReaderProcess
from hilum.report.batch.results_jsonl import line_of
from hilum.service.derived import maps_kind, maps_of
from hilum.service.objects import FilmObjects
from hilum.service.store.films import FilmRow, StoredFilms
from hilum.service.summaries import summarize

__all__ = ["FilmQueue", "image_id_of"]


class FilmQueue:
    """Scores films in lanes: a thread of this process scores what a confined process reads.

    What waits is in the store, so that nothing is lost when the service ends in any way: films
    without a result are put here again when it starts.

    Args:
        films: of the store.
        objects: the films' bytes.
        scoring: bundle and options.
        lanes: films on their way at a time.
        most: films that may wait.
        done: called after each result.
    """

    def __init__(
        self,
        films: StoredFilms,
        objects: FilmObjects,
        scoring: FilmScoring,
        lanes: int,
        most: int = 64,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.most = most
        self._done = done
        self._films = films
        self._objects = objects
        self._scoring = scoring
        self._lock = threading.Lock()
        self._reserved = 0
        self._lanes = StandingLanes(scoring, lanes, self._score)

    def start(self) -> None:
        """Start the lanes with the films that an earlier service left without a result."""
        for film in self._films.unfinished():
            self.put(film)
        self._lanes.start()

    def is_full(self) -> bool:
        """Return whether there is no place in the queue now."""
        return self._lanes.length() + self._reserved >= self.most

    def reserve(self) -> bool:
        """Take a place in the queue for a film that has come in; false where there is none."""
        with self._lock:
            if self.is_full():
                return False
            self._reserved += 1
            return True

    def release(self) -> None:
        """Give back a place that `reserve` took."""
        with self._lock:
            self._reserved -= 1

    def put(self, film: str) -> None:
        """Put a film that is in the store into the queue, once."""
        self._lanes.put(film)

    def pending(self, film: str) -> Future[None] | None:
        """Return what is done when the film has its result; None for one that does not wait."""
        return self._lanes.pending(film)

    def is_reading(self, film: str) -> bool:
        """Return whether a film is being read or scored now."""
        return self._lanes.is_busy(film)

    def length(self) -> int:
        """Return the number of films that wait or are worked on."""
        return self._lanes.length()

    def close(self) -> None:
        """Stop the lanes, also in the middle of a film; it is scored by the next service."""
        self._lanes.close()

    def _score(self, film: str, reader: ReaderProcess) -> None:
        row = self._films.film(film)
        if row is None or row.sha256 is None:  # deleted while it waited
            return
        path = self._objects.lend(row.sha256, film, row.suffix)
        try:
            name = image_id_of(row.name)
            scored = self._scoring.score(Input(Listed(path), film, name), reader)
        finally:
            self._objects.give_back(path)
        self._record(row, scored)

    def _record(self, row: FilmRow, scored: ScoredInput) -> None:
        entry, analysis = scored.entry, scored.analysis
        named = {"input": row.name, "image_id": image_id_of(row.name)}
        result: ImageResult = entry.result.model_copy(update=named)
        summary = summarize(result, line_of(result), entry.sop_instance_uid, entry.pixels_sha256)
        if summary.sop and result.status.scored:
            holder = self._films.holder_of(summary.sop, summary.pixels, row.id)
            if holder is not None:
                result = reject_conflict(result, image_id_of(holder))
                summary = summarize(
                    result, line_of(result), entry.sop_instance_uid, entry.pixels_sha256
                )
        if result.status.scored and analysis is not None and scored.facts is not None:
            way = self._scoring.bundle.manifest.preprocessing
            maps = maps_of(row.id, result.bundle, analysis, scored.facts.shape, way)
            self._objects.derive(row.id, maps_kind(result.bundle), maps)
        self._films.finish(row.id, summary)
        if self._done is not None:
            self._done()


def image_id_of(name: str) -> str:
    """Return what a film is called in results: the last part of its sender's name.

    >>> image_id_of("inbox/a.png"), image_id_of("/")
    ('a.png', '/')
    """
    return PurePosixPath(name).name or name
