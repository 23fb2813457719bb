"""Anybody's predictions: a table with a film column and a column of probabilities a finding."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, Status, suggestion
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort
from hilum.domain.scores import Probabilities
from hilum.files.lines import text_lines
from hilum.predictions.columns import finding_of
from hilum.predictions.levels import Level, grouped
from hilum.predictions.normalized import normalized_findings

__all__ = ["FILM_COLUMNS", "STUDY_COLUMNS", "Predictions", "read_predictions"]

FILM_COLUMNS = (
    *("Image Index", "image_id", "image", "image_name", "film", "filename", "file", "file_path"),
    *("path", "dicom_id", "SOPInstanceUID", "patientId"),
)
"""Names of the column that names the film, in order of preference; case, blanks and `_` do not
matter. RSNA calls its films patients."""
STUDY_COLUMNS = ("study", "study_id", "StudyInstanceUID")
"""The same of a column that names the study, where none names the film."""

_NUMBERED = re.compile(r"[A-Za-z: ]*[_ ]?\d+(\.\d+)?")
_SCORED = {status.value for status in Status if status.scored}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions and what they are for, row by row.

    Attributes:
        probabilities: (N, L) for the findings that the table and the cohort share.
        cohort: the records predicted, in the order of the dataset: films, or studies.
        level: which of the two the table names.
        columns: finding to the column that was read for it.
        notes: what was left out and why, with counts, a line each.
    """

    probabilities: Probabilities
    cohort: Cohort
    level: Level
    columns: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Where to find what: positions in the header."""

    header: tuple[str, ...]
    film: int
    level: Level
    status: int | None
    findings: dict[str, int]
    """Finding to its column, in the cohort's order."""
    passed_over: tuple[str, ...]
    """Columns that name a finding, but less plainly than another."""
    ignored: tuple[str, ...]

    @property
    def width(self) -> int:
        return 1 + max(self.film, self.status or 0, *self.findings.values())


class _Sheet:
    """The rows that were read for some records: memory grows with these, not with the table."""

    def __init__(self, records: int, findings: int) -> None:
        self.values = np.zeros((records, findings))
        self.lines = np.zeros(records, np.int64)
        self.fault = ""

    def write(self, row: int, line: int, values: Sequence[float]) -> int:
        """Write a record's probabilities; the line that had it before, or 0."""
        before = int(self.lines[row])
        self.values[row], self.lines[row] = values, line
        return before

    @property
    def rows(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.lines)


def read_predictions(path: Path, cohort: Cohort) -> Predictions:
    """Reads a predictions table and matches it with labelled films, or studies, by name.

    Names are matched as `FilmNames` says. Finding columns are matched by alias, with or without
    `prob_`, `p_`, `score_` or `pred_` before or after; of two columns of a finding that which says
    that it is a probability counts, and one that says it is a decision (`Mass_pred`) counts least.
    Rows that a `status` column calls anything but ok or warn were not scored: they are left out and
    counted, never taken for 0.

    Args:
        path: CSV, UTF-8 with or without byte order mark, plain or gzipped.
        cohort: the films with their labels.

    Raises:
        DatasetError: for a table without films or findings, or with numbers in place of names; a
            film listed twice; a value that is no number in [0, 1]; or no film in common.
        UsageError: for a file that cannot be opened.
    """
    with _rows(path) as rows:
        columns = _columns(path, tuple(next(rows, ((), 0))[0]), cohort.labels)
    levels = [Level.FILM]
    if any(record.study_id for record in cohort.records):
        levels.insert(0 if columns.level is Level.STUDY else 1, Level.STUDY)
    counts: Counter[str] = Counter()
    several = 0
    for level in levels:
        named = grouped(cohort, level)
        counts = Counter()
        sheet = _read(path, columns, FilmNames(named.image_ids()), counts)
        if len(sheet.rows):
            return _matched(path, columns, (named, level), sheet, counts)
        several = max(several, counts["many"])
    many = f"; {several:,} of them fit several films" if several else ""
    with _rows(path) as rows:
        first = next((row[columns.film] for row, line in rows if line > 1), "none")
    raise DatasetError(
        f"{path.name} and {cohort.dataset} must have a film in common; the table names "
        f"{counts['rows']:,}, first: {first}{many}; the dataset {len(cohort):,}, first: "
        f"{cohort.image_ids()[0] if len(cohort) else 'none'}. Name films as the dataset does"
    )


