"""The error browser of an evaluation: its surest calls, with the films and heatmaps behind them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.datasets import open_dataset
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.errors import BundleError, DatasetError, FilmError, HilumError, counted
from hilum.domain.record import Split
from hilum.explain.map_layer import map_layer
from hilum.explain.overlay import is_empty
from hilum.files.atomic import atomic_file
from hilum.files.sealed import read_sealed
from hilum.imaging.gate import GateRules
from hilum.imaging.preprocess import Preprocessing
from hilum.reading.film import Reading
from hilum.reading.process import ReaderProcess
from hilum.report.evaluation.errors import (
    CallKind,
    ErrorBrowser,
    FilmPictures,
    SureCall,
    errors_page,
)
from hilum.runs.folder import RunFolder
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.films import split_of
from hilum.stages.localize import Subject, subject_of

__all__ = ["PAGE", "ErrorRequest", "browse_errors", "read_calls"]

PAGE = "errors.html"
"""File name of the page, in the folder that is written to."""

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class ErrorRequest:
    """Films and network of an error browser.

    Attributes:
        evaluated: a run, or the folder of an evaluation: it holds cases.csv and evaluation.json.
        data: the dataset with the films; None for a run's own.
        maps: run or bundle whose network draws the heatmaps; None for the run itself.
    """

    evaluated: Path
    data: Path | None = None
    maps: Path | None = None


def browse_errors(request: ErrorRequest, out: Path, advance: Advance | None = None) -> ErrorBrowser:
    """Write errors.html, and the films and heatmaps it shows, into a folder.

    Films are read in a confined process. Where they cannot be had, the page holds the table alone
    and a note says why. Looking at test films is counted, as every look is.

    Args:
        request: what was evaluated, where its films are, and whose heatmaps to draw.
        out: the folder; made where it is missing.
        advance: called with (done, total) films read.

    Raises:
        BundleError: when the folder holds no evaluation, or it was edited.
    """
    folder = request.evaluated
    calls = read_calls(folder / "cases.csv")
    evaluation = read_sealed(Evaluation, folder / "evaluation.json")
    browser = ErrorBrowser(evaluation, calls, _totals(folder, calls))
    try:
        paths = _paths(request, evaluation, calls)
    except HilumError as error:
        browser = replace(browser, notes=(f"Pictures are left out: {error}",))
    else:
        subject = _subject(request)
        browser = _pictured(browser, subject, paths, out, advance)
        _count(folder, evaluation)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_file(out / PAGE) as unfinished:
        unfinished.write_bytes(errors_page(browser).encode())
    return browser


def read_calls(table: Path) -> tuple[SureCall, ...]:
    """Read cases.csv, in its order.

    Raises:
        BundleError: when the file is missing or is not as `hilum evaluate` wrote it.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return tuple(
                SureCall(
                    row["finding"],
                    CallKind(row["kind"]),
                    int(row["rank"]),
                    row["film"],
                    float(row["probability"]),
                    float(row["threshold"]),
                )
                for row in csv.DictReader(file)
            )
    except FileNotFoundError:
        raise BundleError(
            f"errors are those of an evaluation; {table.parent} has no cases.csv. Run "
            "`hilum evaluate` first, or name the folder it wrote to"
        ) from None
    except (KeyError, ValueError):
        raise BundleError(
            f"cases.csv must be as hilum wrote it; {table} was edited. Run `hilum evaluate` again"
        ) from None


def _totals(folder: Path, calls: Sequence[SureCall]) -> dict[tuple[str, CallKind], int]:
    """Count all calls of each kind from matched_predictions.csv; none where that is missing."""
    table = folder / "matched_predictions.csv"
    thresholds = {call.finding: call.threshold for call in calls}
    if not table.is_file():
        return {}
    found = {(finding, kind): 0 for finding in thresholds for kind in CallKind}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for finding, threshold in thresholds.items():
                label = row.get(f"label_{finding}")
                if label in ("positive", "negative"):
                    called = float(row[finding]) >= threshold
                    found[finding, _kind(called, label == "positive")] += 1
    return found


def _kind(called: bool, positive: bool) -> CallKind:
    if called:
        return CallKind.TRUE_POSITIVE if positive else CallKind.FALSE_POSITIVE
    return CallKind.FALSE_NEGATIVE if positive else CallKind.TRUE_NEGATIVE


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


