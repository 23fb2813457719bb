"""Reader of anybody's table of scores: films by name, columns by finding, values as they are.

`hilum.predictions.read` builds on it: predictions to evaluate, and scores to audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, Status
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort
from hilum.domain.scores import ROUNDING
from hilum.predictions.columns import (
    FilmColumn,
    ScoreKind,
    find_films,
    is_unnamed,
    nothing_in_common,
    open_rows,
    parse_score_name,
    places_named,
)
from hilum.predictions.levels import Level

__all__ = ["RepeatedFilm", "ScoreTable", "TableCell", "TableColumn", "read_table"]

_NUMBER_STARTS = frozenset("0123456789+-.nNiI")
"""First characters of a number, of NaN and of infinity: trying to read words takes time."""
_SCORED = frozenset(status.value for status in Status if status.scored)


class TableCell(NamedTuple):
    """A cell that a strict reader refuses.

    Attributes:
        line: line of the file, from 1.
        text: what stands there; blank where the row ends before it.
        fields: number of fields in a row that ends before it, else 0.
    """

    line: int
    text: str
    fields: int = 0


@dataclass(eq=False)
class TableColumn:
    """A column, by its name and by what its scored rows hold.

    Attributes:
        place: position in the row, from 0.
        name: as the header has it; blank where it has none.
        kind: kind of score that the name tells.
        finding: finding in the name, if the labels have it, or None.
        numeric: whether any cell is a number: words are not scores.
        fault: first cell that is not a number in [0, 1], rounding aside; for the film column, first
            blank one.
        low, high: smallest and largest number outside [0, 1], or 0 and 1.
    """

    place: int
    name: str
    kind: ScoreKind = ScoreKind.PLAIN
    finding: str | None = None
    numeric: bool = False
    fault: TableCell | None = None
    low: float = 0.0
    high: float = 1.0

    def number(self, row: Sequence[str], line: int) -> float:
        """Return the column's cell of a row as a number or NaN, and note what it was."""
        try:
            value = _float(row[self.place])
            self.numeric = True
        except (ValueError, IndexError):
            value = float("nan")
        if not -ROUNDING <= value <= 1.0 + ROUNDING:
            self.refuse(row, line)
        self.low, self.high = min(self.low, value), max(self.high, value)
        return value

    def text(self, row: Sequence[str]) -> str:
        """Return the column's cell of a row without blanks around it."""
        return row[self.place].strip() if self.place < len(row) else ""

    def refuse(self, row: Sequence[str], line: int) -> None:
        """Note the column's cell of a row as a fault, unless there was one before."""
        short = self.place >= len(row)
        if self.fault is None:
            self.fault = TableCell(line, "" if short else row[self.place], len(row) * short)


