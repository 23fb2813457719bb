"""The reports of an archive, made from its parts."""

from __future__ import annotations

from pathlib import Path

from hilum.batch.archive.gather import Gathered, gather, write_dataset
from hilum.batch.archive.run import read_identity
from hilum.batch.rebuild import facts_on
from hilum.batch.run import pictures_are_sheets, write_reports
from hilum.domain.errors import UsageError
from hilum.files.atomic import atomic_file
from hilum.files.lock import locked
from hilum.report.batch import Report
from hilum.report.batch.clinical_csv import ClinicalCsv
from hilum.report.batch.results_jsonl import ResultsJsonl
from hilum.report.parts.results import BatchResults, BundleFacts

__all__ = ["TABLES", "export_table", "merge_archive"]

TABLES: dict[str, Report] = {"csv": ClinicalCsv(), "jsonl": ResultsJsonl()}


def merge_archive(
    place: Path, bundle: Path | None = None, partial: bool = False
) -> tuple[Gathered, BatchResults | None]:
    """Check the parts of an archive, and write `dataset.json` and the reports of one run.

    Args:
        place: folder of the archive.
        bundle: that scored it; None to look among those that ship with hilum.
        partial: take an archive whose chunks are not all there; then there is `dataset.json` alone,
            which names them.

    Returns:
        The parts, and what the reports were made from; None where there are none.

    Raises:
        UsageError: when parts are missing, edited, or of something else.
    """
    with locked(place):
        gathered = gather(place, partial)
        write_dataset(place, gathered.dataset)
        if not gathered.dataset.complete:
            return gathered, None
        identity = gathered.dataset.identity
        labels, facts = facts_on(identity.bundle, identity.precision, bundle, place)
        sheets = pictures_are_sheets(identity.options)
        batch = BatchResults(gathered.results, labels, facts, sheets=sheets)
        write_reports(batch, place)
    return gathered, batch


def export_table(place: Path, kind: str, path: Path, partial: bool = False) -> int:
    """Write the results of an archive as one table, and return how many rows it has.

    Args:
        place: folder of the archive.
        kind: one of `TABLES`.
        path: the file.
        partial: take an archive whose chunks are not all there.

    Raises:
        UsageError: for another kind, or when parts are missing, edited, or of something else.
    """
    if kind not in TABLES:
        raise UsageError(f"--to must be one of {', '.join(TABLES)}; got {kind!r}")
    identity = read_identity(place)
    results = gather(place, partial).results
    facts = BundleFacts("", identity.bundle, identity.precision, "")
    batch = BatchResults(results, identity.labels, facts)
    with (
        atomic_file(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        file.writelines(TABLES[kind].pieces(batch))
    return len(results)
