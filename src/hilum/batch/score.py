"""One film through a bundle: a finished entry of the journal, its pictures already in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.batch.inputs import Listed
from hilum.batch.journal import Entry, Journal
from hilum.batch.request import BatchRequest
from hilum.bundle import Bundle
from hilum.domain.documents.results import FindingResult, ImageResult, ThresholdSource
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.explain.caption import Caption
from hilum.explain.overlay import is_empty
from hilum.explain.region import regions
from hilum.explain.request import Pictures
from hilum.files.atomic import write_atomic
from hilum.reading.process import FilmFacts, Picture, ReaderProcess, Reading, Refusal

__all__ = ["Input", "Scoring"]


@dataclass(frozen=True, slots=True)
class Input:
    """A film to score.

    Attributes:
        listed: the film, or why it is not to be opened.
        stem: what the names of its pictures begin with.
    """

    listed: Listed
    stem: str

    @property
    def path(self) -> Path:
        """As it was listed."""
        return self.listed.path

    @property
    def name(self) -> str:
        """What results call it."""
        return str(self.listed.path)

    @property
    def film(self) -> str:
        """Its preview, relative to the output folder."""
        return f"films/{self.stem}.jpg"


@dataclass(frozen=True)
class _Explained:
    """What the heatmaps of a film gave."""

    findings: dict[str, FindingResult]
    files: dict[str, str]
    codes: tuple[ReasonCode, ...]


@dataclass(frozen=True)
class Scoring:
    """Makes the entry of an input, or takes it from an earlier run. Several threads may ask.

    Attributes:
        bundle: loaded.
        out: where pictures go, in `films` and `overlays`.
        request: what is asked for.
        journal: what is finished already.
    """

    bundle: Bundle
    out: Path
    request: BatchRequest
    journal: Journal

    def entry(self, item: Input, reader: ReaderProcess) -> tuple[Entry, bool]:
        """The finished entry of a film, and whether an earlier run had finished it.

        Whatever is wrong with the film is in there.
        """
        try:
            if item.listed.refusal is not None:
                raise item.listed.refusal
            earlier = self._taken(item, reader)
            if earlier is not None:
                return earlier, True
            said = reader.read(item.path, with_preview=self.request.pictures is not None)
            if isinstance(said, Refusal):
                return self._refused(item, said), False
            return self._scored(item, said, reader), False
        except FilmError as error:
            # what could not be read in time is not waited for once more
            crashed = error.code is ReasonCode.DECODER_CRASHED
            return self._unread(item, error, _hash(item, reader) if crashed else None), False

    def _taken(self, item: Input, reader: ReaderProcess) -> Entry | None:
        """What an earlier run said of the same bytes, if its pictures are there.

        They must have the names that they would get now, which depend on whether another film of
        the list is called the same.
        """
        entry = self.journal.of(item.name)
        if entry is None or entry.key is None or entry.result.film not in (None, item.film):
            return None
        there = all(_has_bytes(self.out / file) for file in entry.files)
        return entry if there and entry.key == reader.sha256(item.path) else None

    def _scored(self, item: Input, reading: Reading, reader: ReaderProcess) -> Entry:
        facts = reading.facts
        if reading.preview is not None:
            # first gone and last back: were the run killed between, overlays of these bytes would
            # otherwise pass for those of the bytes that the journal knows
            (self.out / item.film).unlink(missing_ok=True)
        output = self.bundle.engine.ask(reading.raster)
        said = self.bundle.judge(output.logits)
        if self.request.threshold is not None:
            said = {name: found.at(self.request.threshold) for name, found in said.items()}
        explained = self._explained(item, facts, said, output.heatmaps[0], reader)
        if reading.preview is not None:
            write_atomic(self.out / item.film, reading.preview)
        codes = (*item.listed.codes, *facts.codes, *explained.codes)
        patient = self.request.patients.of(facts)
        result = self._result(
            item,
            sha256=facts.sha256,
            status=Status.OK if _NOTES.issuperset(codes) else Status.WARN,
            codes=tuple(dict.fromkeys(codes)),
            view=facts.view,
            patient=patient.patient,
            age_years=patient.age_years,
            sex=patient.sex,
            findings=explained.findings,
            heatmaps=explained.files,
            film=item.film if reading.preview is not None else None,
        )
        whole = ReasonCode.HEATMAP_FAILED not in explained.codes
        return Entry(
            key=facts.sha256 if whole else None,
            result=result,
            sop_instance_uid=facts.sop_instance_uid,
            pixels_sha256=facts.pixels_sha256,
        )

    def _explained(
        self,
        item: Input,
        facts: FilmFacts,
        said: dict[str, FindingResult],
        maps: NDArray[np.float32],
        reader: ReaderProcess,
    ) -> _Explained:
        """Pictures of the findings asked for; regions in words, of these and of the positive."""
        pictures = self.request.pictures
        drawn = () if pictures is None else pictures.which.select(said)
        positives = [name for name, found in said.items() if found.positive]
        findings = dict(said)
        for name in dict.fromkeys((*positives, *drawn)):
            heatmap = self.bundle.manifest.preprocessing.to_film(
                maps[self.bundle.labels.index(name)], _small(facts.shape)
            )
            places = regions(heatmap, facts.view)
            findings[name] = said[name].model_copy(update={"regions": places})
        files, codes = self._drawn(item, said, drawn, maps, reader)
        if any(is_empty(maps[self.bundle.labels.index(name)]) for name in positives):
            codes = (ReasonCode.EMPTY_HEATMAP, *codes)
        return _Explained(findings, files, codes)

    def _drawn(
        self,
        item: Input,
        said: dict[str, FindingResult],
        names: Sequence[str],
        maps: NDArray[np.float32],
        reader: ReaderProcess,
    ) -> tuple[dict[str, str], tuple[ReasonCode, ...]]:
        """The pictures of the findings, in place; a picture that fails never costs the score."""
        files: dict[str, str] = {}
        pictures = self.request.pictures or Pictures()
        for name in names:
            found = said[name]
            picture = Picture(
                maps[self.bundle.labels.index(name)],
                Caption(name, found.probability, found.threshold, found.calibrated),
                pictures.style,
                pictures.panel,
                pictures.stored,
            )
            try:
                drawn = reader.draw(picture)
            except FilmError:  # the film went with the process that had it
                return files, (ReasonCode.HEATMAP_FAILED,)
            files[name] = f"overlays/{item.stem}__{name}.{pictures.stored.value}"
            write_atomic(self.out / files[name], drawn)
        return files, ()

    def _refused(self, item: Input, said: Refusal) -> Entry:
        """The row of a film that was looked at, and is not to be scored."""
        result = self._result(
            item,
            sha256=said.sha256,
            status=said.status,
            codes=(said.code,),
            message=said.message,
        )
        return Entry(
            key=said.sha256 if said.settled else None,
            result=result,
            sop_instance_uid=said.sop_instance_uid,
            pixels_sha256=said.pixels_sha256,
        )

    def _unread(self, item: Input, error: FilmError, sha256: str | None) -> Entry:
        """The row of a film that was not even looked at, or took its reader with it.

        That may be the machine's fault and not the film's: the next run looks at it again.
        """
        result = self._result(
            item,
            sha256=sha256,
            status=error.status,
            codes=(error.code,),
            message=error.message,
        )
        return Entry(key=None, result=result)

    def _result(self, item: Input, **said: Any) -> ImageResult:
        """A result of this bundle and request."""
        by_hand = self.request.threshold is not None
        return ImageResult(
            input=item.name,
            image_id=item.path.name,
            threshold_source=ThresholdSource.HAND if by_hand else ThresholdSource.BUNDLE,
            bundle=self.bundle.id,
            precision=self.bundle.precision.value,
            **said,
        )


_NOTES = frozenset({ReasonCode.NAME_NOT_UTF8})
"""Said of the file and not of the film: no reason to doubt a score."""
_REGION_SIDE = 192
"""Pixels: thirds of a film are told apart on a small one as well, in a fraction of the time."""


def _small(shape: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _REGION_SIDE / max(shape))
    return max(3, round(shape[0] * scale)), max(3, round(shape[1] * scale))


def _hash(item: Input, reader: ReaderProcess) -> str | None:
    """Of what ended the process that read it."""
    try:
        return reader.sha256(item.path)
    except FilmError:
        return None


def _has_bytes(path: Path) -> bool:
    """Whether a picture is there; a power cut can leave an empty one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