class RepeatedFilm(NamedTuple):
    """A film that has more than one row.

    Attributes:
        name: as the later row has it.
        line, before: lines of the later and of the first row.
    """

    name: str
    line: int
    before: int


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """A table of scores beside the labeled films, or studies, that it names.

    Attributes:
        name: of the file.
        header: names of all columns; blank ones where the file has no header.
        cohort: the N records that the table has, in the order of the dataset.
        labeled: how many records the dataset has, with and without a row.
        level: whether a row is a film or a study.
        film: column that names them.
        status: column that says which rows were scored, or None.
        scores: the S columns named after a finding of the labels, or not named at all.
        others: all other columns.
        values: (N, S) as the table has them: any size, NaN for what is not a number.
        repeats: films listed again, one entry a film; the first row counts.
        differing: those of them that were listed with different scores.
        rows: scored rows; `matched` of them name a record here, `many` more than one.
        unscored: rows that `status` calls anything but ok or warn.
        parts: how many last parts of their paths films are matched by; 0 for whole names.
    """

    name: str
    header: tuple[str, ...]
    cohort: Cohort
    labeled: int
    level: Level
    film: TableColumn
    status: TableColumn | None
    scores: tuple[TableColumn, ...]
    others: tuple[TableColumn, ...]
    values: NDArray[np.float64]
    repeats: tuple[RepeatedFilm, ...]
    differing: tuple[RepeatedFilm, ...]
    rows: int
    matched: int
    many: int
    unscored: int
    parts: int

    def by_finding(self, ignored: Iterable[ScoreKind] = ()) -> dict[str, list[int]]:
        """Return the positions of each finding's columns among `scores`, the one to read first.

        A column that holds numbers comes before one that does not, then the smaller kind; of two
        outputs one that is not only 0 and 1. Columns of `truths` are left out.

        Args:
            ignored: kinds of columns to leave out.

        Raises:
            DatasetError: for two columns of a finding that are equally good.
        """
        ranked: dict[str, list[tuple[bool, ScoreKind, bool, int]]] = {}
        truths = self.truths()
        for at, column in enumerate(self.scores):
            if column.finding and column.kind not in ignored and column not in truths:
                output = column.kind is ScoreKind.DECISION
                rank = (not column.numeric, column.kind, output and self._binary(at), at)
                ranked.setdefault(column.finding, []).append(rank)
        for finding, ranks in ranked.items():
            ranks.sort()
            rivals = [at for *_, at in ranks if self._rivals(ranks[0][-1], at)]
            if len(ranks) > 1 and ranks[0][:3] == ranks[1][:3]:
                rivals = [ranks[1][-1]]
            if rivals:
                first, second = (self.scores[at].name for at in (ranks[0][-1], rivals[0]))
                raise DatasetError(
                    f"{self.name} must have one column of each finding; {first} and {second} are "
                    f"two columns of {finding}. Keep one"
                )
        return {finding: [at for *_, at in ranks] for finding, ranks in ranked.items()}

    def truths(self) -> list[TableColumn]:
        """Return the score columns that hold the labels: 0 and 1 beside an output.

        Where `Effusion` holds 0 and 1 and the table has `Effusion_pred` or `Effusion_logit` too,
        the bare column is the truth. Beside a probability by name it would not be read anyway.
        """
        found: list[TableColumn] = []
        for at, column in enumerate(self.scores):
            beside = {
                other.kind
                for other in self.scores
                if other.finding == column.finding and other.numeric and other is not column
            }
            if column.finding is None or column.kind is not ScoreKind.PLAIN:
                continue
            if ScoreKind.PROBABILITY in beside or beside <= {ScoreKind.PLAIN}:
                continue
            if self._binary(at):
                found.append(column)
        return found

    def _binary(self, at: int) -> bool:
        """Return whether a column holds label states only: 0, 1, -1 and blanks."""
        values = self.values[:, at]
        known = values[~np.isnan(values)]
        return bool(len(known)) and bool(np.isin(known, (0.0, 1.0, -1.0)).all())

    def _rivals(self, first: int, other: int) -> bool:
        """Return whether two columns both hold outputs of which neither's name says what it is."""
        unsaid = (ScoreKind.PLAIN, ScoreKind.DECISION)
        return first != other and all(
            self.scores[at].kind in unsaid and self.scores[at].numeric and not self._binary(at)
            for at in (first, other)
        )

    def columns(self) -> list[TableColumn]:
        """Return the columns that hold neither films nor status, in the order of the table."""
        return sorted((*self.scores, *self.others), key=lambda column: column.place)


