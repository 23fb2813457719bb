"""Columns of anybody's table: which name films or studies, and which hold scores of a finding."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames
from hilum.domain.findings import find
from hilum.domain.record import Cohort
from hilum.files.lines import TableRows, text_lines
from hilum.files.parquet import is_parquet, parquet_rows
from hilum.predictions.levels import Level, grouped

__all__ = [
    "FILM_COLUMNS",
    "STUDY_COLUMNS",
    "FilmColumn",
    "ScoreKind",
    "find_films",
    "is_unnamed",
    "nothing_in_common",
    "open_rows",
    "parse_score_name",
    "places_named",
]

FILM_COLUMNS = (
    *("Image Index", "image_id", "image", "image_name", "film", "filename", "file", "file_path"),
    *("path", "dicom_id", "SOPInstanceUID", "patientId"),
)
"""Names of the column that names the film, in order of preference; case, blanks and `_` do not
matter. RSNA calls its films patients."""
STUDY_COLUMNS = ("study", "study_id", "StudyInstanceUID")
"""Names of the column that names the study, in the same way."""

_SAMPLE = 201
"""First rows, the header among them, in which a film column is looked for."""
_UNNAMED = re.compile(r"(\D*[_ ])?\d+(\.\d+)?|[a-z]+\d+|", re.IGNORECASE)


class ScoreKind(IntEnum):
    """Kind of score that a column's name tells; of two columns of a finding the smaller counts."""

    PROBABILITY = 0
    """A probability: `prob_Mass`, `Mass_score`."""
    LOGIT = 1
    """A logit: `logit_Mass`."""
    PLAIN = 2
    """Unknown kind: the finding's name alone."""
    DECISION = 3
    """A model's output of unknown kind, perhaps a decision, 0 or 1: `Mass_pred`."""


_WORDS = {
    ScoreKind.PROBABILITY: (
        *("prob", "probs", "probability", "probabilities", "proba", "probas", "p"),
        *("score", "scores", "sigmoid", "softmax", "conf", "confidence"),
    ),
    ScoreKind.LOGIT: ("logit", "logits"),
    ScoreKind.DECISION: (
        *("pred", "preds", "prediction", "predictions", "predicted", "predict"),
        *("output", "outputs", "out", "yhat", "y hat", "hat", "model"),
    ),
}
_PARTS = re.compile(r"[\s_.\-:/()\[\]]+|(?<=[a-z])(?=[A-Z])")
"""Where a column's name may be cut into words: at signs, and before a capital inside a word."""


def parse_score_name(column: str) -> tuple[ScoreKind, str | None]:
    """Return the kind of score that a column's name tells, and the finding in it, or None.

    The word that says the kind stands before or after the finding; case, blanks and underscores do
    not matter.

    >>> kind, finding = parse_score_name("prob_Pleural Effusion")
    >>> kind.name, finding
    ('PROBABILITY', 'Effusion')
    >>> kind, finding = parse_score_name("Age")
    >>> kind.name, finding
    ('PLAIN', None)
    """
    words = column.replace("_", " ").split()
    plain = _finding(words)
    if plain is not None:
        return ScoreKind.PLAIN, plain
    first: tuple[ScoreKind, str | None] | None = None
    for cut in (words, [word for word in _PARTS.split(column) if word]):
        for kind, rest in _kinds(cut):
            first = first or (kind, None)
            if (finding := _finding(rest)) is not None:
                return kind, finding
    return first or (ScoreKind.PLAIN, None)


def _kinds(words: Sequence[str]) -> Iterator[tuple[ScoreKind, Sequence[str]]]:
    """Give the kinds that the first or last words tell, with the words that are left."""
    for kind, known in _WORDS.items():
        for count in (2, 1):
            if len(words) > count and " ".join(words[:count]).casefold() in known:
                yield kind, words[count:]
            if len(words) > count and " ".join(words[-count:]).casefold() in known:
                yield kind, words[:-count]


def is_unnamed(column: str) -> bool:
    """Return whether a name tells only a position: `3`, `class_3`, `label3`, `0.12`, or blank.

    >>> is_unnamed("class_3"), is_unnamed(""), is_unnamed("Mass")
    (True, True, False)
    """
    return _UNNAMED.fullmatch(column) is not None


def places_named(header: Sequence[str], names: Iterable[str]) -> list[int]:
    """Return the columns of the names in a header, in the order of the names.

    >>> places_named(["Mass", "IMAGE_ID", "path"], FILM_COLUMNS)
    [1, 2]
    """
    places = {_folded(name): place for place, name in reversed(list(enumerate(header)))}
    return [places[word] for word in map(_folded, names) if word in places]


def _folded(word: str) -> str:
    return re.sub(r"[\s_]+", "", word).casefold()


def _finding(words: Sequence[str]) -> str | None:
    try:
        return find(" ".join(words)).name
    except UsageError:
        return None


@contextmanager
def open_rows(path: Path) -> Generator[Iterator[tuple[list[str], int]]]:
    """Open a table and give its rows one at a time with line numbers, without blank rows.

    Of Parquet the rows are numbered as those of a CSV would be.
    """
    if is_parquet(path):
        yield ((row, line) for line, row in enumerate(parquet_rows(path), start=1))
        return
    try:
        with text_lines(path) as lines:
            rows = TableRows(lines)
            yield ((row, rows.line) for row in rows if not _blank(row))
    except csv.Error as error:
        raise DatasetError(f"{path.name} is not a CSV table: {error}") from None


