"""A reader study: predictions, readers and truth matched by film, measured and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hilum.datasets import open_dataset
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.readers import ReaderStudy
from hilum.domain.errors import UsageError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort
from hilum.evaluation.readers import MARGIN, StudyRequest, study_readers
from hilum.files.sealed import file_sha256, write_sealed
from hilum.predictions.read import read_predictions
from hilum.predictions.readers import Readings, read_readers, readings_of_votes
from hilum.report.readers import markdown
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
    """

    called_at: float = 0.5
    margin: float = MARGIN
    policy: LabelPolicy = field(default_factory=LabelPolicy)
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.margin < 1.0:
            raise UsageError(f"a margin must be between 0 and 1; got {self.margin:g}")


def compare_with_readers(
    table: Path, readers: Path, labels: Path, out: Path, request: ReadersRequest
) -> ReaderStudy:
    """Measure a model and readers on the same films, and write readers.json and readers.md.

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
    return study


def measure_readers(
    table: Path, readers: Path, labels: Path, request: ReadersRequest
) -> ReaderStudy:
    """Measure a model and readers on the same films; as `compare_with_readers`, nothing written."""
    if not readers.exists():
        raise UsageError(f"--readers must name a folder or a table; {readers} is not there")
    read = read_predictions(table, settle(open_dataset(labels), request.policy))
    cohort = in_order(read.cohort, read.probabilities.labels)
    if readers.is_dir():
        found = read_readers(readers, cohort)
    else:
        found = readings_of_votes(readers, open_dataset(readers), cohort)
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
            notes=(*read.notes, *_notes(cohort, found)),
        ),
    )


def _notes(cohort: Cohort, readers: list[Readings]) -> list[str]:
    notes = [
        "labels mined from reports are no expert truth: a reader who disagrees with them may be "
        "right"
    ]
    if len(readers) == 1:
        notes.append("one reader: readers at large are not tested")
    if NO_PATIENTS in cohort.notes:
        notes.append("patients are not known: each film counts as a patient")
    return notes
