"""Films through a bundle: each a finished entry of the journal, its pictures already in place."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.batch.journal import Entry
from hilum.bundle import Bundle, Prediction
from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.domain.result import FindingResult, ImageResult
from hilum.domain.seal import file_sha256
from hilum.domain.whole import write_whole
from hilum.explain.caption import Caption
from hilum.explain.overlay import png_bytes, preview
from hilum.explain.picture import render
from hilum.explain.region import regions
from hilum.explain.request import Pictures
from hilum.imaging.gate import screen
from hilum.imaging.read import read

__all__ = ["Input", "Scoring"]


@dataclass(frozen=True)
class Input:
    """A film to score.

    Attributes:
        path: as it was listed.
        stem: what the names of its pictures begin with.
    """

    path: Path
    stem: str


@dataclass(frozen=True)
class _Read:
    film: Radiograph
    codes: tuple[ReasonCode, ...]


@dataclass(frozen=True)
class _Unread:
    error: FilmError
    stamp: tuple[int, ...] | None
    """Of the file before it was read."""


_Job = tuple[Input, _Read | _Unread, Prediction | None]


@dataclass(frozen=True)
class Scoring:
    """Makes an entry of each input, or takes it from an earlier run.

    Attributes:
        bundle: loaded.
        out: where pictures go, in `films` and `overlays`.
        earlier: by input, what an earlier run had finished.
        pictures: which heatmaps to draw, and how.
    """

    bundle: Bundle
    out: Path
    earlier: Mapping[str, Entry]
    pictures: Pictures

    def entries(
        self, inputs: Sequence[Input], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Entry, bool]]:
        """The inputs' entries in their order, and whether each was taken from an earlier run."""
        earlier = list(pool.map(self._taken, inputs))
        todo = [item for item, entry in zip(inputs, earlier, strict=True) if entry is None]
        films = list(pool.map(_read, todo))
        good = [found.film for found in films if isinstance(found, _Read)]
        predictions = iter(self.bundle.predict_many(good) if good else [])
        jobs = [
            (item, found, next(predictions) if isinstance(found, _Read) else None)
            for item, found in zip(todo, films, strict=True)
        ]
        scored = pool.map(self._scored, jobs)
        for entry in earlier:
            yield (next(scored), False) if entry is None else (entry, True)

    def _taken(self, item: Input) -> Entry | None:
        """What an earlier run said of the same bytes, if its pictures are there.

        They must have the names that they would get now, which depend on whether another film of
        the list is called the same.
        """
        entry = self.earlier.get(str(item.path))
        if entry is None or entry.key is None or entry.result.film not in (None, _film(item)):
            return None
        there = all(_has_bytes(self.out / file) for file in entry.files)
        return entry if there and entry.key == _hash(item.path) else None

    def _scored(self, job: _Job) -> Entry:
        item, found, prediction = job
        if isinstance(found, _Unread) or prediction is None:
            return self._unscored(item, found)
        # first gone and last back: were the run killed between, overlays of these bytes would
        # otherwise pass for those of the bytes that the journal knows
        (self.out / _film(item)).unlink(missing_ok=True)
        heatmaps, findings, codes = self._explained(prediction, item.stem)
        write_whole(self.out / _film(item), preview(found.film))
        codes = tuple(dict.fromkeys((*found.codes, *codes)))
        result = ImageResult(
            input=str(item.path),
            image_id=item.path.name,
            sha256=found.film.sha256,
            status=Status.WARN if codes else Status.OK,
            codes=codes,
            view=found.film.view,
            findings=findings,
            heatmaps=heatmaps,
            film=_film(item),
            bundle=self.bundle.id,
            precision=self.bundle.precision.value,
        )
        return Entry(key=found.film.sha256, result=result)

    def _explained(
        self, prediction: Prediction, stem: str
    ) -> tuple[dict[str, str], dict[str, FindingResult], tuple[ReasonCode, ...]]:
        """Pictures of the findings asked for; regions in words, of these and of the positive."""
        heatmaps: dict[str, str] = {}
        findings = dict(prediction.findings)
        codes: tuple[ReasonCode, ...] = ()
        drawn = self.pictures.which.select(prediction.findings)
        for name in dict.fromkeys((*prediction.positives, *drawn)):
            heatmap = prediction.heatmap(name)
            places = regions(heatmap, prediction.film.view)
            if findings[name].positive and not places:
                codes = (ReasonCode.EMPTY_HEATMAP,)
            if name in drawn:
                file = f"overlays/{stem}__{name}.png"
                write_whole(self.out / file, png_bytes(self._picture(prediction, name, heatmap)))
                heatmaps[name] = file
            findings[name] = findings[name].model_copy(update={"regions": places})
        return heatmaps, findings, codes

    def _picture(
        self, prediction: Prediction, name: str, heatmap: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        said = prediction.findings[name]
        caption = Caption(name, said.probability, said.threshold, said.calibrated)
        style, panel = self.pictures.style, self.pictures.panel
        return render(prediction.film, heatmap, style, caption, panel)

    def _unscored(self, item: Input, found: _Read | _Unread) -> Entry:
        """The row of a film that was not scored.

        It is kept for another run only if the file is as it was before it was read: one that is
        still being copied can be cut short when read, and whole when hashed.
        """
        if not isinstance(found, _Unread):
            raise TypeError("a film that was read must have a prediction")
        sha256 = _hash(item.path)
        result = ImageResult(
            input=str(item.path),
            image_id=item.path.name,
            sha256=sha256,
            status=found.error.status,
            codes=(found.error.code,),
            message=found.error.message,
            bundle=self.bundle.id,
            precision=self.bundle.precision.value,
        )
        return Entry(key=sha256 if _stamp(item.path) == found.stamp else None, result=result)


def _film(item: Input) -> str:
    return f"films/{item.stem}.jpg"


def _read(item: Input) -> _Read | _Unread:
    stamp = _stamp(item.path)
    try:
        film = read(item.path)
        return _Read(film, (*film.codes, *screen(film)))
    except FilmError as error:
        return _Unread(error, stamp)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written to, or replaced."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _has_bytes(path: Path) -> bool:
    """Whether a picture is there; a power cut can leave an empty one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _hash(path: Path) -> str | None:
    """Of the bytes of a file; None where it is none, or cannot be read."""
    try:
        return file_sha256(path) if stat.S_ISREG(path.stat().st_mode) else None
    except (OSError, ValueError):
        return None
