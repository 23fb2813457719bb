"""Two ways to take anybody's table: strict, to evaluate it, and with all faults, to audit it.

Both stand on `hilum.predictions.table.read_table`, and find the same films and columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, UsageError, suggestion
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort, labeled
from hilum.domain.scores import ROUNDING, Probabilities, remedy
from hilum.predictions.columns import ScoreKind, is_unnamed
from hilum.predictions.levels import Level
from hilum.predictions.table import ScoreTable, TableColumn, read_table

__all__ = [
    "LabeledScores",
    "Predictions",
    "Scores",
    "normalized_findings",
    "piles_above_half",
    "read_predictions",
    "read_scores",
]

_NEAR = 0.02
_FEWEST_VALUES = 100
_FEWEST_FILMS = 20


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions and the films they are for.

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


@dataclass(frozen=True, eq=False)
class LabeledScores:
    """Scores and labels of one finding, for the films that are labeled.

    Attributes:
        films: (n,) rows of the evaluated films.
        positives: (n,) whether the finding is present.
        scores: (n,) as the table has them.
    """

    films: NDArray[np.intp]
    positives: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @property
    def both_classes(self) -> bool:
        """Whether there is a positive and a negative film."""
        return bool(self.positives.any() and not self.positives.all())

    @property
    def finite(self) -> bool:
        """Whether every score is a number."""
        return bool(np.isfinite(self.scores).all())

    @property
    def probabilities(self) -> bool:
        """Whether every score could be a probability."""
        return self.finite and bool(((self.scores >= 0.0) & (self.scores <= 1.0)).all())

    @property
    def are_labels(self) -> bool:
        """Whether the scores are the labels themselves, on films of both classes."""
        return self.both_classes and np.array_equal(self.scores, self.positives)


@dataclass(frozen=True, eq=False)
class Scores:
    """A table's scores beside the labels of the same films.

    Attributes:
        cohort: the films that both have, in the order of the dataset.
        columns: names of the score columns, in the order of the table.
        findings: the finding that each column is named after; None where the name says none.
        values: (N, M) the scores; NaN for a cell that is no number.
        repeated: films that the table lists again with other scores; the first row counts.
        notes: what was left out and why, a line each.
    """

    cohort: Cohort
    columns: tuple[str, ...]
    findings: tuple[str | None, ...]
    values: NDArray[np.float64]
    repeated: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def named(self) -> bool:
        """Whether any column is named after a finding."""
        return any(self.findings)

    def labels(self) -> LabelSet:
        """Return the findings that have a column, in the cohort's order."""
        present = tuple(name for name in self.cohort.labels if name in self.findings)
        return LabelSet(f"{len(present)} findings of {self.cohort.labels.name}", present)

    @cached_property
    def _states(self) -> NDArray[np.int8]:
        """(N, L) label states of the cohort, computed once for all columns and findings."""
        return self.cohort.states()

    def of(self, finding: str) -> LabeledScores:
        """Return the labeled films of a finding with the scores of the column named after it."""
        return self.entries(self.findings.index(finding), finding)

    def entries(self, column: int, finding: str) -> LabeledScores:
        """Return the labeled films of a finding with the scores of any column."""
        known, positives = labeled(self._states[:, self.cohort.labels.index(finding)])
        return LabeledScores(known, positives, self.values[known, column])

    def in_order(self, order: LabelSet) -> Scores:
        """Return the same scores, each column named by its position.

        Raises:
            UsageError: when the number of findings differs from the number of columns.
        """
        if len(order) != len(self.columns):
            raise UsageError(
                f"--label-order must name a finding for each of the {len(self.columns)} score "
                f"columns ({', '.join(self.columns[:3])}, …); {order.name} has {len(order)}"
            )
        known = tuple(name if name in self.cohort.labels else None for name in order)
        return replace(self, findings=known)


def read_predictions(path: Path, cohort: Cohort) -> Predictions:
    """Read a table of probabilities and match it with labeled films, or studies, by name.

    Films and columns are found as `hilum.predictions.table.read_table` says. Unlike
    `read_scores` this refuses what cannot be evaluated: columns without names, logits, the labels
    themselves, repeated films, and cells that are not probabilities, also those of films that have
    no labels: a column with a value outside [0, 1] holds something else.

    Args:
        path: comma- or tab-separated, UTF-8 with or without byte order mark, plain or gzipped.
        cohort: the films with their labels.

    Raises:
        DatasetError: for a table without films or findings, or with numbers in place of names; a
            film listed twice; a value that is not a number in [0, 1]; a column that equals the
            labels; two columns that may both be a finding's scores; or no film in common.
        UsageError: for a file that cannot be opened.
    """
    table = read_table(path, cohort)
    found = table.by_finding([ScoreKind.LOGIT])
    if not found:
        raise DatasetError(_nameless(table, cohort.labels))
    positions = {name: found[name] for name in cohort.labels if name in found}
    read = {name: table.scores[at[0]] for name, at in positions.items()}
    _refuse_faults(table, list(read.values()))
    _refuse_truth(table, positions)
    labels = LabelSet(cohort.labels.name, tuple(positions))
    if len(labels) < len(cohort.labels):
        labels = replace(labels, name=f"{len(labels)} findings of {cohort.labels.name}")
    values = table.values[:, [at[0] for at in positions.values()]]
    probabilities = Probabilities(values.clip(0.0, 1.0), labels)
    passed_over = [table.scores[at] for _, *others in positions.values() for at in others]
    notes = (
        *_row_notes(table),
        *_column_notes(table, read, passed_over, cohort.labels),
        *_value_notes(table.name, values, probabilities),
    )
    columns = {name: column.name for name, column in read.items()}
    return Predictions(probabilities, table.cohort, table.level, columns, notes)