@contextmanager
def _rows(path: Path) -> Generator[Iterator[tuple[list[str], int]]]:
    """Each row of a CSV table with its line number, one at a time; blank lines are passed over."""
    try:
        with text_lines(path) as lines:
            reader = csv.reader(lines, strict=True)
            yield ((row, reader.line_num) for row in reader if row)
    except csv.Error as error:
        raise DatasetError(f"{path.name} is not a CSV table: {error}") from None


def _folded(word: str) -> str:
    return re.sub(r"[\s_]+", "", word).casefold()


def _columns(path: Path, header: tuple[str, ...], labels: LabelSet) -> _Columns:
    places = {_folded(name): place for place, name in reversed(list(enumerate(header)))}
    film, level = _film_column(path, header, places)
    status = places.get("status")
    ranked: dict[str, list[tuple[int, int]]] = {}
    ignored: list[str] = []
    for place, column in enumerate(header):
        rank, name = finding_of(column)
        if name is not None and name in labels:
            ranked.setdefault(name, []).append((rank, place))
        elif place not in (film, status):
            ignored.append(column)
    findings: dict[str, int] = {}
    passed_over: list[str] = []
    for name in sorted(ranked, key=labels.index):
        (rank, place), *rest = sorted(ranked[name])
        if rest and rest[0][0] == rank:
            both = f"{header[place]} and {header[rest[0][1]]}"
            raise DatasetError(f"{path.name} has two columns of {name}: {both}. Keep one")
        findings[name] = place
        passed_over += [header[other] for _, other in rest]
    if not findings:
        raise DatasetError(_nameless(path, ignored, header, labels))
    return _Columns(header, film, level, status, findings, tuple(passed_over), tuple(ignored))


def _film_column(path: Path, header: tuple[str, ...], places: dict[str, int]) -> tuple[int, Level]:
    for level, words in ((Level.FILM, FILM_COLUMNS), (Level.STUDY, STUDY_COLUMNS)):
        for word in words:
            if _folded(word) in places:
                return places[_folded(word)], level
    if header and all(_NUMBERED.fullmatch(name.strip()) or not name.strip() for name in header):
        raise DatasetError(
            f"{path.name} must name its films and findings; its first line is "
            f"{', '.join(header[:4])}…, so their order is unknown. Write a header: Image_ID and a "
            "finding over each column"
        )
    separated = " Its columns are separated by ';': save it with commas"
    semicolons = separated if len(header) == 1 and ";" in header[0] else ""
    raise DatasetError(
        f"{path.name} must have a column that names the film, such as Image_ID; "
        f"it has {', '.join(header) or 'no header'}.{semicolons}"
    )


def _nameless(path: Path, columns: Sequence[str], header: tuple[str, ...], labels: LabelSet) -> str:
    if columns and all(_NUMBERED.fullmatch(name.strip()) for name in columns):
        return (
            f"{path.name} must name the finding of each column; it has {', '.join(columns[:4])}…, "
            "and an order is not known. Write the findings' names over the columns"
        )
    near = next((hint for column in header if (hint := suggestion(column, labels))), "")
    return (
        f"{path.name} has no column of a finding of {labels.name}; "
        f"it has {', '.join(header)}.{near}"
    )


