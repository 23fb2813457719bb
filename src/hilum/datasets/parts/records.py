"""Rows of a table as records: what a cell says, and the notes that a cohort carries."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import LabelSet, LabelState
from hilum.domain.radiograph import Sex
from hilum.domain.record import Record
from hilum.files.lines import whole_number

__all__ = [
    "AGELESS",
    "NO_PATIENTS",
    "REPEATED",
    "add_once",
    "age_years",
    "at_row",
    "film_notes",
    "first_names",
    "label_state",
    "label_states",
    "row_notes",
    "row_states",
    "sex_of",
    "spelling_notes",
]

NO_PATIENTS = "no patient column: each film is taken as its own patient, so intervals are by film"
"""The note of a dataset that does not name its patients."""

REPEATED = "rows that repeat a film with the same labels, left out"
"""What rows are that say nothing new."""
AGELESS = "films whose age cannot be, taken as unknown"
"""What films are whose table gives an age that `age_years` refuses."""

_SEXES = {"f": Sex.FEMALE, "female": Sex.FEMALE, "m": Sex.MALE, "male": Sex.MALE}
_WRITTEN = {
    **dict.fromkeys(("1", "1.0"), LabelState.POSITIVE),
    **dict.fromkeys(("0", "0.0"), LabelState.NEGATIVE),
    **dict.fromkeys(("-1", "-1.0"), LabelState.UNCERTAIN),
    "": LabelState.UNLABELLED,
}


def add_once(records: dict[str, Record], record: Record, where: str) -> bool:
    """Add a record, unless its film is there with the same labels and patient already.

    Returns:
        Whether the film is new.

    Raises:
        DatasetError: where the film is there with other labels or another patient, or where film
            or patient has no name.
    """
    if not (record.image_id and record.patient_id):
        raise DatasetError(f"{where}: film and patient must both be named")
    known = records.setdefault(record.image_id, record)
    if (known.states, known.patient_id) != (record.states, record.patient_id):
        raise DatasetError(
            f"{where}: film {record.image_id} is listed before with other labels or another "
            "patient. Keep the row that is right"
        )
    return known is record


def film_notes(records: Mapping[str, Record], films: Mapping[str, Path]) -> list[str]:
    """Return notes on rows without a film here, and on films here without a row."""
    notes: list[str] = []
    here = sum(record.path is not None for record in records.values())
    if here < len(records):
        notes.append(f"films here: {here:,} of {len(records):,}; the rest is known by label only")
    described = {record.path for record in records.values()}
    rowless = [name for name, path in films.items() if path not in described]
    if rowless:
        some = f"{len(rowless):,} ({first_names(rowless)})"
        notes.append(f"films here without a row in the table, left out: {some}")
    return notes


@contextmanager
def at_row(where: str) -> Generator[None]:
    """Raise what is wrong with a row again, with its place.

    Raises:
        DatasetError: for any error of a cell.

    >>> with at_row("a.csv row 3"):
    ...     float("wide")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.DatasetError: a.csv row 3: could not convert string to float: 'wide'
    """
    try:
        yield
    except (DatasetError, UsageError, ValueError) as error:
        raise DatasetError(f"{where}: {error}") from error


def row_notes(repeated: int, ageless: int = 0) -> list[str]:
    """Return notes on rows that `add_once` did not add, and on ages that cannot be."""
    counts = {REPEATED: repeated, AGELESS: ageless}
    return [f"{what}: {count:,}" for what, count in counts.items() if count]


def spelling_notes(words: Iterable[str], labels: LabelSet, source: str) -> list[str]:
    """Return a note for each finding that the source spells differently.

    >>> from hilum.domain.findings import nih14
    >>> spelling_notes(["Infiltrate", "Mass"], nih14(), "boxes.csv")
    ["boxes.csv: 'Infiltrate' is read as Infiltration"]
    """
    known = {word: labels.findings[labels.index(word)] for word in words}
    return [
        f"{source}: '{word}' is read as {finding}"
        for word, finding in sorted(known.items())
        if word != finding
    ]


def first_names(names: Iterable[str], count: int = 5) -> str:
    """Join the first few of many names, for a message.

    >>> first_names(["b", "a", "c"], count=2)
    'a, b, …'
    """
    ordered = sorted(names)
    return ", ".join([*ordered[:count], *(["…"] if len(ordered) > count else [])])


def age_years(text: str) -> float | None:
    """Return an age in years; None for one that is blank, not above 0, or above 120.

    Numbers that a spreadsheet or pandas saved as decimals count as what they are.

    >>> age_years("57"), age_years("060Y"), age_years("006M"), age_years("413"), age_years("58.0")
    (57.0, 60.0, 0.5, None, 58.0)
    """
    match = re.fullmatch(r"(\d{1,5}(?:[.,]\d{0,9})?) ?([YMD]?)", text.strip().upper())
    if match is None:
        return None
    number = float(match[1].replace(",", "."))
    years = number / {"": 1.0, "Y": 1.0, "M": 12.0, "D": 365.25}[match[2]]
    return years if 0.0 < years <= 120.0 else None


def sex_of(text: str) -> Sex:
    """Return the sex that a table writes as a letter or a word, in any case.

    >>> sex_of("F").name, sex_of("Male").name, sex_of("m").name, sex_of("O").name
    ('FEMALE', 'MALE', 'MALE', 'UNKNOWN')
    """
    return _SEXES.get(text.strip().casefold(), Sex.UNKNOWN)


def label_state(text: str) -> LabelState:
    """Return the state that a table writes as a number; blank is unlabeled, never negative.

    Raises:
        DatasetError: for anything but 1, 0, -1 and blank.

    >>> label_state("1.0"), label_state("")
    (<LabelState.POSITIVE: 1>, <LabelState.UNLABELLED: -2>)
    """
    state = _WRITTEN.get(whole_number(text))
    if state is None:
        raise DatasetError(
            "a label must be 1 (positive), 0 (negative), -1 (uncertain) or blank (unlabelled); "
            f"got '{text}'"
        )
    return state


@cache
def label_states(texts: tuple[str, ...]) -> tuple[LabelState, ...]:
    """Return the state of each cell of a row; rows of equal cells share one tuple."""
    return tuple(label_state(text) for text in texts)


def row_states(texts: Sequence[str], where: str) -> tuple[LabelState, ...]:
    """Return `label_states` of a row, whose errors name the row.

    Raises:
        DatasetError: for a cell that is not a label.
    """
    with at_row(where):
        return label_states(tuple(texts))
