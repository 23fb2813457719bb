"""Anybody's table of scores as it is, faults and all: an audit must see what others refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort, labelled
from hilum.predictions.levels import Level
from hilum.predictions.table import ScoreTable, TableColumn, read_table

__all__ = ["LabelledScores", "Scores", "piles_above_half", "read_scores"]

_NEAR = 0.02
_FEWEST_VALUES = 100
_FEWEST_FILMS = 20


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """What was said of the labelled films of one finding, and what was so.

    Attributes:
        films: (n,) rows of the evaluated films.
        positives: (n,) whether the finding is there.
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
        """Whether the columns can be told by name."""
        return any(self.findings)

    def labels(self) -> LabelSet:
        """The findings that have a column, in the cohort's order."""
        present = tuple(name for name in self.cohort.labels if name in self.findings)
        return LabelSet(f"{len(present)} findings of {self.cohort.labels.name}", present)

    @cached_property
    def _states(self) -> NDArray[np.int8]:
        """(N, L) of the cohort, made once: it is asked for each column and finding."""
        return self.cohort.states()

    def of(self, finding: str) -> LabelledScores:
        """The labelled films of a finding with the scores of the column named after it."""
        return self.entries(self.findings.index(finding), finding)

    def entries(self, column: int, finding: str) -> LabelledScores:
        """The labelled films of a finding with the scores of any column."""
        known, positives = labelled(self._states[:, self.cohort.labels.index(finding)])
        return LabelledScores(known, positives, self.values[known, column])

    def in_order(self, order: LabelSet) -> Scores:
        """The same scores, each column named by its position.

        Raises:
            UsageError: for another number of findings than columns, or one without labels.
        """
        if len(order) != len(self.columns):
            raise UsageError(
                f"--label-order must name a finding for each of the {len(self.columns)} score "
                f"columns ({', '.join(self.columns[:3])}, …); {order.name} has {len(order)}"
            )
        known = tuple(name if name in self.cohort.labels else None for name in order)
        return replace(self, findings=known)


def read_scores(path: Path, cohort: Cohort) -> Scores:
    """Read a table of scores and match it with labelled films, or studies, by name.

    Films and columns are found as `hilum.predictions.table.read_table` says. Unlike
    `hilum.predictions.read.read_predictions` this takes scores of any size, repeated films, columns
    without names and tables without a header, since these are to be found out. Columns without
    names count only where no column is named after a finding.

    Args:
        path: comma- or tab-separated, UTF-8 with or without byte order mark, plain or gzipped.
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
        notes=tuple(_notes(table, columns)),
    )


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


def _notes(table: ScoreTable, read: Sequence[TableColumn]) -> Iterator[str]:
    plural, one = "films", "film"
    if table.level is Level.STUDY:
        plural, one = "studies", "study"
        yield f"{table.name} names studies in {table.film.name}: a row is a study"
    if table.unscored:
        yield f"{table.unscored:,} rows of {table.name} were not scored (status) and are left out"
    if unknown := table.rows - table.matched:
        yield f"{unknown:,} rows of {table.name} name no labelled {one}"
    if absent := table.labelled - len(table.cohort):
        yield f"{absent:,} labelled {plural} have no row in {table.name}"
    ignored = [column.name for column in table.columns() if column.numeric and column not in read]
    if ignored:
        some = ", ".join([*ignored[:4], *(["…"] if len(ignored) > 4 else [])])
        yield f"{len(ignored)} columns of numbers name no finding: {some}"
