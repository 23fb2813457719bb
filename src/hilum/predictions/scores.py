"""Anybody's table of scores as it is, faults and all: an audit must see what others refuse."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError, Status, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelSet
from hilum.domain.record import Cohort, labelled
from hilum.files.lines import text_lines
from hilum.predictions.columns import LOGIT, PROBABILITY, finding_of

__all__ = ["LabelledScores", "Scores", "read_scores"]

_NUMBERED = re.compile(r"(\D*[_ ])?\d+|[a-z]+\d+|", re.IGNORECASE)
"""Names that say no more than a position: `3`, `class_3`, `pred 3`, `label3`, and none at all."""
_SCORED = frozenset(status.value for status in Status if status.scored)


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
    """Read a table of scores and match it with labelled films by name.

    Unlike `hilum.predictions.read.read_predictions` it takes scores of any size, repeated
    films, columns without names and tables without a header, since these are to be found out.

    Args:
        path: CSV, UTF-8, plain or gzipped, with a column that names the film.
        cohort: the films with their labels.

    Raises:
        UsageError: for a file that cannot be opened.
        DatasetError: for a table that is not CSV, or has no film of the cohort, or no score.
    """
    rows = _rows(path)
    names = FilmNames(cohort.image_ids())
    film = _film_column(rows, names)
    if film is None:
        some = ", ".join(cell for row in rows[:2] for cell in row[:1])
        raise DatasetError(
            f"{path.name} must have a column that names films of {cohort.dataset}; none of its "
            f"cells is one. It starts with {some or 'nothing'}, the dataset with "
            f"{', '.join(cohort.image_ids()[:1])}"
        )
    headless = names.find(rows[0][film]).row is not None
    header = [""] * len(rows[0]) if headless else [cell.strip() for cell in rows[0]]
    body = rows if headless else rows[1:]
    scored, unscored = _scored(header, body)
    table, repeated, unknown = _matched(scored, film, names)
    numeric = {at: name for at, name in enumerate(header) if at != film and _numeric(scored, at)}
    columns = _score_columns(numeric, cohort.labels)
    if not columns:
        raise DatasetError(
            f"{path.name} must have a column of scores for a finding of {cohort.labels.name}; "
            f"it has {', '.join(header) or 'none'}"
        )
    here = sorted(table)
    values = [[_number(table[row][at]) for at in columns] for row in here]
    matched = replace(cohort, records=tuple(cohort.records[row] for row in here))
    counts = (unscored, unknown, len(cohort) - len(here))
    return Scores(
        cohort=matched,
        columns=tuple(header[at] or str(index) for index, at in enumerate(columns)),
        findings=tuple(columns.values()),
        values=np.array(values, np.float64).reshape(len(here), len(columns)),
        repeated=tuple(repeated),
        notes=_notes(
            path.name, counts, [name for at, name in numeric.items() if at not in columns]
        ),
    )


def _rows(path: Path) -> list[list[str]]:
    try:
        with text_lines(path) as lines:
            rows = [row for row in csv.reader(lines, strict=True) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DatasetError(f"{path.name} is not a CSV table: {error}") from None
    width = max(map(len, rows), default=0)
    if not rows or len(rows[0]) < width:
        raise DatasetError(
            f"{path.name} must have rows, none longer than its first; got {len(rows)} rows of up "
            f"to {width} fields"
        )
    return [row + [""] * (width - len(row)) for row in rows]


def _film_column(rows: list[list[str]], names: FilmNames) -> int | None:
    """The column that names the most films of the dataset, by its first rows."""
    some = rows[:200]
    found = [sum(names.find(row[at]).row is not None for row in some) for at in range(len(rows[0]))]
    if not max(found, default=0):
        # a table of a large dataset may begin with films that the labels do not have
        found = [
            sum(names.find(row[at]).row is not None for row in rows) for at in range(len(rows[0]))
        ]
    return found.index(max(found)) if max(found, default=0) else None


def _scored(header: list[str], body: list[list[str]]) -> tuple[list[list[str]], int]:
    """The rows that were scored, and how many a `status` column says were not."""
    lower = [name.casefold() for name in header]
    if "status" not in lower:
        return body, 0
    at = lower.index("status")
    kept = [row for row in body if row[at] in _SCORED]
    return kept, len(body) - len(kept)


def _matched(
    rows: list[list[str]], film: int, names: FilmNames
) -> tuple[dict[int, list[str]], list[str], int]:
    """Row of the cohort to row of the table; films listed twice; and how many are not there."""
    found: dict[int, list[str]] = {}
    repeated: dict[str, None] = {}
    unknown = 0
    for row in rows:
        at = names.find(row[film]).row
        if at is None:
            unknown += 1
        elif found.setdefault(at, row) != row:
            repeated[row[film]] = None
    return found, list(repeated), unknown


def _numeric(rows: list[list[str]], column: int) -> bool:
    """Whether any cell of a column is a number: words are no scores."""
    return any(_is_number(row[column]) for row in rows)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    return float(cell) if _is_number(cell) else float("nan")


def _score_columns(header: Mapping[int, str], labels: LabelSet) -> dict[int, str | None]:
    """Which numeric columns hold scores: those of findings, or else those without a real name.

    Args:
        header: place to name of the columns that hold numbers.
        labels: the findings that can be audited.

    Returns:
        Place to finding, None where the name says none.

    Raises:
        DatasetError: for two columns of one finding.
    """
    chosen: dict[str, tuple[int, int]] = {}
    for place, column in header.items():
        rank, name = finding_of(column, (*PROBABILITY, *LOGIT))
        if name is None or name not in labels:
            continue
        before = chosen.get(name)
        if before is not None and before[0] == rank:
            raise DatasetError(
                f"a finding must have one column; {header[before[1]]} and {column} are both of "
                f"{name}. Remove one"
            )
        chosen[name] = min((rank, place), before or (rank, place))
    named: dict[int, str | None] = {place: name for name, (_, place) in chosen.items()}
    bare = [place for place, column in header.items() if _NUMBERED.fullmatch(column)]
    return dict(sorted(named.items())) or dict.fromkeys(bare)


def _notes(name: str, counts: tuple[int, int, int], ignored: Sequence[str]) -> tuple[str, ...]:
    unscored, unknown, absent = counts
    lines: list[str] = []
    if unscored:
        lines.append(f"{unscored:,} rows of {name} were not scored (status) and are left out")
    if unknown:
        lines.append(f"{unknown:,} rows of {name} name no labelled film")
    if absent:
        lines.append(f"{absent:,} labelled films have no row in {name}")
    if ignored:
        some = ", ".join([*ignored[:4], *(["…"] if len(ignored) > 4 else [])])
        lines.append(f"{len(ignored)} columns of numbers name no finding: {some}")
    return tuple(lines)
