"""Studies that wait: when each is scored, and its films through the bundle to stored objects."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import dcmread

from hilum.batch.dicom_objects import (
    UNDRAWN,
    DicomRequest,
    ScoredFilm,
    object_files,
    rejection_report,
)
from hilum.batch.inputs import Listed
from hilum.batch.score import FilmScoring, Input, ScoredInput
from hilum.batch.standing import StandingLanes
from hilum.domain.errors import ReasonCode
from hilum.node.books import CONFLICT, NodeBooks
from hilum.node.records import BuiltObject, FilmOutcome, FilmState, SpooledFilm, StudyRun
from hilum.node.settings import Grouping
from hilum.node.spool import Spool
from hilum.reading.process import ReaderProcess
from hilum.report.batch.results_jsonl import line_of

__all__ = ["StudyGroups", "StudyScoring"]

_LOG = logging.getLogger(__package__)

_LOOK_S = 1.0
"""Seconds between two looks at the books, in which others may have written."""
_FAILURES = (ReasonCode.DECODER_CRASHED, ReasonCode.TIMEOUT)
_FIELDS = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"]


@dataclass(frozen=True)
class StudyScoring:
    """The scoring of a study: the engine of `hilum predict`, and objects into the spool.

    Attributes:
        scoring: bundle and options.
        request: kinds of objects, and the key of their UIDs.
        spool: films and objects.
        books: of the node.
        destinations: names of those that the objects go to.
        built: called when objects are made.
        reports_rejects: make a report of the reason for a film that the gate rejects.
    """

    scoring: FilmScoring
    request: DicomRequest
    spool: Spool
    books: NodeBooks
    destinations: Sequence[str]
    built: Callable[[], None] = lambda: None
    reports_rejects: bool = False

    def run(self, study: int, reader: ReaderProcess, stopping: Callable[[], bool]) -> None:
        """Score a study that waits, and enter what came of it."""
        run = self.books.begin(study)
        if run is None:
            return
        begun = time.monotonic()
        if run.conflicted:
            self.books.fail(run, CONFLICT)
            _LOG.error("study %d failed: %s", run.number, CONFLICT)
            return
        outcomes: list[FilmOutcome] = []
        objects: list[BuiltObject] = []
        try:
            for film in run.films:
                outcome, made = self._film(run, film, reader)
                if stopping():  # the reader was ended for that: the next start takes it up
                    return
                outcomes.append(outcome)
                objects += made
            self.books.finish(run, outcomes, objects, self.destinations)
        except OSError as error:  # the disk: not the fault of the study
            self.books.put_back(run)
            _LOG.error("study %d waits again: %s", run.number, type(error).__name__)
            return
        except Exception as error:
            self.books.fail(run, "INTERNAL")
            _LOG.error("study %d failed: %s", run.number, type(error).__name__)
            return
        _LOG.info(
            "study %d revision %d: %d films, %d objects in %.2f s",
            *(run.number, run.revision, len(outcomes), len(objects)),
            time.monotonic() - begun,
        )
        self.built()

    def _film(
        self, run: StudyRun, film: SpooledFilm, reader: ReaderProcess
    ) -> tuple[FilmOutcome, list[BuiltObject]]:
        name = f"film {film.number}"
        item = Input(Listed(self.spool.film(film.sha256)), str(film.number), name)
        scored, files, missing = self._attempt(run, film, item, reader)
        if missing == UNDRAWN or _crashed(scored):  # perhaps the film before it was the cause
            scored, files, missing = self._attempt(run, film, item, reader)
        codes = scored.entry.result.codes
        result = scored.entry.result.model_copy(update={"input": name, "dicom_missing": missing})
        failed = scored.analysis is None and bool(set(codes) & set(_FAILURES))
        outcome = FilmOutcome(
            film.number,
            FilmState.FAILED if failed else FilmState.COMPLETE,
            codes[0].value if codes else "",
            line_of(result),
        )
        return outcome, [self._kept(film, kind, data) for kind, data in files.items()]

    def _attempt(
        self, run: StudyRun, film: SpooledFilm, item: Input, reader: ReaderProcess
    ) -> tuple[ScoredInput, dict[str, bytes], str]:
        """Score a film; return what came of it, its objects, and why one is missing."""
        scored = self.scoring.score(item, reader)
        if scored.analysis is None or scored.facts is None:
            return scored, self._rejected(run, film, scored), ""
        one = ScoredFilm(
            bundle=self.scoring.bundle,
            analysis=scored.analysis,
            facts=scored.facts,
            image_id=str(film.number),
            revision=run.revision,
            predecessors=film.predecessors,
        )
        begun = time.monotonic()
        made = object_files(self.request, one, reader)
        self.scoring.timed("build", time.monotonic() - begun)
        return scored, *made

    def _rejected(self, run: StudyRun, film: SpooledFilm, scored: ScoredInput) -> dict[str, bytes]:
        """Return the report of a film that was not scored, where there is to be one."""
        if scored.refusal is None or not self.reports_rejects:
            return {}
        before = film.predecessors.get("sr")
        made = rejection_report(
            self.request, self.scoring.bundle, scored.refusal, run.revision, before
        )
        return {} if made is None else {"sr": made}

    def _kept(self, film: SpooledFilm, kind: str, data: bytes) -> BuiltObject:
        """Write an object to the spool, from which it is sent as it is, however often."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.spool.write(data, self.spool.object(sha256))
        head = dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=_FIELDS)
        return BuiltObject(
            film=film.number,
            kind=kind,
            sop=str(head.SOPInstanceUID),
            series=str(head.SeriesInstanceUID),
            sop_class=str(head.SOPClassUID),
            syntax=str(head.file_meta.TransferSyntaxUID),
            sha256=sha256,
            size=len(data),
        )


