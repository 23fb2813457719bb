"""Many films through one bundle: one row each, whatever happens to any of them, or to the run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.batch.dicom_objects import remove_stale_objects
from hilum.batch.engines import BatchEngine
from hilum.batch.engines.lanes import ENGINE
from hilum.batch.inputs import Listed, image_ids, output_names
from hilum.batch.journal import (
    Entry,
    Header,
    Journal,
    Recorded,
    files_of,
    read_entries,
    read_journal,
)
from hilum.batch.resume import Scoring
from hilum.batch.score import BatchRequest, Input, reject_conflict
from hilum.bundle import Bundle
from hilum.bundle.manifest import Manifest
from hilum.domain.documents.evaluation import Evaluation
from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import Status, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.provenance import SCORING, code_sha256
from hilum.domain.record import digest
from hilum.explain.files import PictureFormat
from hilum.explain.ramp import Style
from hilum.files.atomic import UNFINISHED, atomic_file
from hilum.files.films import RESULT_FOLDERS
from hilum.files.lock import locked
from hilum.report.batch import Report, reports
from hilum.report.parts.results import BatchResults, BundleFacts

__all__ = [
    "BatchOutcome",
    "Finished",
    "clear_leftovers",
    "pictures_are_sheets",
    "prepare",
    "remove_files",
    "run_batch",
    "write_reports",
]

JOURNAL = "journal.jsonl"
FOLDERS = RESULT_FOLDERS
"""Folders in the output folder: previews, maps, and overlays."""

Advance = Callable[[int, int], None]
_INPUT = re.compile(r'"input":("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Finished:
    """A batch that is done.

    Attributes:
        batch: what the reports were made from.
        resumed: inputs whose results an earlier, stopped run had left in the journal.
        replaced: inputs of the reports that were here before, which these reports do not have.
    """

    batch: BatchResults
    resumed: int
    replaced: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether any input was rejected or failed."""
        counts = self.batch.tally.statuses
        return counts[Status.REJECT] + counts[Status.ERROR] > 0


def prepare() -> None:
    """Do beforehand what the first batch of a process would wait for."""
    code_sha256(*SCORING)
    for report in reports().values():
        report.prepare()


def run_batch(
    bundle: Bundle,
    films: Sequence[Listed | Path],
    out: Path,
    request: BatchRequest | None = None,
    advance: Advance | None = None,
    engine: BatchEngine = ENGINE,
) -> Finished:
    """Score films; write previews, maps, the overlays that were requested, and all reports.

    Each finished film is a line of `journal.jsonl`, so that a run that was stopped, by whatever,
    goes on where it stopped: a film is not scored again when its name, its bytes and what scores
    it are the same and its pictures are there. Reports and pictures are those of a run without a
    stop, byte for byte; the lines of the journal come as films are finished. Films are read in
    processes of their own (`hilum.reading.reader`).

    Args:
        bundle: loaded.
        films: each gives exactly one result.
        out: the output folder, made here; files of an earlier batch are replaced, and its inputs
            that are not among these films are named in `Finished.replaced`.
        request: which pictures, thresholds and limits; None for the defaults.
        advance: called with (done, total).
        engine: where the films are worked on. Results do not depend on it.

    Raises:
        UsageError: when a heatmap is requested of a finding that the bundle lacks, a film lies
            where previews or overlays would be written over it, another run is writing to the
            folder, or its journal is damaged or of another bundle.
    """
    request = request or BatchRequest()
    shard = request.shard
    if request.pictures is not None:
        request.pictures.which.check(bundle.labels)
    folders = [out / folder for folder in FOLDERS]
    listed = [item if isinstance(item, Listed) else Listed(item) for item in films]
    _keep_apart([item.path for item in listed], folders)
    # named before they are parted, so that no two parts give two films one name
    paths = [item.path for item in listed]
    named = zip(listed, output_names(paths), image_ids(paths), strict=True)
    inputs = [Input(item, stem, image_id) for item, stem, image_id in named]
    header = _header(bundle, request, listed)
    if shard is not None:
        inputs = shard.of(inputs)
    with locked(out):
        reported = out / "results.jsonl"
        before = frozenset(_reported_inputs(reported)) if reported.exists() else frozenset[str]()
        recorded = read_journal(out / JOURNAL, header)
        _make_room(out, folders, earlier=recorded is None and reported.exists())
        with Journal(out / JOURNAL, header, recorded or Recorded()) as journal:
            scoring = Scoring(bundle, out, request, journal)
            resumed = _score(engine, scoring, inputs, advance)
            batch = _reported(scoring, inputs, in_parts=shard is not None)
    replaced = before.difference(item.name for item in inputs)
    return Finished(batch, resumed, tuple(sorted(replaced)))


