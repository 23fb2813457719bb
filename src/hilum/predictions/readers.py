"""Readings of films by readers: a folder with a table a reader, or one with a reader column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.datasets.parts.columns import layout_of
from hilum.datasets.parts.disk import read_rows
from hilum.domain.errors import DatasetError
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.record import Cohort
from hilum.predictions.read import read_scores

__all__ = ["Readings", "read_readers", "readings_of_ratings", "readings_of_votes"]

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


def readings_of_ratings(place: Path, cohort: Cohort) -> list[Readings]:
    """Return the ratings of each reader of one table with a column `reader`; none for decisions.

    A table has ratings where a cell of a finding is a number other than 0, 1 and -1. Its cells are
    then numbers of any scale, or blank where a reader gave none.

    Args:
        place: a CSV with columns of films, readers and findings.
        cohort: the films to find; others are passed over.

    Raises:
        DatasetError: for a cell that is not a number, or a film that a reader rated twice in two
            ways; with the row.
    """
    layout = layout_of(place)
    if layout is None or "reader" not in layout.roles or not layout.findings:
        return []
    columns = {name: at for at, name in enumerate(layout.findings.values())}
    names = (layout.roles["film"], layout.roles["reader"], *layout.findings)
    rows = list(read_rows(place, names))
    if all(cell in _DECISIONS for _, cells in rows for cell in map(_plain, cells[2:])):
        return []
    films, shape = FilmNames(cohort.image_ids()), (len(cohort), len(cohort.labels))
    found: dict[str, NDArray[np.float64]] = {}
    for number, (film, reader, *cells) in rows:
        row = films.find(film).row
        if row is None or not reader:
            continue
        own = found.setdefault(reader, np.full(shape, np.nan))
        for finding, at in columns.items():
            if finding in cohort.labels and cells[at].strip():
                rating = _rating(cells[at], f"{place.name} row {number}")
                cell = (row, cohort.labels.index(finding))
                if not np.isnan(own[cell]) and own[cell] != rating:
                    raise DatasetError(
                        f"a reader must rate a film once; {place.name} row {number} rates one "
                        "again in another way. Keep the row that counts"
                    )
                own[cell] = rating
    if all(np.isnan(values).all() for values in found.values()):
        raise DatasetError(_nothing_in_common(place, cohort))
    return [Readings(name, found[name], cohort.labels) for name in sorted(found)]


_DECISIONS = {"", "0", "1", "-1"}


def _plain(cell: str) -> str:
    """Return a cell as a whole number where it is one."""
    text = cell.strip()
    return text.removesuffix(".0")


def _rating(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{where}: a rating must be a number, or blank; got '{cell}'")
    return value


def _nothing_in_common(place: Path, cohort: Cohort) -> str:
    return (
        f"readers and truth must have a film and a finding in common; {place} has none of "
        f"{len(cohort):,} films with truth and prediction"
    )


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
        raise DatasetError(_nothing_in_common(place, cohort))
    return [Readings(name, values, cohort.labels) for name, values in found.items()]
