"""The parts of a batch, scored by several machines or processes, put together into one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hilum.batch.journal import (
    Header,
    Journal,
    Recorded,
    files_of,
    in_order,
    read_entries,
    read_header,
    read_journal,
)
from hilum.batch.run import (
    FOLDERS,
    JOURNAL,
    BatchOutcome,
    clear_leftovers,
    facts,
    pictures_are_sheets,
    write_reports,
)
from hilum.bundle import Bundle
from hilum.domain.errors import UsageError
from hilum.files.atomic import atomic_file
from hilum.files.films import DICOM_FOLDER
from hilum.files.lock import locked
from hilum.report.parts.results import BatchResults

__all__ = ["merge"]


def merge(bundle: Bundle, parts: Sequence[Path], out: Path) -> BatchResults:
    """Put the folders of `hilum predict --shard` together: the reports of one run, to the byte.

    Args:
        bundle: that scored them.
        parts: a folder for each part of one list, all finished.
        out: the output folder, which must hold no batch yet.

    Raises:
        UsageError: when a part is missing, twice, unfinished, or of another batch.
    """
    headers = [read_header(part / JOURNAL) for part in parts]
    _check(bundle, headers)
    found = [_finished(part, header) for part, header in zip(parts, headers, strict=True)]
    begun = headers[0].model_copy(update={"shard": "", "list_sha256": ""})
    if (out / "results.jsonl").exists() or not _may_begin(out / JOURNAL, begun):
        raise UsageError(f"parts are put together in a new folder; {out} holds a batch already")
    scored_by = replace(facts(bundle), precision=begun.precision)
    with locked(out), Journal(out / JOURNAL, begun, Recorded()) as journal:
        origin: dict[str, Path] = {}
        for part, recorded in zip(parts, found, strict=True):
            for entry in read_entries(part / JOURNAL, in_order(recorded.places)):
                journal.append(entry)
                origin[entry.result.input] = part
        journal.sync()
        outcome, sheets = BatchOutcome(journal, origin), pictures_are_sheets(begun.options)
        batch = BatchResults(outcome, bundle.labels, scored_by, sheets=sheets)
        for folder in FOLDERS:
            (out / folder).mkdir(exist_ok=True)
        if any(result.dicom for result in batch.results):
            (out / DICOM_FOLDER).mkdir(exist_ok=True)
        clear_leftovers((out, *(out / folder for folder in FOLDERS)))
        for result in batch.results:
            for file in files_of(result):
                _copy(origin[result.input] / file, out / file)
        write_reports(batch, out)
    return batch


def _may_begin(path: Path, header: Header) -> bool:
    """Return whether there is no journal, or that of an interrupted merge of the same parts.

    Then all that it has is in the parts, and it is written anew.
    """
    try:
        read_journal(path, header)
    except UsageError:
        return False
    return True


def _check(bundle: Bundle, headers: Sequence[Header]) -> None:
    """Check that these are all parts of one list, scored alike."""
    same = {header.model_copy(update={"shard": ""}).model_dump_json() for header in headers}
    if len(same) != 1:
        raise UsageError(
            "parts must be of one batch: the same films, bundle, code and options; these are not"
        )
    if headers[0].bundle != bundle.id:
        raise UsageError(
            f"parts are put together with the bundle that scored them, {headers[0].bundle}; "
            f"this one is {bundle.id}"
        )
    shards = sorted(header.shard for header in headers)
    count = int(shards[0].partition("/")[2] or "0")
    wanted = sorted(f"{index}/{count}" for index in range(1, count + 1))
    if shards != wanted or not wanted:
        raise UsageError(
            f"every part must be there once; got {', '.join(shards) or 'none'} "
            f"and need {', '.join(wanted) or 'folders scored with --shard'}"
        )


def _finished(part: Path, header: Header) -> Recorded:
    """Return a part's inputs; refuse it unless its results cover every one."""
    recorded = read_journal(part / JOURNAL, header) or Recorded()
    results = part / "results.jsonl"
    if results.is_file():
        with results.open("rb") as lines:
            if sum(1 for _ in lines) == len(recorded.places):
                return recorded
    raise UsageError(f"a part must be finished; {part} is not. Run its `hilum predict` again")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with atomic_file(target, durable=False) as unfinished:
        shutil.copyfile(source, unfinished)