def read_scores(path: Path, cohort: Cohort) -> Scores:
    """Read a table of scores and match it with labeled films, or studies, by name.

    Films and columns are found as `hilum.predictions.table.read_table` says. Unlike
    `read_predictions` this takes scores of any size, repeated films, columns
    without names and tables without a header, since these are to be found out. Columns without
    names count only where no column is named after a finding.

    Args:
        path: as in `read_predictions`.
        cohort: the films with their labels.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for a table that is not CSV, or has no film of the cohort, or no score.
    """
    table = read_table(path, cohort)
    read = sorted(at for at, *_ in table.by_finding().values() if table.scores[at].numeric)
    if not read:
        read = [at for at, c in enumerate(table.scores) if c.finding is None and c.numeric]
    if not read:
        raise DatasetError(
            f"{table.name} must have a column of scores for a finding of {cohort.labels.name}; "
            f"it has {', '.join(table.header) or 'none'}"
        )
    columns = [table.scores[at] for at in read]
    return Scores(
        cohort=table.cohort,
        columns=tuple(column.name or str(index) for index, column in enumerate(columns)),
        findings=tuple(column.finding for column in columns),
        values=table.values[:, read],
        repeated=tuple(film.name for film in table.differing),
        notes=tuple(_score_notes(table, columns)),
    )


def normalized_findings(probabilities: Probabilities) -> tuple[str, ...]:
    """Return the findings whose scores pile up just above 0.5.

    torchxrayvision's `op_threshs` maps each finding's threshold t to 0.5: a probability p becomes
    p / 2t below it and 1 - (1 - p) / 2(1 - t) above. A rare finding's scores are then spread out
    below 0.5 and crowded above it. The ranking stays, and nothing else does.
    """
    return tuple(n for n in probabilities.labels if piles_above_half(probabilities.of(n)))


def piles_above_half(scores: NDArray[np.float64]) -> bool:
    """Return whether many more scores lie just above 0.5 than just below: a mapped threshold.

    Within 0.02 of 0.5 there must be 20 scores above, more than four times as many as below, and
    the excess must be above five standard errors. Fewer than 100 distinct scores tell nothing.

    >>> scores = np.linspace(0.0, 0.2, 1001)
    >>> mapped = np.where(scores < 0.05, scores / 0.1, 1 - (1 - scores) / 1.9)
    >>> piles_above_half(scores), piles_above_half(mapped)
    (False, True)
    """
    if len(np.unique(scores)) < _FEWEST_VALUES:
        return False
    above = int(((scores >= 0.5) & (scores < 0.5 + _NEAR)).sum())
    below = int(((scores >= 0.5 - _NEAR) & (scores < 0.5)).sum())
    excess = above - below > 5.0 * np.sqrt(above + below)
    return above >= _FEWEST_FILMS and above > 4 * below and bool(excess)


def _nameless(table: ScoreTable, labels: LabelSet) -> str:
    """Say why no column can be read as a finding's probabilities."""
    if not any(table.header):
        return (
            f"{table.name} must name its films and findings; its first line is a film's, so their "
            "order is unknown. Write a header: Image_ID and a finding over each column"
        )
    columns = table.columns()
    if columns and all(is_unnamed(column.name) for column in columns):
        names = ", ".join(column.name for column in columns[:4])
        return (
            f"{table.name} must name the finding of each column; it has {names}…, and an order is "
            "not known. Write the findings' names over the columns"
        )
    if logits := [column.name for column in table.scores if column.finding]:
        return (
            f"{table.name} must have probabilities; {', '.join(logits[:4])} are logits by their "
            "names. Logits must be calibrated first"
        )
    near = next((hint for column in table.header if (hint := suggestion(column, labels))), "")
    return (
        f"{table.name} has no column of a finding of {labels.name}; "
        f"it has {', '.join(table.header)}.{near}"
    )