def read_table(path: Path, cohort: Cohort) -> ScoreTable:
    """Read a table of scores and match its rows with labeled films, or studies, by name.

    The film column is found as `find_films` says, and names are matched as
    `FilmNames` says. Rows that a `status` column calls anything but ok or warn were not scored:
    they are left out and counted. Memory grows with the cohort, not with the table.

    Args:
        path: comma- or tab-separated, UTF-8 with or without byte order mark, plain or gzipped.
        cohort: the films with their labels.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for a file that is not a table, a row longer than the header, or no film or
            study in common.
    """
    films = find_films(path, cohort)
    layout = _layout(films, cohort.labels)
    counts: Counter[str] = Counter()
    sheet = _read(path, films, layout, counts)
    if not len(sheet.rows):
        raise DatasetError(nothing_in_common(path, films.place, cohort, counts))
    kept = tuple(films.cohort.records[row] for row in sheet.rows)
    return ScoreTable(
        name=path.name,
        header=films.header,
        cohort=replace(films.cohort, records=kept),
        labeled=len(films.cohort),
        level=films.level,
        film=layout.film,
        status=layout.status,
        scores=layout.scores,
        others=layout.others,
        values=sheet.values[sheet.rows],
        repeats=tuple(sheet.repeats.values()),
        differing=tuple(sheet.differing.values()),
        rows=counts["rows"],
        matched=sheet.matched,
        many=counts["many"],
        unscored=counts["unscored"],
        parts=sheet.parts,
    )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Role of each column."""

    film: TableColumn
    status: TableColumn | None
    scores: tuple[TableColumn, ...]
    others: tuple[TableColumn, ...]


def _layout(films: FilmColumn, labels: LabelSet) -> _Layout:
    """Assign a role to every column. A new role (patient, reference standard) belongs here."""
    status = next((at for at in places_named(films.header, ["status"]) if at != films.place), None)
    scores: list[TableColumn] = []
    others: list[TableColumn] = []
    for place, name in enumerate(films.header):
        if place in (films.place, status):
            continue
        kind, finding = parse_score_name(name)
        if finding is not None and finding in labels:
            scores.append(TableColumn(place, name, kind, finding))
        else:
            (scores if is_unnamed(name) else others).append(TableColumn(place, name))
    return _Layout(
        film=TableColumn(films.place, films.header[films.place]),
        status=None if status is None else TableColumn(status, films.header[status]),
        scores=tuple(scores),
        others=tuple(others),
    )


@dataclass(eq=False)
class _Sheet:
    """The rows that were read for some records: memory grows with these, not with the table."""

    values: NDArray[np.float64]
    lines: NDArray[np.int64]
    repeats: dict[int, RepeatedFilm] = field(default_factory=dict[int, RepeatedFilm])
    differing: dict[int, RepeatedFilm] = field(default_factory=dict[int, RepeatedFilm])
    matched: int = 0
    parts: int = 0

    @classmethod
    def of(cls, records: int, columns: int) -> _Sheet:
        return cls(np.zeros((records, columns)), np.zeros(records, np.int64))

    def write(self, row: int, values: Sequence[float], name: str, line: int) -> None:
        """Keep a record's scores, or note that the record was there before."""
        self.matched += 1
        if not (before := int(self.lines[row])):
            self.values[row], self.lines[row] = values, line
            return
        again = RepeatedFilm(name, line, before)
        self.repeats.setdefault(row, again)
        if not np.array_equal(self.values[row], np.array(values), equal_nan=True):
            self.differing.setdefault(row, again)

    @property
    def rows(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.lines)


def _read(path: Path, films: FilmColumn, layout: _Layout, counts: Counter[str]) -> _Sheet:
    """Read the rows that name a record.

    A table names its films in one way. Rows that match by the last parts of the path only count if
    no row matches as a whole; else a film that is not here would give its scores to another film
    with a similar name.
    """
    whole, partial = (_Sheet.of(len(films.names), len(layout.scores)) for _ in range(2))
    with open_rows(path) as rows:
        for row, line in rows if films.headless else islice(rows, 1, None):
            _refuse_longer(path, row, line, films.header)
            if layout.status is not None and layout.status.text(row) not in _SCORED:
                counts["unscored"] += 1
                continue
            counts["rows"] += 1
            if not (name := layout.film.text(row)):
                layout.film.refuse(row, line)
            values = _probabilities(row, layout.scores)
            if values is None:
                values = [column.number(row, line) for column in layout.scores]
            for column in layout.others:
                if not column.numeric and column.text(row)[:1] in _NUMBER_STARTS:
                    column.number(row, line)
            found = films.names.find(name)
            counts["many"] += found.many
            if found.row is not None:
                sheet = partial if found.parts else whole
                sheet.parts = max(sheet.parts, found.parts)
                sheet.write(found.row, values, name, line)
    return whole if len(whole.rows) else partial


def _float(text: str) -> float:
    """Return a cell as a number; Python reads 0.1_98 as one, and no table means that."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _probabilities(row: Sequence[str], columns: Sequence[TableColumn]) -> list[float] | None:
    """Return a row's scores if all are in [0, 1]: this takes half the time for most rows."""
    try:
        values = [_float(row[column.place]) for column in columns]
    except (ValueError, IndexError):
        return None
    if not all(0.0 <= value <= 1.0 for value in values):
        return None
    for column in columns:
        column.numeric = True
    return values


def _refuse_longer(path: Path, row: Sequence[str], line: int, header: Sequence[str]) -> None:
    if len(row) > len(header) and any(map(str.strip, row[len(header) :])):
        raise DatasetError(
            f"{path.name} line {line} must have {len(header)} fields or fewer, as the first line; "
            f"it has {len(row)}. Is a text with a comma not in quotes?"
        )
