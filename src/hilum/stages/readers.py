"""A reader study: predictions, readers and truth matched by film, measured and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hilum.datasets import open_dataset
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.readers import ReaderStudy
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort
from hilum.evaluation.readers import MARGIN, StudyRequest, study_readers
from hilum.files.atomic import write_atomic
from hilum.files.sealed import file_sha256, write_sealed
from hilum.predictions.read import read_predictions
from hilum.predictions.readers import (
    Readings,
    read_readers,
    readings_of_ratings,
    readings_of_votes,
)
from hilum.report.readers import markdown
from hilum.report.readers_page import PAGE, readers_page
from hilum.splits import recognize
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.films import in_order

__all__ = ["ReadersRequest", "compare_with_readers", "measure_readers"]


@dataclass(frozen=True)
class ReadersRequest:
    """Options of a reader study.

    Attributes:
        called_at: rating from which on a reader calls a finding positive.
        margin: how much worse than the mean reader still counts as no worse, in (0, 1).
        policy: what the truth's labels count as.
        resamples, seed: of the intervals.
        aided: the same readers' second readings, with the model's help: a folder or a table as of
            the first; None where there are none.
    """

    called_at: float = 0.5
    margin: float = MARGIN
    policy: LabelPolicy = field(default_factory=LabelPolicy)
    resamples: int = 1000
    seed: int = 0
    aided: Path | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.margin < 1.0:
            raise UsageError(f"a margin must be between 0 and 1; got {self.margin:g}")


def compare_with_readers(
    table: Path, readers: Path, labels: Path, out: Path, request: ReadersRequest
) -> ReaderStudy:
    """Measure a model and readers on the same films, and write readers.json, .md and .html.

    Args:
        table: the model's predictions, as CSV.
        readers: a folder with a table for each reader, or one table with a column `reader`.
        labels: the truth: a dataset's folder, or one of its tables.
        out: where to write; the look at the films is counted there.
        request: what to do.

    Raises:
        DatasetError: when predictions, readers and truth do not fit together.
        UsageError: for readers that are not there, or uncertain labels without a policy.
    """
    study = measure_readers(table, readers, labels, request)
    out.mkdir(parents=True, exist_ok=True)
    hashes = {"predictions_sha256": study.provenance["predictions_sha256"]}
    count_look(out / LEDGER, study.split.sha256, hashes)
    write_sealed(study, out / "readers.json")
    (out / "readers.md").write_text(markdown(study), "utf-8")
    write_atomic(out / PAGE, readers_page(study).encode("utf-8"))
    return study


def measure_readers(
    table: Path, readers: Path, labels: Path, request: ReadersRequest
) -> ReaderStudy:
    """Measure a model and readers on the same films; as `compare_with_readers`, nothing written."""
    for option, place in (("--readers", readers), ("--aided", request.aided)):
        if place is not None and not place.exists():
            raise UsageError(f"{option} must name a folder or a table; {place} is not there")
    read = read_predictions(table, settle(open_dataset(labels), request.policy))
    cohort = in_order(read.cohort, read.probabilities.labels)
    found = _panel(readers, cohort)
    aided = [] if request.aided is None else _again(request.aided, found, cohort)
    known = recognize(cohort.image_ids())
    return study_readers(
        read.probabilities,
        cohort,
        found,
        StudyRequest(
            model=table.name,
            split=f"the films of {table.name}" if known is None else known.name,
            called_at=request.called_at,
            margin=request.margin,
            resamples=request.resamples,
            seed=request.seed,
            provenance=(
                ("predictions_sha256", file_sha256(table)),
                ("records_sha256", cohort.sha256()),
            ),
            notes=(*read.notes, *_notes(cohort, found, aided)),
        ),
        aided,
    )


def _panel(place: Path, cohort: Cohort) -> list[Readings]:
    """Read a folder with a table a reader, or one table with a column `reader`."""
    if place.is_dir():
        return read_readers(place, cohort)
    if rated := readings_of_ratings(place, cohort):
        return rated
    return readings_of_votes(place, open_dataset(place), cohort)


def _again(place: Path, first: list[Readings], cohort: Cohort) -> list[Readings]:
    """Read the second readings; those of readers without a first one cannot be compared."""
    found = _panel(place, cohort)
    names = {one.reader for one in first}
    both = [one for one in found if one.reader in names]
    if not both:
        raise DatasetError(
            f"readers with the model's help must be those without, by name; {place} has "
            f"{', '.join(one.reader for one in found)}, and there are {', '.join(sorted(names))}"
        )
    return both


def _notes(cohort: Cohort, readers: list[Readings], aided: list[Readings]) -> list[str]:
    notes = [
        "labels mined from reports are no expert truth: a reader who disagrees with them may be "
        "right"
    ]
    if len(readers) == 1:
        notes.append("one reader: readers at large are not tested")
    if aided:
        notes.append(
            "with help less without: who read the same films twice may remember them, and the "
            "order of the two readings is not known here"
        )
        missing = sorted({one.reader for one in readers} - {one.reader for one in aided})
        notes += [f"without a second reading: {', '.join(missing)}"] if missing else []
    if NO_PATIENTS in cohort.notes:
        notes.append("patients are not known: each film counts as a patient")
    return notes