def _paths(
    request: ErrorRequest, evaluation: Evaluation, calls: Sequence[SureCall]
) -> dict[str, Path]:
    """Return the file of each film that a call is about.

    Raises:
        HilumError: when no film is known, or none is here.
    """
    if evaluation.level != "film":
        raise DatasetError(f"a row is a {evaluation.level}, which is more than one film")
    if _is_run(request.evaluated):
        cohort = split_of(RunFolder(request.evaluated), Split.TEST, request.data)
    elif request.data is not None:
        cohort = open_dataset(request.data)
    else:
        raise DatasetError("the films are not known. Name their dataset with --data")
    wanted = {call.film for call in calls}
    paths = {
        record.image_id: record.path
        for record in cohort.records
        if record.image_id in wanted and record.path is not None and record.path.is_file()
    }
    if wanted and not paths:
        raise DatasetError(f"none of the {counted(len(wanted), 'film')} is on disk")
    return paths


def _subject(request: ErrorRequest) -> Subject | None:
    """Return the network that draws the heatmaps; None where there is none."""
    place = request.maps or (request.evaluated if _is_run(request.evaluated) else None)
    return None if place is None else subject_of(place)


def _pictured(
    browser: ErrorBrowser,
    subject: Subject | None,
    paths: dict[str, Path],
    out: Path,
    advance: Advance | None,
) -> ErrorBrowser:
    """Draw the films and heatmaps, and name them in the browser."""
    findings: dict[str, list[str]] = {}
    for call in browser.calls:
        findings.setdefault(call.film, []).append(call.finding)
    pictures: dict[str, FilmPictures] = {}
    preprocessing = Preprocessing() if subject is None else subject.engine.preprocessing
    shown = [film for film in findings if film in paths]
    with ReaderProcess(preprocessing, GateRules.labeled()) as reader:
        for number, film in enumerate(shown, start=1):
            reading = _read(reader, paths[film])
            if reading is not None and reading.preview is not None:
                name = f"films/{number:05d}.jpg"
                _write(out / name, reading.preview)
                maps = {} if subject is None else _maps(subject, reading, findings[film])
                drawn = {
                    finding: _map_file(number, finding, subject, out, png)
                    for finding, png in maps.items()
                }
                pictures[film] = FilmPictures(name, drawn)
            if advance is not None:
                advance(number, len(shown))
    notes = list(browser.notes)
    if missing := len(findings) - len(pictures):
        notes.append(f"{counted(missing, 'film')} of {len(findings)} could not be read or found.")
    if subject is not None:
        notes += _foreign(subject, browser.evaluation)
    maps_of = "" if subject is None else subject.name
    return replace(browser, pictures=pictures, maps_of=maps_of, notes=tuple(notes))


def _map_file(
    number: int, finding: str, subject: Subject | None, out: Path, png: bytes | None
) -> str:
    """Write a map and return its path below the page; empty for an empty map."""
    if png is None or subject is None:
        return ""
    name = f"maps/{number:05d}-{subject.engine.labels.index(finding):02d}.png"
    _write(out / name, png)
    return name


def _read(reader: ReaderProcess, path: Path) -> Reading | None:
    """Return the film, or None for one that cannot be shown: a bad film does not stop the rest."""
    try:
        found = reader.read(path, with_preview=True)
    except FilmError:
        return None
    return found if isinstance(found, Reading) else None


def _maps(subject: Subject, reading: Reading, findings: Sequence[str]) -> dict[str, bytes | None]:
    """Return each finding's map as a PNG to lay over the film; None for an empty map."""
    heatmaps = subject.engine.run(reading.raster[None]).heatmaps[0]
    preprocessing = subject.engine.preprocessing
    found: dict[str, bytes | None] = {}
    for finding in dict.fromkeys(findings):
        if finding in subject.engine.labels:
            cells = heatmaps[subject.engine.labels.index(finding)]
            shape = reading.facts.shape
            empty = is_empty(np.array(preprocessing.peak_on_film(cells, shape), np.float32))
            found[finding] = None if empty else map_layer(cells, preprocessing, shape)
    return found


def _foreign(subject: Subject, evaluation: Evaluation) -> Iterator[str]:
    """Say so where the heatmaps may not be those of the network that was evaluated."""
    evaluated = evaluation.provenance.get("model_sha256")
    if evaluated != subject.provenance.get("model_sha256"):
        yield (
            f"The heatmaps are those of {subject.name}; "
            + (
                "whether it gave these probabilities is not known."
                if evaluated is None
                else "the evaluated network is a different one."
            )
        )


def _count(folder: Path, evaluation: Evaluation) -> None:
    """Count the look at the evaluated films, where looks at them are counted."""
    ledger = folder / LEDGER
    if ledger.is_file():
        count_look(ledger, evaluation.split.sha256, {"errors_of": evaluation.model})


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