def _read(path: Path, columns: _Columns, names: FilmNames, counts: Counter[str]) -> _Sheet:
    """The rows whose name is known.

    A table names its films in one way: rows of which only the last parts agree count where no row
    fits better, or a film that is not here would lend its scores to one that is named alike.
    """
    whole = _Sheet(len(names), len(columns.findings))
    partial = _Sheet(len(names), len(columns.findings))
    with _rows(path) as rows:
        next(rows)
        for row, line in rows:
            where = f"{path.name} line {line}"
            if len(row) < columns.width:
                raise DatasetError(
                    f"{where} must have {columns.width} fields or more; it has {len(row)}. "
                    "Is a comma missing, or the file cut short?"
                )
            if columns.status is not None and row[columns.status] not in _SCORED:
                counts["unscored"] += 1
                continue
            if not (name := row[columns.film].strip()):
                film = columns.header[columns.film]
                raise DatasetError(f"{where}: column {film} must name the film; it is blank")
            values = [
                _probability(row[place], where, columns.header[place])
                for place in columns.findings.values()
            ]
            found = names.find(name)
            counts["rows"] += 1
            counts["many"] += found.many
            if found.row is None:
                continue
            sheet = partial if found.parts else whole
            counts["parts"] = max(counts["parts"], found.parts)
            if before := sheet.write(found.row, line, values):
                sheet.fault = sheet.fault or (
                    f"{where}: film {name} is listed twice, before in line {before}. "
                    "Keep one row a film"
                )
    used = whole if len(whole.rows) else partial
    if used.fault:
        raise DatasetError(used.fault)
    if used is whole:
        counts["parts"] = 0
    return used


def _probability(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 1.0:
        raise DatasetError(
            f"{where}, {column}: a probability must be a number in [0, 1]; got '{text}'. "
            "Logits must be calibrated first"
        )
    return value


def _matched(
    path: Path,
    columns: _Columns,
    named: tuple[Cohort, Level],
    sheet: _Sheet,
    counts: Counter[str],
) -> Predictions:
    cohort, level = named
    rows = sheet.rows
    kept = replace(cohort, records=tuple(cohort.records[row] for row in rows))
    labels = LabelSet(cohort.labels.name, tuple(columns.findings))
    if len(labels) < len(cohort.labels):
        labels = replace(labels, name=f"{len(labels)} findings of {cohort.labels.name}")
    probabilities = Probabilities(sheet.values[rows], labels)
    counts["used"], counts["labelled"] = len(rows), len(cohort)
    notes = (*_notes(path, columns, level, counts), *_finding_notes(path, columns, cohort.labels))
    return Predictions(
        probabilities,
        kept,
        level,
        {name: columns.header[place] for name, place in columns.findings.items()},
        (*notes, *_decision_notes(path, probabilities), *_half_notes(path, probabilities)),
    )


def _notes(path: Path, columns: _Columns, level: Level, counts: Counter[str]) -> Iterator[str]:
    used, labelled, plural = counts["used"], counts["labelled"], "films"
    if level is Level.STUDY:
        plural = "studies"
        yield f"{path.name} names studies in {columns.header[columns.film]}: a row is a study"
    if counts["parts"]:
        yield f"{plural} are matched by the last {counts['parts']} parts of their path"
    if counts["unscored"]:
        yield f"{counts['unscored']:,} rows of {path.name} were not scored (status): left out"
    if counts["many"]:
        yield f"{counts['many']:,} names of {path.name} fit several {plural} and are left out"
    if foreign := counts["rows"] - used - counts["many"]:
        yield f"{foreign:,} {plural} of {path.name} are not among the labelled {plural}"
    if labelled > used:
        yield f"{labelled - used:,} of {labelled:,} labelled {plural} have no prediction"


def _finding_notes(path: Path, columns: _Columns, labels: LabelSet) -> Iterator[str]:
    absent = [name for name in labels if name not in columns.findings]
    if absent:
        yield f"findings without a column in {path.name}: {', '.join(absent)}"
    if columns.passed_over:
        said = ", ".join(columns.passed_over)
        yield f"columns that another column of the finding is read instead of: {said}"
    if columns.ignored:
        some = [*columns.ignored[:4], *(["…"] if len(columns.ignored) > 4 else [])]
        count = len(columns.ignored)
        yield f"{count} columns name no finding of {labels.name}: {', '.join(some)}"


def _decision_notes(path: Path, probabilities: Probabilities) -> Iterator[str]:
    for name in probabilities.labels:
        if np.isin(probabilities.of(name), (0.0, 1.0)).all():
            yield (
                f"{name}: {path.name} has only 0 and 1, decisions rather than probabilities; "
                "ranking and calibration are those of one threshold"
            )


def _half_notes(path: Path, probabilities: Probabilities) -> Iterator[str]:
    if piled := normalized_findings(probabilities):
        yield (
            f"{', '.join(piled)}: scores of {path.name} pile up just above 0.5, as where each "
            "finding's threshold was mapped to 0.5: no probabilities, so only the ranking counts"
        )
