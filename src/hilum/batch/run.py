"""Many films through one bundle: one row each, whatever happens to any of them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.batch.inputs import output_names
from hilum.bundle import Bundle, Prediction
from hilum.domain.errors import FilmError, ReasonCode, Status, UsageError
from hilum.domain.radiograph import Radiograph
from hilum.domain.result import FindingResult, ImageResult
from hilum.domain.seal import file_sha256
from hilum.explain.overlay import overlay, png_bytes, preview
from hilum.explain.region import regions
from hilum.imaging.gate import screen
from hilum.imaging.read import read
from hilum.report.base import BatchResults, BundleFacts, reports

__all__ = ["predict_batch", "write_reports"]

CHUNK = 16
"""Films in memory at a time."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class _Input:
    path: Path
    stem: str


@dataclass(frozen=True)
class _Read:
    film: Radiograph
    codes: tuple[ReasonCode, ...]


def predict_batch(
    bundle: Bundle,
    paths: Sequence[Path],
    out: Path,
    threads: int = 2,
    advance: Advance | None = None,
) -> BatchResults:
    """Score films; write previews, overlays of positive findings, and all reports.

    Args:
        bundle: loaded.
        paths: the films; each gives exactly one result.
        out: the output folder, made here; files of an earlier batch are replaced.
        threads: films read and drawn at a time.
        advance: called with (done, total).

    Returns:
        What the reports were made from.

    Raises:
        UsageError: when a film lies where previews or overlays would be written over it.
    """
    folders = (out / "films", out / "overlays")
    _keep_apart(paths, folders)
    earlier = (out / "results.jsonl").exists()
    for folder in folders:
        if earlier:  # a batch of ours: its pictures go with it
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    inputs = [_Input(p, stem) for p, stem in zip(paths, output_names(paths), strict=True)]
    results: list[ImageResult] = []
    with ThreadPoolExecutor(threads) as pool:
        for chunk in _chunks(inputs):
            films = list(pool.map(_read, chunk))
            good = [found.film for found in films if isinstance(found, _Read)]
            predictions = iter(bundle.predict_many(good) if good else [])
            jobs = [
                (item, found, next(predictions) if isinstance(found, _Read) else None)
                for item, found in zip(chunk, films, strict=True)
            ]
            results.extend(pool.map(partial(_result, bundle, out), jobs))
            if advance is not None:
                advance(len(results), len(inputs))
    batch = BatchResults(tuple(results), bundle.labels, facts(bundle))
    write_reports(batch, out)
    return batch


def _keep_apart(paths: Sequence[Path], folders: Sequence[Path]) -> None:
    """What lies in these folders is written over or removed, by name and behind links."""

    def places(path: Path) -> set[Path]:
        return {Path(os.path.abspath(path)), Path(os.path.realpath(path))}  # noqa: PTH100

    taken = [place for folder in folders for place in places(folder)]
    for path in paths:
        if any(film.is_relative_to(place) for film in places(path) for place in taken):
            raise UsageError(
                f"results must not be written over films; {path} lies in "
                f"{' or '.join(str(folder) for folder in folders)}. Name another folder with -o"
            )


def facts(bundle: Bundle) -> BundleFacts:
    """What the reports say of the bundle."""
    return BundleFacts(
        name=bundle.manifest.name,
        id=bundle.id,
        precision=bundle.precision.value,
        calibrator=bundle.manifest.calibration.calibrator.method,
        evaluation=bundle.evaluation(),
    )


def write_reports(batch: BatchResults, out: Path) -> list[Path]:
    """Write every report, each moved into place whole."""
    written: list[Path] = []
    for report in reports().values():
        path = out / report.filename
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(report.render(batch), "utf-8", newline="")
        partial.replace(path)
        written.append(path)
    return written


def _chunks(inputs: list[_Input]) -> Iterator[list[_Input]]:
    for start in range(0, len(inputs), CHUNK):
        yield inputs[start : start + CHUNK]


def _read(item: _Input) -> _Read | FilmError:
    try:
        film = read(item.path)
        return _Read(film, (*film.codes, *screen(film)))
    except FilmError as error:
        return error


def _result(
    bundle: Bundle, out: Path, job: tuple[_Input, _Read | FilmError, Prediction | None]
) -> ImageResult:
    item, found, prediction = job
    if isinstance(found, FilmError) or prediction is None:
        return _unscored(bundle, item, found)
    heatmaps, findings, codes = _explain(prediction, out, item.stem)
    (out / "films" / f"{item.stem}.jpg").write_bytes(preview(found.film))
    codes = tuple(dict.fromkeys((*found.codes, *codes)))
    return ImageResult(
        input=str(item.path),
        image_id=item.path.name,
        sha256=found.film.sha256,
        status=Status.WARN if codes else Status.OK,
        codes=codes,
        view=found.film.view,
        findings=findings,
        heatmaps=heatmaps,
        film=f"films/{item.stem}.jpg",
        bundle=bundle.id,
        precision=bundle.precision.value,
    )


def _explain(
    prediction: Prediction, out: Path, stem: str
) -> tuple[dict[str, str], dict[str, FindingResult], tuple[ReasonCode, ...]]:
    """Overlays of the positive findings, and their regions in words."""
    heatmaps: dict[str, str] = {}
    findings = dict(prediction.findings)
    codes: tuple[ReasonCode, ...] = ()
    for name in prediction.positives:
        heatmap = prediction.heatmap(name)
        drawn = overlay(prediction.film, heatmap)
        if drawn.empty:
            codes = (ReasonCode.EMPTY_HEATMAP,)
        file = f"overlays/{stem}__{name}.png"
        (out / file).write_bytes(png_bytes(drawn.rgb))
        heatmaps[name] = file
        places = regions(heatmap, prediction.film.view)
        findings[name] = findings[name].model_copy(update={"regions": places})
    return heatmaps, findings, codes


def _unscored(bundle: Bundle, item: _Input, error: _Read | FilmError) -> ImageResult:
    if not isinstance(error, FilmError):
        raise TypeError("a film that was read must have a prediction")
    return ImageResult(
        input=str(item.path),
        image_id=item.path.name,
        sha256=_hash(item.path),
        status=error.status,
        codes=(error.code,),
        message=error.message,
        bundle=bundle.id,
        precision=bundle.precision.value,
    )


def _hash(path: Path) -> str | None:
    """Of what was not scored, where it is a file at all and can be read."""
    try:
        return file_sha256(path) if stat.S_ISREG(path.stat().st_mode) else None
    except (OSError, ValueError):
        return None
