"""One film through a bundle: a finished entry of the journal, its pictures already in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from hilum.batch.dicom_objects import DicomRequest, FiledObjects, ScoredFilm, file_objects
from hilum.batch.inputs import Listed, Shard
from hilum.batch.journal import Entry
from hilum.batch.patients import Patients, Phi
from hilum.bundle import Bundle
from hilum.bundle.analysis import POSITIVES, Analysis, ScreenedFilm
from hilum.bundle.triage import refer
from hilum.confined.child import Child
from hilum.domain.documents.results import GrayFacts, ImageResult, ThresholdSource
from hilum.domain.documents.rule_out import FilmTriage
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.explain.caption import Caption
from hilum.explain.map_layer import map_layer
from hilum.explain.request import Pictures
from hilum.files.atomic import write_atomic
from hilum.imaging.grays import gray_facts
from hilum.reading.film import FilmFacts, Reading, Refusal
from hilum.reading.picture import Picture
from hilum.reading.process import Limits, ReaderProcess

__all__ = [
    "BatchRequest",
    "FilmScoring",
    "Input",
    "ScoredInput",
    "reject_conflict",
]


_NOT_SCORED = "it was not scored"
"""Why a rule refers a film without scores."""


@dataclass(frozen=True)
class BatchRequest:
    """Options for scoring films and writing their outputs.

    Attributes:
        pictures: which heatmaps to draw, and whether overlays too; None for tables alone: no map
            and no preview.
        threshold: one threshold for every finding, in place of the bundle's operating points.
        patients: what the outputs may say of the patients.
        limits: of reading one film.
        early: a reader that was begun while the bundle was loading, so that a first film need not
            wait for it; ended by the batch.
        lanes: films on their way at a time, each read by a process of its own; None for two more
            than the bundle's network has threads. Results do not depend on it.
        shard: the part of the films to score; None for all. The folders of all parts are put
            together by `hilum.batch.merge`.
        dicom: which DICOM objects to make of each film; None for none.

    Raises:
        UsageError: for a threshold outside [0, 1], or no lane.
    """

    pictures: Pictures | None = field(default_factory=Pictures)
    threshold: float | None = None
    patients: Patients = field(default_factory=Patients)
    limits: Limits = field(default_factory=Limits)
    lanes: int | None = None
    early: Child | None = None
    shard: Shard | None = None
    dicom: DicomRequest | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise UsageError(f"a threshold must be a number in [0, 1]; got {self.threshold:g}")
        if self.lanes is not None and self.lanes < 1:
            raise UsageError(f"there must be a lane or more; got {self.lanes}")

    def options(self) -> dict[str, str]:
        """Return the options that change results or pictures, to identify the batch in a journal.

        >>> BatchRequest(pictures=None, threshold=0.4).options()
        {'heatmaps': 'tables alone', 'threshold': '0.4', 'patients': 'none'}
        """
        pictures = self.pictures
        options = {"heatmaps": "tables alone"} if pictures is None else pictures.options()
        if self.threshold is not None:
            options["threshold"] = repr(self.threshold)
        if self.dicom is not None:
            options["dicom"] = self.dicom.fingerprint
        return {**options, "patients": self.patients.fingerprint}


@dataclass(frozen=True, slots=True)
class Input:
    """A film to score.

    Attributes:
        listed: the film, or why it is not to be opened.
        stem: what the names of its pictures begin with.
        image_id: its name in the results; no other film of the batch has it.
    """

    listed: Listed
    stem: str
    image_id: str

    @property
    def path(self) -> Path:
        """Path of the film, as listed."""
        return self.listed.path

    @property
    def name(self) -> str:
        """Name of the film in results."""
        return str(self.listed.path)

    @property
    def film(self) -> str:
        """Its preview, relative to the output folder."""
        return f"films/{self.stem}.jpg"


class ScoredInput(NamedTuple):
    """An input that was scored now, or refused.

    Attributes:
        entry: its row, and what identifies its bytes.
        analysis: of the film; None where it was not scored.
        facts: of the film; None where it was not scored.
        refusal: of a film that was read and not scored; None for any other.
    """

    entry: Entry
    analysis: Analysis | None = None
    facts: FilmFacts | None = None
    refusal: Refusal | None = None


def _untimed(_stage: str, _seconds: float) -> None:
    """Let the seconds of a stage go."""


@dataclass(frozen=True)
class FilmScoring:
    """The scoring of one input. Several threads may call it.

    Attributes:
        bundle: loaded.
        out: where pictures go, in `films`, `maps` and `overlays`.
        request: the options of the run.
        timed: called with a stage, "read" or "score", and the seconds that it took.
    """

    bundle: Bundle
    out: Path
    request: BatchRequest
    timed: Callable[[str, float], None] = field(default=_untimed, kw_only=True)

    def score(self, item: Input, reader: ReaderProcess) -> ScoredInput:
        """Score a film. Whatever is wrong with it is in the entry.

        Args:
            item: the input.
            reader: what reads it and draws on it; nobody else may use it meanwhile.
        """
        try:
            if item.listed.refusal is not None:
                raise item.listed.refusal
            begun = monotonic()
            film = reader.read(
                item.path,
                with_preview=self.request.pictures is not None,
                # what must not be shown is not even read
                with_header=self.request.patients.mode is not Phi.NONE
                or self.request.dicom is not None,
            )
            self.timed("read", monotonic() - begun)
            if isinstance(film, Refusal):
                return ScoredInput(self._refused(item, film), refusal=film)
            begun = monotonic()
            scored = self._scored(item, film, reader)
            self.timed("score", monotonic() - begun)
            return scored
        except FilmError as error:
            return ScoredInput(self.unread(item, error, reader))

    def _scored(self, item: Input, reading: Reading, reader: ReaderProcess) -> ScoredInput:
        facts = reading.facts
        if reading.preview is not None:
            # first gone and last back: were the run killed between, overlays of these bytes would
            # otherwise pass for those of the bytes that the journal knows
            (self.out / item.film).unlink(missing_ok=True)
        analysis = self._analysis(item, reading)
        maps = self._write_maps(item, analysis, facts.shape)
        heatmaps, failed = self._draw(item, analysis, reader)
        objects = self._objects(item, analysis, reading, reader)
        if reading.preview is not None:
            write_atomic(self.out / item.film, reading.preview)
        shown = self.request.patients.of(facts)
        result = self._result(
            item,
            sha256=facts.sha256,
            status=Status.WARN if failed else analysis.status,
            codes=(*analysis.codes, *((ReasonCode.HEATMAP_FAILED,) if failed else ())),
            view=facts.view,
            **vars(shown),
            findings=analysis.findings,
            gray=self._gray(reading),
            triage=self._referred("a heatmap could not be drawn") if failed else analysis.triage,
            heatmaps=heatmaps,
            token_shares=analysis.token_shares,
            maps=maps,
            film=item.film if reading.preview is not None else None,
            dicom=objects.files,
            dicom_missing=objects.missing,
        )
        entry = Entry(
            key=None if failed or objects.undrawn else facts.sha256,
            result=result,
            sop_instance_uid=facts.sop_instance_uid,
            pixels_sha256=facts.pixels_sha256,
        )
        return ScoredInput(entry, analysis, facts)

    def _analysis(self, item: Input, reading: Reading) -> Analysis:
        facts, pictures = reading.facts, self.request.pictures
        film = ScreenedFilm(
            reading.raster,
            facts.shape,
            facts.view,
            (*item.listed.codes, *facts.codes),
            facts.header,
            facts.sex,
            facts.age_years,
        )
        explain = POSITIVES if pictures is None else pictures.which
        return self.bundle.analyze(film, self.request.threshold, explain)

    def _gray(self, reading: Reading) -> GrayFacts:
        """Return the gray levels of a film, of what the network sees of it."""
        shape = reading.facts.shape
        place = self.bundle.manifest.preprocessing.placement(shape)
        return gray_facts(reading.raster, shape, place)

    def _write_maps(
        self, item: Input, analysis: Analysis, shape: tuple[int, int]
    ) -> dict[str, str]:
        """Write the map of each requested finding; return finding to file.

        It needs no pixel of the film, so it is made here and not in the reader.
        """
        pictures = self.request.pictures
        files: dict[str, str] = {}
        for name in () if pictures is None else pictures.which.select(analysis.findings):
            layer = map_layer(analysis.map_of(name), self.bundle.manifest.preprocessing, shape)
            files[name] = f"maps/{item.stem}__{name}.png"
            write_atomic(self.out / files[name], layer)
        return files

    def _objects(
        self, item: Input, analysis: Analysis, reading: Reading, reader: ReaderProcess
    ) -> FiledObjects:
        """Make the requested DICOM objects of a film, and file them."""
        request = self.request.dicom
        if request is None:
            return FiledObjects()
        film = ScoredFilm(self.bundle, analysis, reading.facts, item.image_id)
        return file_objects(self.out, request, film, reader)

    def _draw(
        self, item: Input, analysis: Analysis, reader: ReaderProcess
    ) -> tuple[dict[str, str], bool]:
        """Draw the requested overlays; a picture that fails never costs the score.

        Returns:
            Finding to the file of its picture, in place; and whether drawing failed.
        """
        files: dict[str, str] = {}
        pictures = self.request.pictures
        if pictures is None or not pictures.overlays:
            return files, False
        for name in pictures.which.select(analysis.findings):
            picture = Picture(
                analysis.map_of(name),
                Caption.of(
                    name, analysis.findings[name], token_share=analysis.token_shares.get(name)
                ),
                pictures.style,
                pictures.panel,
                pictures.stored,
            )
            try:
                drawn = reader.draw(picture)
            except FilmError:  # the film went with the process that had it
                return files, True
            files[name] = f"overlays/{item.stem}__{name}.{pictures.stored.value}"
            write_atomic(self.out / files[name], drawn)
        return files, False

    def _refused(self, item: Input, refusal: Refusal) -> Entry:
        """Return the row of a film that was read and is not scored; its preview is in place."""
        if refusal.preview is not None:
            write_atomic(self.out / item.film, refusal.preview)
        result = self._result(
            item,
            sha256=refusal.sha256,
            status=refusal.status,
            codes=(refusal.code,),
            message=refusal.message,
            sop_instance_uid=self.request.patients.shown(refusal.sop_instance_uid),
            film=None if refusal.preview is None else item.film,
        )
        return Entry(
            key=refusal.sha256 if refusal.settled else None,
            result=result,
            sop_instance_uid=refusal.sop_instance_uid,
            pixels_sha256=refusal.pixels_sha256,
        )

    def unread(self, item: Input, error: FilmError, reader: ReaderProcess) -> Entry:
        """Return the row of a film that was not even looked at, or took its reader with it.

        That may be the machine's fault and not the film's: the next run looks at it again.
        """
        # what could not be read in time is not waited for once more
        crashed = error.code is ReasonCode.DECODER_CRASHED
        return self.unopened(item, error, _hash(item, reader) if crashed else None)

    def unopened(self, item: Input, error: FilmError, sha256: str | None = None) -> Entry:
        """Return the row of a film that no reader was given."""
        result = self._result(
            item, sha256=sha256, status=error.status, codes=(error.code,), message=error.message
        )
        return Entry(key=None, result=result)

    def _referred(self, reason: str) -> FilmTriage | None:
        """Return the triage of a film that the rule says nothing of; None without a rule."""
        rule = self.bundle.rule
        return None if rule is None else refer(rule.rule_sha256, reason)

    def _result(self, item: Input, **fields: Any) -> ImageResult:
        """Return a result of this bundle and request."""
        by_hand = self.request.threshold is not None
        fields.setdefault("triage", self._referred(_NOT_SCORED))
        return ImageResult(
            input=item.name,
            image_id=item.image_id,
            threshold_source=ThresholdSource.HAND if by_hand else ThresholdSource.BUNDLE,
            bundle=self.bundle.id,
            precision=self.bundle.precision.value,
            **fields,
        )


def reject_conflict(result: ImageResult, first: str) -> ImageResult:
    """Return the row of a film that claims the DICOM identity of another one with other pixels.

    Args:
        result: of the film.
        first: name of the film that keeps the identity.
    """
    return ImageResult(
        input=result.input,
        image_id=result.image_id,
        sha256=result.sha256,
        status=Status.REJECT,
        codes=(ReasonCode.DUPLICATE_SOP_CONFLICT,),
        message=f"a SOP instance UID belongs to one picture; {first!r} shows another with the same",
        view=result.view,
        study_instance_uid=result.study_instance_uid,
        series_instance_uid=result.series_instance_uid,
        sop_instance_uid=result.sop_instance_uid,
        accession_number=result.accession_number,
        film=result.film,
        threshold_source=result.threshold_source,
        triage=None if result.triage is None else refer(result.triage.rule, _NOT_SCORED),
        bundle=result.bundle,
        precision=result.precision,
    )


def _hash(item: Input, reader: ReaderProcess) -> str | None:
    """Return the SHA-256 of a file that ended its reader process."""
    try:
        return reader.sha256(item.path)
    except FilmError:
        return None
