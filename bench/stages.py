"""What each stage of `hilum predict` costs a core, one film at a time in one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from bench.clock import core_ms
from hilum.batch.run import write_reports
from hilum.bundle import Bundle
from hilum.bundle.analysis import judge
from hilum.domain.scores import Logits
from hilum.explain.caption import Caption
from hilum.explain.files import png_bytes
from hilum.explain.overlay import preview
from hilum.explain.picture import render
from hilum.imaging.gate import screen
from hilum.imaging.read import read
from hilum.report.parts.results import BatchResults

T = TypeVar("T")

__all__ = ["DECODE", "NETWORK", "Stages", "measure"]

DECODE = "read: file, sha256, PNG decode, checks"
NETWORK = "network, with all 14 maps"


@dataclass(frozen=True)
class Stages:
    """Core-milliseconds a film.

    Attributes:
        scores: of the stages that every film goes through, in order.
        preview: of the small picture of a film, where pictures are asked for.
        overlay: of one picture of one positive finding.
        positives: findings a film that get one.
    """

    scores: dict[str, float]
    preview: float
    overlay: float
    positives: float


def measure(bundle: Bundle, paths: Sequence[Path], batch: BatchResults) -> Stages:
    """Each stage on its own, on the same films.

    Args:
        bundle: loaded.
        paths: films.
        batch: a finished batch of some films, whose reports are written again.
    """
    with one_thread():
        return _measured(bundle, paths, batch)


@contextmanager
def one_thread() -> Generator[None]:
    """OpenCV and BLAS in the thread that calls them, as in a batch's readers."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)


def _measured(bundle: Bundle, paths: Sequence[Path], batch: BatchResults) -> Stages:
    preprocessing = bundle.manifest.preprocessing
    films = [read(path) for path in paths]
    rasters = np.stack([preprocessing.raster(film) for film in films])
    logits = bundle.engine.run(rasters).logits
    calibration = bundle.manifest.calibration
    scores = {
        DECODE: _each(read, paths),
        "screen: is it a chest film": _each(lambda film: screen(film, bundle.manifest.gate), films),
        "raster: to the network's square": _each(preprocessing.raster, films),
        NETWORK: core_ms(lambda: bundle.engine.run(rasters)) / len(films),
        "calibrate, decide": _each(
            lambda row: judge(Logits(logits.values[row : row + 1], bundle.labels), calibration),
            range(len(films)),
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        scores["reports: CSV, JSON lines, pages"] = core_ms(
            lambda: write_reports(batch, Path(folder))
        ) / len(batch.results)
    found = [len(result.positives) for result in batch.results]
    return Stages(scores, _each(preview, films), _overlay(bundle, paths), sum(found) / len(found))


def _overlay(bundle: Bundle, paths: Sequence[Path]) -> float:
    """One finding's map on the film, drawn with its words, and made a PNG."""
    shown = [bundle.predict(path) for path in paths[:8]]
    finding = bundle.labels.findings[0]
    words = Caption(finding, 0.73, 0.41, True)
    return _each(
        lambda said: png_bytes(render(said.film, said.heatmap(finding), caption=words)), shown
    )


def _each(work: Callable[[T], object], items: Sequence[T]) -> float:
    def all_of_them() -> None:
        for item in items:
            work(item)

    return core_ms(all_of_them) / len(items)