def _reported_inputs(path: Path) -> Iterator[str]:
    """Yield the inputs of a results.jsonl; what is not a line of one is passed over."""
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            # the second field of a line; parsing the rest takes a hundred times as long
            if found := _INPUT.search(line):
                yield json.loads(found[1])


def _reported(scoring: Scoring, inputs: Sequence[Input], in_parts: bool) -> BatchResults:
    """Write the reports from the journal, and remove the pictures that none of them shows."""
    journal, bundle, out = scoring.journal, scoring.bundle, scoring.out
    journal.sync()
    results = BatchOutcome(journal, [item.name for item in inputs])
    sheets = pictures_are_sheets(scoring.request.options())
    batch = BatchResults(results, bundle.labels, facts(bundle), sheets=sheets)
    write_reports(batch, out)
    request = scoring.request
    if request.pictures is None and request.dicom is None:
        return batch
    shown = {file for result in batch.results for file in files_of(result)}
    if in_parts:
        # what a part rejects for its namesake, the whole may show
        shown.update(*(entry.files for entry in journal))
    if request.pictures is not None:
        _remove_stale(shown, journal, inputs, bundle.labels, [out / folder for folder in FOLDERS])
    if request.dicom is not None:
        remove_stale_objects(out, shown)
    return batch


def _score(
    engine: BatchEngine, scoring: Scoring, inputs: Sequence[Input], advance: Advance | None
) -> int:
    """Bring every input into the journal; return how many an earlier run had finished."""
    resumed = 0
    # closed at once when anything goes wrong here: nothing is written after the lock is released
    with closing(engine.entries(inputs, scoring)) as finished:
        for count, done in enumerate(finished, start=1):
            entry = done.entry
            if not done.resumed and scoring.journal.of(entry.result.input) != entry:
                scoring.journal.append(entry)
            resumed += done.resumed
            if advance is not None:
                advance(count, len(inputs))
    return resumed


def _header(bundle: Bundle, request: BatchRequest, listed: Sequence[Listed]) -> Header:
    shard = request.shard
    return Header(
        bundle=bundle.id,
        precision=bundle.precision.value,
        code_sha256=code_sha256(*SCORING),
        options=request.options(),
        shard="" if shard is None else f"{shard.index}/{shard.count}",
        list_sha256="" if shard is None else digest(str(item.path) for item in listed),
    )


def _make_room(out: Path, folders: Sequence[Path], earlier: bool) -> None:
    for folder in folders:
        if earlier:  # a batch of ours, without a journal: its pictures go with it
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers((out, *folders))


def _keep_apart(paths: Sequence[Path], folders: Sequence[Path]) -> None:
    """Refuse films in folders whose files are overwritten or removed, also through links."""

    def places(path: Path) -> set[Path]:
        return {Path(os.path.abspath(path)), Path(os.path.realpath(path))}  # noqa: PTH100

    written = [place for folder in folders for place in places(folder)]
    for path in paths:
        if any(film.is_relative_to(place) for film in places(path) for place in written):
            raise UsageError(
                f"results must not be written over films; {path} lies in "
                f"{' or '.join(str(folder) for folder in folders)}. Name another folder with -o"
            )


def facts(bundle: Bundle) -> BundleFacts:
    """Return the facts on the bundle for the reports."""
    return facts_of(bundle.manifest, bundle.id, bundle.precision.value, bundle.evaluation())


def facts_of(
    manifest: Manifest, bundle: str, precision: str, evaluation: Evaluation | None
) -> BundleFacts:
    """Return the facts on a bundle that need not be loaded.

    Args:
        manifest: of the bundle.
        bundle: its short id.
        precision: the arithmetic it was run in.
        evaluation: its own numbers; None where it has none.
    """
    calibration = manifest.calibration
    return BundleFacts(
        name=manifest.name,
        id=bundle,
        precision=precision,
        calibrator=calibration.calibrator.method,
        evaluation=evaluation,
        calibrated_on=calibration.fitted_on,
        prevalence=calibration.served_prevalence(),
    )