def _blank(row: Sequence[str]) -> bool:
    return not (row and row[0].strip()) and not any(map(str.strip, row))


@dataclass(frozen=True, eq=False)
class FilmColumn:
    """The column in which a table names its films or studies, and those that it may name.

    Attributes:
        place: position in the row, from 0.
        level: whether it names films or studies.
        cohort: the dataset's films or studies.
        names: their names, to look others up.
        header: names of all columns; blank ones where the file has no header.
        headless: whether the first row is a film's.
    """

    place: int
    level: Level
    cohort: Cohort
    names: FilmNames
    header: tuple[str, ...]
    headless: bool


def find_films(path: Path, cohort: Cohort) -> FilmColumn:
    """Find the column that names films of a cohort, or studies.

    By name first: of the columns called as in `FILM_COLUMNS` the first of which a cell names a
    film. Else by content: the column whose cells name the most films. Else the same for studies.
    The first 200 rows tell, or the whole table where they name no film.

    Args:
        path: as `open_rows` has it.
        cohort: the films.

    Raises:
        DatasetError: for a table without rows, or without such a column.
    """
    with open_rows(path) as rows:
        first, _ = next(rows, ([], 0))
    if not first:
        raise DatasetError(f"{path.name} must have a column that names the film; it has no rows")
    header = [cell.strip() for cell in first]
    films, studies = places_named(header, FILM_COLUMNS), places_named(header, STUDY_COLUMNS)
    # a score of 1 would name the film 1.png
    free = [at for at, name in enumerate(header) if parse_score_name(name)[1] is None]
    names, level, named = FilmNames(cohort.image_ids()), Level.FILM, cohort
    at = _best(path, names, films, [at for at in free if at not in studies])
    if at is None and any(record.study_id for record in cohort.records):
        level, named = Level.STUDY, grouped(cohort, Level.STUDY)
        names = FilmNames(named.image_ids())
        at = _best(path, names, [*films, *studies], free)
    if at is None and studies:
        names, level, named = FilmNames(cohort.image_ids()), Level.FILM, cohort
        at = _best(path, names, studies, [])
    if at is None:
        raise DatasetError(_no_films(path, header, cohort))
    headless = at not in (*films, *studies) and names.find(header[at]).row is not None
    words = ("",) * len(header) if headless else tuple(header)
    return FilmColumn(at, level, named, names, words, headless)


def _best(path: Path, names: FilmNames, called: Sequence[int], others: Sequence[int]) -> int | None:
    """Return the first well-named column with a film in it, else the column with the most films."""
    with open_rows(path) as rows:
        found = _tally(islice(rows, _SAMPLE), names, [*called, *others])
    if not any(found[at] for at in called or others):
        # a table of a large dataset may begin with films that the labels do not have
        with open_rows(path) as rows:
            found = _tally(rows, names, [*called, *others])
    order = [*called, *sorted(others, key=lambda at: -found[at])]
    return next((at for at in order if found[at]), None)


def _tally(
    rows: Iterable[tuple[list[str], int]], names: FilmNames, places: Sequence[int]
) -> Counter[int]:
    """Count for each column the cells that name a record."""
    found: Counter[int] = Counter()
    for row, _ in rows:
        for at in places:
            if at < len(row) and names.find(row[at].strip()).row is not None:
                found[at] += 1
    return found


def _no_films(path: Path, header: Sequence[str], cohort: Cohort) -> str:
    """Say why no column names a film."""
    if named := places_named(header, (*FILM_COLUMNS, *STUDY_COLUMNS)):
        names, counts = FilmNames(cohort.image_ids()), Counter[str]()
        with open_rows(path) as rows:
            for row, _ in islice(rows, 1, None):
                cell = row[named[0]] if named[0] < len(row) else ""
                counts.update(rows=1, many=int(names.find(cell.strip()).many))
        return nothing_in_common(path, named[0], cohort, counts)
    if all(map(is_unnamed, header)):
        return (
            f"{path.name} must name its films and findings; its first line is "
            f"{', '.join(header[:4])}…, so their order is unknown. Write a header: Image_ID and a "
            "finding over each column"
        )
    separated = " Its columns are separated by ';': save it with commas"
    return (
        f"{path.name} must have a column that names the film, such as Image_ID; it has "
        f"{', '.join(header)}, and no cell names a film of {cohort.dataset} "
        f"(first: {_first(cohort)})."
        f"{separated if len(header) == 1 and ';' in header[0] else ''}"
    )


def nothing_in_common(path: Path, place: int, cohort: Cohort, counts: Counter[str]) -> str:
    """Return the message for a table whose film column names no film here.

    Args:
        path: the table.
        place: its film column.
        cohort: the films.
        counts: of `rows`, and of names that fit `many` films.
    """
    with open_rows(path) as rows:
        first = next((row[place] for row, _ in islice(rows, 1, None) if place < len(row)), "none")
    many = f"; {counts['many']:,} of them fit several films" if counts["many"] else ""
    return (
        f"{path.name} and {cohort.dataset} must have a film in common; the table names "
        f"{counts['rows']:,}, first: {first}{many}; the dataset {len(cohort):,}, first: "
        f"{_first(cohort)}. Name films as the dataset does"
    )


def _first(cohort: Cohort) -> str:
    return cohort.image_ids()[0] if len(cohort) else "none"
