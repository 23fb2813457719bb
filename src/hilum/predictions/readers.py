"""Readings of films by readers: a folder with a table a reader, or one with a reader column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import DatasetError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort
from hilum.predictions.read import read_scores

__all__ = ["Readings", "read_readers", "readings_of_votes"]

_TABLES = (".csv", ".tsv", ".gz")


@dataclass(frozen=True, eq=False)
class Readings:
    """Ratings of one reader.

    Attributes:
        reader: name.
        values: (N, L) rating of each film and finding of a cohort; NaN where the reader gave none.
        labels: the findings of the columns.
    """

    reader: str
    values: NDArray[np.float64]
    labels: LabelSet

    def of(self, finding: str) -> NDArray[np.float64]:
        """Return (N,) ratings of one finding."""
        return self.values[:, self.labels.index(finding)]


def read_readers(folder: Path, cohort: Cohort) -> list[Readings]:
    """Read a folder of tables, each one reader's, named after its file.

    Args:
        folder: CSV or TSV tables as `read_scores` takes them; cells are 0 and 1, or ratings.
        cohort: the films to find; others are passed over.

    Raises:
        DatasetError: for a folder without tables, a table without a film or finding in common, or
            a film that a reader rated twice in two ways.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _TABLES)
    if not files:
        raise DatasetError(
            f"a folder of readers must hold a table for each; {folder} has no CSV or TSV file"
        )
    return [_read(path, cohort) for path in files]


def _read(path: Path, cohort: Cohort) -> Readings:
    reader = path.name.split(".")[0]
    scores = read_scores(path, cohort)
    if scores.repeated:
        raise DatasetError(
            f"a reader must rate a film once; {path.name} lists {scores.repeated[0]} again with "
            "another rating. Keep the row that counts"
        )
    values = np.full((len(cohort), len(cohort.labels)), np.nan)
    row_of = {name: row for row, name in enumerate(cohort.image_ids())}
    rows = [row_of[name] for name in scores.cohort.image_ids()]
    for at, finding in enumerate(scores.findings):
        if finding is None or finding not in cohort.labels:
            continue
        column = cohort.labels.index(finding)
        if np.isnan(values[:, column]).all():  # the first of several columns counts
            values[rows, column] = scores.values[:, at]
    if np.isnan(values).all():
        raise DatasetError(
            f"a reader's table must have a column named after a finding; {path.name} has none of "
            f"{', '.join(cohort.labels)}"
        )
    return Readings(reader, values, cohort.labels)


def readings_of_votes(place: Path, voted: Cohort, cohort: Cohort) -> list[Readings]:
    """Return the ratings of each reader of a table with a column `reader`.

    Args:
        place: the table, for messages.
        voted: as read from it, with votes.
        cohort: the films to find, by name.

    Raises:
        DatasetError: for a table without readers, or without a film or finding in common.
    """
    names = sorted({vote.reader for record in voted.records for vote in record.votes})
    if not names:
        raise DatasetError(
            f"a table of readers must have a column 'reader'; {place} has none. Or give a folder "
            "with a table for each reader"
        )
    columns = {name: voted.labels.index(name) for name in cohort.labels if name in voted.labels}
    row_of = {name: row for row, name in enumerate(cohort.image_ids())}
    found = {name: np.full((len(cohort), len(cohort.labels)), np.nan) for name in names}
    for record in voted.records:
        row = row_of.get(record.image_id)
        for vote in record.votes if row is not None else ():
            for finding, column in columns.items():
                state = vote.states[column]
                if state in (LabelState.POSITIVE, LabelState.NEGATIVE):
                    found[vote.reader][row, cohort.labels.index(finding)] = float(
                        state == LabelState.POSITIVE
                    )
    if all(np.isnan(values).all() for values in found.values()):
        raise DatasetError(
            f"readers and truth must have a film and a finding in common; {place} has none of "
            f"{len(cohort):,} films with truth and prediction"
        )
    return [Readings(name, values, cohort.labels) for name, values in found.items()]
