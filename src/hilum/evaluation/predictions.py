"""Anybody's predictions: a table with a film column and a column of probabilities a finding."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from hilum.domain.errors import DatasetError, Status, UsageError, suggestion
from hilum.domain.findings import LabelSet, find
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities

__all__ = ["FILM_COLUMNS", "Predictions", "read_predictions"]

FILM_COLUMNS = ("image_id", "image index", "image", "film", "filename", "file", "path", "study")
"""Names of the column that names the film, in order of preference; case and `_` do not matter."""

_PREFIXES = ("prob_", "pred_", "p_", "score_")
_SCORED = {status.value for status in Status if status.scored}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions and the films they are for, row by row.

    Attributes:
        probabilities: (N, L) for the findings that the table and the cohort share.
        cohort: the records of these films, in the order of the dataset.
        notes: what was left out and why, with counts, a line each.
    """

    probabilities: Probabilities
    cohort: Cohort
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    film: str
    status: str | None
    findings: dict[str, str]
    """Finding to the column that holds it."""
    ignored: tuple[str, ...]


def read_predictions(path: Path, cohort: Cohort) -> Predictions:
    """Reads a predictions table and matches it with labelled films by name.

    Films are matched by their whole name, else by file name without folders. Finding columns are
    matched by alias, with or without a prefix such as `prob_`. Rows that a `status` column calls
    anything but ok or warn were not scored: they are left out and counted, never taken for 0.

    Args:
        path: CSV, UTF-8 with or without byte order mark.
        cohort: the films with their labels.

    Raises:
        DatasetError: for a table without films or findings, a film listed twice, a value that is
            no number in [0, 1], or no film in common.
        UsageError: for a file that cannot be opened.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = _columns(path, list(reader.fieldnames or ()), cohort.labels)
            scores, unscored = _rows(path, reader, columns)
    except OSError as error:
        raise UsageError(f"cannot read predictions {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path.name} is not a CSV table in UTF-8: {error}") from None
    return _matched(path, cohort, columns, scores, unscored)


def _folded(word: str) -> str:
    return " ".join(word.replace("_", " ").split()).casefold()


def _columns(path: Path, header: list[str], labels: LabelSet) -> _Columns:
    by_name = {_folded(name): name for name in reversed(header)}
    film = next((by_name[_folded(n)] for n in FILM_COLUMNS if _folded(n) in by_name), None)
    if film is None:
        raise DatasetError(
            f"{path.name} must have a column that names the film, such as Image_ID; "
            f"it has {', '.join(header) or 'no header'}"
        )
    status = by_name.get("status")
    findings: dict[str, str] = {}
    ignored: list[str] = []
    for column in header:
        name = _finding(column)
        if name is None or name not in labels:
            if column not in (film, status):
                ignored.append(column)
            continue
        if name in findings:
            raise DatasetError(
                f"{path.name} has two columns of {name}: {findings[name]} and {column}. Keep one"
            )
        findings[name] = column
    if not findings:
        near = next((hint for c in header if (hint := suggestion(c, labels))), "")
        raise DatasetError(
            f"{path.name} has no column of a finding of {labels.name}; "
            f"it has {', '.join(header)}.{near}"
        )
    return _Columns(film, status, findings, tuple(ignored))


def _finding(column: str) -> str | None:
    """The finding a column is named after, or None."""
    lower = column.casefold()
    bare = next((column[len(p) :] for p in _PREFIXES if lower.startswith(p)), column)
    try:
        return find(bare).name
    except UsageError:
        return None


def _rows(
    path: Path, reader: csv.DictReader[str], columns: _Columns
) -> tuple[dict[str, list[float]], int]:
    """Film to its probabilities, and the number of rows that were not scored."""
    scores: dict[str, list[float]] = {}
    unscored = 0
    for row in reader:
        if columns.status is not None and row[columns.status] not in _SCORED:
            unscored += 1
            continue
        film = row[columns.film] or ""
        where = f"{path.name} line {reader.line_num}"
        if not film:
            raise DatasetError(f"{where}: column {columns.film} must name the film; it is blank")
        if film in scores:
            raise DatasetError(f"{where}: film {film} is listed twice. Keep one row a film")
        scores[film] = [
            _probability(row[column], f"{where}, {column}") for column in columns.findings.values()
        ]
    return scores, unscored


def _probability(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 1.0:
        raise DatasetError(
            f"{where}: a probability must be a number in [0, 1]; got '{text or ''}'. "
            "Logits must be calibrated first"
        )
    return value


def _matched(
    path: Path,
    cohort: Cohort,
    columns: _Columns,
    scores: dict[str, list[float]],
    unscored: int,
) -> Predictions:
    known = set(cohort.image_ids())
    found: dict[str, list[float]] = {}
    for film, values in scores.items():
        name = film if film in known else PurePosixPath(film.replace("\\", "/")).name
        if name in found:
            raise DatasetError(f"{path.name}: two rows are for film {name}. Keep one row a film")
        found[name] = values
    kept = cohort.select(lambda record: record.image_id in found)
    if len(kept) == 0:
        raise DatasetError(
            f"{path.name} and {cohort.dataset} have no film in common; the table names "
            f"{list(scores)[:1] or 'none'}, the dataset {cohort.image_ids()[:1] or 'none'}"
        )
    order = sorted(columns.findings, key=cohort.labels.index)
    position = list(columns.findings)
    table = np.array([found[image_id] for image_id in kept.image_ids()], np.float64)
    labels = LabelSet(cohort.labels.name, tuple(order))
    if len(labels) < len(cohort.labels):
        labels = replace(labels, name=f"{len(labels)} findings of {cohort.labels.name}")
    return Predictions(
        Probabilities(table[:, [position.index(name) for name in order]], labels),
        kept,
        tuple(_notes(path, columns, cohort, (unscored, len(found), len(kept)))),
    )


def _notes(
    path: Path, columns: _Columns, cohort: Cohort, counts: tuple[int, int, int]
) -> Iterator[str]:
    unscored, given, used = counts
    if unscored:
        yield f"{unscored} rows of {path.name} were not scored (status) and are left out"
    if given > used:
        yield f"{given - used} films of {path.name} are not among the labelled films"
    if len(cohort) > used:
        yield f"{len(cohort) - used} of {len(cohort)} labelled films have no prediction"
    absent = [name for name in cohort.labels if name not in columns.findings]
    if absent:
        yield f"findings without a column in {path.name}: {', '.join(absent)}"
    if columns.ignored:
        some = [*columns.ignored[:4], *(["…"] if len(columns.ignored) > 4 else [])]
        count = len(columns.ignored)
        yield f"{count} columns name no finding of {cohort.labels.name}: {', '.join(some)}"