def _refuse_faults(table: ScoreTable, read: Iterable[TableColumn]) -> None:
    """Refuse the first row that is cut short, names no film or has a cell that is not a score."""
    columns = [table.film, *([table.status] if table.status else []), *read]
    if faults := [(column.fault, column) for column in columns if column.fault is not None]:
        cell, column = min(faults, key=lambda fault: (fault[0].line, -fault[0].fields))
        where = f"{table.name} line {cell.line}"
        if cell.fields:
            width = 1 + max(column.place for column in columns)
            raise DatasetError(
                f"{where} must have {width} fields or more; it has {cell.fields}. "
                "Is a comma missing, or the file cut short?"
            )
        if column is table.film:
            raise DatasetError(f"{where}: column {column.name} must name the film; it is blank")
        got = f"'{cell.text}'" if cell.text.strip() else "a blank cell"
        raise DatasetError(
            f"{where}, {column.name}: a probability must be a number in [0, 1]; got {got}. "
            f"{remedy(cell.text, column.low, column.high)}"
        )
    if table.repeats:
        again = min(table.repeats, key=lambda film: film.line)
        raise DatasetError(
            f"{table.name} line {again.line}: film {again.name} is listed twice, before in line "
            f"{again.before}. Keep one row a film"
        )


def _refuse_truth(table: ScoreTable, positions: dict[str, list[int]]) -> None:
    """Refuse a column that equals the labels on every film: the truth is no prediction."""
    states = table.cohort.states()
    for finding, (at, *_) in positions.items():
        known, positives = labeled(states[:, table.cohort.labels.index(finding)])
        if LabeledScores(known, positives, table.values[known, at]).are_labels:
            raise DatasetError(
                f"{table.name} must have a model's scores of {finding}; column "
                f"{table.scores[at].name} equals the labels on all {len(known):,} labeled films. "
                f"Call the column of scores prob_{finding}, and leave the truth out"
            )


def _row_notes(table: ScoreTable) -> Iterator[str]:
    plural = "films"
    if table.level is Level.STUDY:
        plural = "studies"
        yield f"{table.name} names studies in {table.film.name}: a row is a study"
    if table.parts:
        yield f"{plural} are matched by the last {table.parts} parts of their path"
    if table.unscored:
        yield f"{table.unscored:,} rows of {table.name} were not scored (status): left out"
    if table.many:
        yield f"{table.many:,} names of {table.name} fit several {plural} and are left out"
    if foreign := table.rows - table.matched - table.many:
        yield f"{foreign:,} {plural} of {table.name} are not among the labeled {plural}"
    if absent := table.labeled - table.matched:
        yield f"{absent:,} of {table.labeled:,} labeled {plural} have no prediction"


def _column_notes(
    table: ScoreTable,
    read: dict[str, TableColumn],
    passed_over: list[TableColumn],
    labels: LabelSet,
) -> Iterator[str]:
    if absent := [name for name in labels if name not in read]:
        yield f"findings without a column in {table.name}: {', '.join(absent)}"
    yield from _truth_notes(table)
    if passed_over:
        names = ", ".join(column.name for column in passed_over)
        yield f"columns that another column of the finding is read instead of: {names}"
    used = [*read.values(), *passed_over, *table.truths()]
    ignored = [column.name for column in table.columns() if column not in used]
    if ignored:
        some = [*ignored[:4], *(["…"] if len(ignored) > 4 else [])]
        yield f"{len(ignored)} columns name no finding of {labels.name}: {', '.join(some)}"


def _truth_notes(table: ScoreTable) -> Iterator[str]:
    if names := ", ".join(column.name for column in table.truths()):
        yield f"columns of 0 and 1 beside an output of the finding, taken as the truth: {names}"


def _value_notes(name: str, values: np.ndarray, probabilities: Probabilities) -> Iterator[str]:
    if count := int(((values < 0.0) | (values > 1.0)).sum()):
        yield (
            f"{count:,} scores of {name} are outside [0, 1] by rounding, at most {ROUNDING:g}: "
            "taken as 0 or 1"
        )
    for finding in probabilities.labels:
        if np.isin(probabilities.of(finding), (0.0, 1.0)).all():
            yield (
                f"{finding}: {name} has only 0 and 1, decisions rather than probabilities; "
                "ranking and calibration are those of one threshold"
            )
    if piled := normalized_findings(probabilities):
        yield (
            f"{', '.join(piled)}: scores of {name} pile up just above 0.5, as where each "
            "finding's threshold was mapped to 0.5: no probabilities, so only the ranking counts"
        )


def _score_notes(table: ScoreTable, read: Sequence[TableColumn]) -> Iterator[str]:
    plural, one = "films", "film"
    if table.level is Level.STUDY:
        plural, one = "studies", "study"
        yield f"{table.name} names studies in {table.film.name}: a row is a study"
    if table.unscored:
        yield f"{table.unscored:,} rows of {table.name} were not scored (status) and are left out"
    if unknown := table.rows - table.matched:
        yield f"{unknown:,} rows of {table.name} name no labeled {one}"
    if absent := table.labeled - len(table.cohort):
        yield f"{absent:,} labeled {plural} have no row in {table.name}"
    yield from _truth_notes(table)
    used = [*read, *table.truths()]
    ignored = [column.name for column in table.columns() if column.numeric and column not in used]
    if ignored:
        some = ", ".join([*ignored[:4], *(["…"] if len(ignored) > 4 else [])])
        yield f"{len(ignored)} columns of numbers name no finding: {some}"
