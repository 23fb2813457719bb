"""A reader study: predictions, readers and truth matched by film, measured and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hilum.datasets import open_dataset
from hilum.datasets.parts.records import NO_PATIENTS
from hilum.domain.documents.readers import ReaderStudy
from hilum.domain.errors import UsageError
from hilum.domain.policy import LabelPolicy, settle
from hilum.domain.record import Cohort, digest
from hilum.evaluation.readers import StudyRequest, study_readers
from hilum.files.sealed import file_sha256, write_sealed
from hilum.predictions.read import read_predictions
from hilum.predictions.readers import Readings, read_readers, readings_of_votes
from hilum.report.readers import markdown
from hilum.splits import recognize
from hilum.stages.evaluate import LEDGER, count_look
from hilum.stages.films import in_order

__all__ = ["ReadersRequest", "compare_with_readers"]


@dataclass(frozen=True)
class ReadersRequest:
    """Options of a reader study.

    Attributes:
        called_at: rating from which on a reader calls a finding positive.
        policy: what the truth's labels count as.
        resamples, seed: of the intervals.
    """

    called_at: float = 0.5
    policy: LabelPolicy = field(default_factory=LabelPolicy)
    resamples: int = 1000
    seed: int = 0


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
    if not readers.exists():
        raise UsageError(f"--readers must name a folder or a table; {readers} is not there")
    read = read_predictions(table, settle(open_dataset(labels), request.policy))
    cohort = in_order(read.cohort, read.probabilities.labels)
    if readers.is_dir():
        found = read_readers(readers, cohort)
    else:
        found = readings_of_votes(readers, open_dataset(readers), cohort)
    out.mkdir(parents=True, exist_ok=True)
    known = recognize(cohort.image_ids())
    table_sha256 = file_sha256(table)
    count_look(out / LEDGER, digest(cohort.image_ids()), {"predictions_sha256": table_sha256})
    study = study_readers(
        read.probabilities,
        cohort,
        found,
        StudyRequest(
            model=table.name,
            split=f"the films of {table.name}" if known is None else known.name,
            called_at=request.called_at,
            resamples=request.resamples,
            seed=request.seed,
            provenance=(
                ("predictions_sha256", table_sha256),
                ("records_sha256", cohort.sha256()),
            ),
            notes=(*read.notes, *_notes(cohort, found)),
        ),
    )
    write_sealed(study, out / "readers.json")
    (out / "readers.md").write_text(markdown(study), "utf-8")
    return study


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