def _crashed(scored: ScoredInput) -> bool:
    return scored.analysis is None and ReasonCode.DECODER_CRASHED in scored.entry.result.codes


@dataclass
class _Waiting:
    """A study that waits: its newest film, and monotonic seconds of the first and last change."""

    newest: int
    first: float
    last: float


class StudyGroups:
    """Gives a study to the lanes when no film of it has come for a while.

    Args:
        rules: the times.
        study: scores one.
        lanes: studies that are scored at a time.
    """

    def __init__(self, rules: Grouping, study: StudyScoring, lanes: int) -> None:
        self._rules = rules
        self._study = study
        self._seen: dict[int, _Waiting] = {}
        self._timed = study.scoring.timed
        self._wake = threading.Event()
        self._ended = False
        self._lanes = StandingLanes(study.scoring, lanes, self._run, "study")
        self._thread = threading.Thread(target=self._watch, name="groups")

    def start(self) -> None:
        """Watch the books, and score, until `stop`."""
        self._lanes.start()
        self._thread.start()

    def wake(self) -> None:
        """Look at the books now: a film came."""
        self._wake.set()

    def stop(self) -> None:
        """Stop, also in the middle of a study; the next start takes it up."""
        self._ended = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._lanes.close()

    def due(self, now: float) -> list[int]:
        """Return the studies whose time has come, and remember the others.

        Args:
            now: monotonic seconds.
        """
        waiting = dict(self._study.books.waiting())
        for gone in self._seen.keys() - waiting.keys():
            del self._seen[gone]
        for number, newest in waiting.items():
            one = self._seen.setdefault(number, _Waiting(newest, now, now))
            if newest != one.newest:
                one.newest, one.last = newest, now
        return [
            number
            for number, one in self._seen.items()
            if now - one.last >= self._rules.quiet_s or now - one.first >= self._rules.at_most_s
        ]

    def _run(self, key: str, reader: ReaderProcess) -> None:
        seen = self._seen.get(int(key))
        if seen is not None:
            self._timed("wait", time.monotonic() - seen.first)
        self._study.run(int(key), reader, lambda: self._lanes.closing)

    def _watch(self) -> None:
        while not self._ended:
            for number in self.due(time.monotonic()):
                self._lanes.put(str(number))
            self._wake.wait(min(_LOOK_S, max(0.02, self._rules.quiet_s / 4)))
            self._wake.clear()
