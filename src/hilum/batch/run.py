"""Many films through one bundle: one row each, whatever happens to any of them, or to the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.batch.folder import clear_leftovers, remove_files
from hilum.batch.inputs import output_names
from hilum.batch.journal import Header, Journal, Recorded, read_journal
from hilum.batch.score import Input, Scoring
from hilum.bundle import Bundle
from hilum.domain.errors import UsageError
from hilum.domain.held import held
from hilum.domain.provenance import code_sha256
from hilum.domain.result import ImageResult
from hilum.domain.whole import write_whole
from hilum.explain.request import Pictures
from hilum.report.base import BatchResults, BundleFacts, reports

__all__ = ["Finished", "predict_batch", "run_batch", "write_reports"]

CHUNK = 16
"""Films in memory at a time."""
JOURNAL = "journal.jsonl"

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Finished:
    """A batch that is done.

    Attributes:
        batch: what the reports were made from.
        taken: inputs whose results an earlier, stopped run had left in the journal.
    """

    batch: BatchResults
    taken: int


def predict_batch(
    bundle: Bundle,
    paths: Sequence[Path],
    out: Path,
    threads: int = 2,
    advance: Advance | None = None,
    pictures: Pictures | None = None,
) -> BatchResults:
    """The results of `run_batch`, for who does not ask where they came from."""
    return run_batch(bundle, paths, out, threads, advance, pictures).batch


def run_batch(
    bundle: Bundle,
    paths: Sequence[Path],
    out: Path,
    threads: int = 2,
    advance: Advance | None = None,
    pictures: Pictures | None = None,
) -> Finished:
    """Score films; write previews, pictures of heatmaps, and all reports.

    Each finished film is a line of `journal.jsonl`, so that a run that was stopped, by whatever,
    goes on where it stopped: a film is not scored again when its name, its bytes and what scores
    it are the same and its pictures are there. The files are those of a run without a stop, byte
    for byte.

    Args:
        bundle: loaded.
        paths: the films; each gives exactly one result.
        out: the output folder, made here; files of an earlier batch are replaced.
        threads: films read and drawn at a time.
        advance: called with (done, total).
        pictures: which heatmaps to draw, and how; None for overlays of the positive findings.

    Raises:
        UsageError: when a heatmap is asked for of a finding that the bundle lacks,
            a film lies where previews or overlays would be written over it, another
            run is writing to the folder, or its journal is damaged or of another bundle.
    """
    pictures = pictures or Pictures()
    pictures.which.check(bundle.labels)
    folders = (out / "films", out / "overlays")
    _keep_apart(paths, folders)
    out.mkdir(parents=True, exist_ok=True)
    inputs = [Input(p, stem) for p, stem in zip(paths, output_names(paths), strict=True)]
    header = _header(bundle, pictures)
    with held(out):
        recorded = read_journal(out / JOURNAL, header)
        _make_room(out, folders, earlier=recorded is None and (out / "results.jsonl").exists())
        recorded = recorded or Recorded()
        scoring = Scoring(bundle, out, recorded.entries, pictures)
        results: list[ImageResult] = []
        taken = 0
        with (
            Journal(out / JOURNAL, header, recorded) as journal,
            ThreadPoolExecutor(threads) as pool,
        ):
            for chunk in _chunks(inputs):
                for entry, earlier in scoring.entries(chunk, pool):
                    if recorded.entries.get(entry.result.input) != entry:
                        journal.append(entry)
                    taken += earlier
                    results.append(entry.result)
                if advance is not None:
                    advance(len(results), len(inputs))
        batch = BatchResults(tuple(results), bundle.labels, facts(bundle))
        write_reports(batch, out)
        if recorded.end:
            _remove_stale(batch, inputs, recorded, folders)
    return Finished(batch, taken)


def _header(bundle: Bundle, pictures: Pictures) -> Header:
    return Header(
        bundle=bundle.id,
        precision=bundle.precision.value,
        code_sha256=code_sha256(),
        options=pictures.options(),
    )


def _make_room(out: Path, folders: Sequence[Path], earlier: bool) -> None:
    for folder in folders:
        if earlier:  # a batch of ours, without a journal: its pictures go with it
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers((out, *folders))


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
        write_whole(path, report.render(batch).encode(), durable=True)
        written.append(path)
    return written


def _remove_stale(
    batch: BatchResults, inputs: Sequence[Input], recorded: Recorded, folders: Sequence[Path]
) -> None:
    """Remove the pictures that no report shows, of films no longer listed or of a killed run.

    Only what the journal names, or what has the name of a picture of a listed film, is ours; any
    other file stays.
    """
    shown = {file for result in batch.results for file in (result.film, *result.heatmaps.values())}
    stems = {item.stem for item in inputs}

    def stale(folder: str, name: str) -> bool:
        file, path = f"{folder}/{name}", Path(name)
        overlaid, _, finding = path.stem.rpartition("__")
        preview = path.suffix == ".jpg" and path.stem in stems
        drawn = path.suffix == ".png" and overlaid in stems and finding in batch.labels
        return file not in shown and (file in recorded.files or preview or drawn)

    for folder in folders:
        remove_files(folder, partial(stale, folder.name))


def _chunks(inputs: list[Input]) -> Iterator[list[Input]]:
    for start in range(0, len(inputs), CHUNK):
        yield inputs[start : start + CHUNK]