def pictures_are_sheets(options: Mapping[str, str]) -> bool:
    """Return whether the overlays of a batch are wide sheets, with the film beside its heatmap."""
    return options.get("panel") == "yes" or options.get("style") == Style.TRIPTYCH.value


def write_reports(batch: BatchResults, out: Path, but: Collection[str] = ()) -> list[Path]:
    """Write every report, each file moved into place whole.

    Args:
        batch: the results.
        out: the output folder.
        but: file names of reports that are left as they are.
    """
    wanted = [report for report in reports().values() if report.filename not in but]
    return [path for report in wanted for path in _write(report, batch, out)]


def _write(report: Report, batch: BatchResults, out: Path) -> list[Path]:
    """Write a report's files; pages that a larger batch had left go."""
    names: list[str] = []
    for name, pieces in report.files(batch):
        path = out / name
        with (
            atomic_file(path) as unfinished,
            unfinished.open("w", encoding="utf-8", newline="") as file,
        ):
            file.writelines(pieces)
        names.append(name)
    remove_files(out, lambda name: report.owns(name) and name not in names)
    return [out / name for name in names]


def _remove_stale(
    shown: Set[str],
    journal: Journal,
    inputs: Sequence[Input],
    labels: LabelSet,
    folders: Sequence[Path],
) -> None:
    """Remove the pictures that no report shows, of films no longer listed or of a killed run.

    Only what the journal names, or what has the name of a picture of a listed film, is ours; any
    other file stays.
    """
    stems = {item.stem for item in inputs}
    suffixes = {f".{kind.value}" for kind in PictureFormat}
    written = journal.superseded.union(*(entry.files for entry in journal)) - shown

    def stale(folder: str, name: str) -> bool:
        file, path = f"{folder}/{name}", Path(name)
        overlaid, _, finding = path.stem.rpartition("__")
        preview = path.suffix == ".jpg" and path.stem in stems
        drawn = path.suffix in suffixes and overlaid in stems and finding in labels
        return file in written or (file not in shown and (preview or drawn))

    for folder in folders:
        remove_files(folder, partial(stale, folder.name))


class BatchOutcome(Collection[ImageResult]):
    """The results of a batch in the order of their inputs' names, as often as they are requested.

    Two files that claim to be one DICOM object and show different pictures cannot both be right.
    The first by name that was scored keeps its result and each other is rejected, whichever was
    read first, so that the same films give the same reports.

    Args:
        journal: with an entry of every input.
        names: the inputs, as they were listed.
    """

    def __init__(self, journal: Journal, names: Iterable[str]) -> None:
        places = journal.places()
        self._path = journal.path
        self._places = [places[name] for name in sorted(names)]
        self._conflicts = _conflicts(read_entries(self._path, self._places))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, result: object) -> bool:
        return any(result == mine for mine in self)

    def __iter__(self) -> Iterator[ImageResult]:
        for entry in read_entries(self._path, self._places):
            first = self._conflicts.get(entry.result.input)
            yield entry.result if first is None else reject_conflict(entry.result, first)


def _conflicts(entries: Iterable[Entry]) -> dict[str, str]:
    """Input to the earlier input that was scored and whose identity it claims with other pixels.

    A film that was not scored has no say in what the others are.
    """
    first: dict[str, tuple[str, str]] = {}
    conflicts: dict[str, str] = {}
    for entry in entries:
        pixels, image_id = first.get(entry.sop_instance_uid, (entry.pixels_sha256, ""))
        if pixels != entry.pixels_sha256:
            conflicts[entry.result.input] = image_id
        elif entry.sop_instance_uid and entry.result.status.scored:
            mine = (entry.pixels_sha256, entry.result.image_id)
            first.setdefault(entry.sop_instance_uid, mine)
    return conflicts


def clear_leftovers(folders: Iterable[Path]) -> None:
    """Remove what a killed run had not finished writing."""
    for folder in folders:
        remove_files(folder, lambda name: name.startswith(".") and name.endswith(UNFINISHED))


def remove_files(folder: Path, unwanted: Callable[[str], bool]) -> None:
    """Remove the files right in a folder whose names are not wanted."""
    with os.scandir(folder) as found:
        names = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
    for name in names:
        if unwanted(name):
            (folder / name).unlink(missing_ok=True)
