"""What a table beside the results tells of films: patients, days, sites and devices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.datasets.parts.disk import read_header, read_rows, tables_in
from hilum.datasets.parts.records import age_years, sex_of
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.film_names import FilmNames, stem_of
from hilum.domain.findings import find
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.files.lines import fold
from hilum.monitoring.films import FilmNote

__all__ = ["FilmTables", "film_notes", "tables_notes"]

_ROLES = {
    "film": ("imageid", "imageindex", "image", "film", "filename", "file", "path"),
    "patient": ("patientid", "patient", "subjectid", "subject"),
    "day": ("studydate", "acquisitiondate", "date", "day", "studydatetime", "datetime", "time"),
    "view": ("viewposition", "view"),
    "age": ("patientage", "age"),
    "sex": ("patientsex", "patientgender", "sex", "gender"),
    "site": ("site", "hospital", "institution", "institutionname"),
    "manufacturer": ("manufacturer",),
    "model": ("manufacturermodelname", "modelname", "model"),
    "photometric": ("photometricinterpretation", "photometric"),
}
"""Role to the folded names of the columns that may have it, in order of preference."""
_DAY = re.compile(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:\D.*)?")


@dataclass(frozen=True)
class FilmTables:
    """Tables beside results.

    Attributes:
        films: of patients and, where it has them, dates, sites and devices.
        readings: of readers, as `hilum serve export` writes them: a row for each film and reader,
            with 1 for a finding that is present and 0 for one that is absent.
    """

    films: Path | None = None
    readings: Path | None = None


def tables_notes(tables: FilmTables, names: Sequence[str]) -> dict[str, FilmNote] | None:
    """Return what tables tell of some films; None without tables.

    Args:
        tables: CSV or TSV.
        names: of the films in the results.

    Raises:
        DatasetError: for a table without the columns it needs, or that names none of the films.
    """
    notes = None if tables.films is None else film_notes(tables.films, names)
    if tables.readings is None:
        return notes
    found = dict(notes or {})
    for name, judged in _judged(tables.readings, names).items():
        found[name] = replace(found.get(name, FilmNote()), judged=judged)
    return found


def _judged(place: Path, names: Sequence[str]) -> dict[str, frozenset[tuple[str, bool]]]:
    """Return what readers called, by film; a film that was read without a call has none."""
    table = place / "labels.csv" if place.is_dir() else place
    if not table.is_file():
        raise DatasetError(f"--readings must be a table of readings; there is none at {table}")
    header = read_header(table)
    film = next((name for name in header if fold(name) in _ROLES["film"]), "")
    found = {column: name for column in header if (name := _finding(column))}
    if not film or not found:
        raise DatasetError(
            f"--readings must have a column of films and one of a finding or more; {table} has "
            f"{', '.join(header[:6]) or 'none'}"
        )
    known, judged = FilmNames(names), dict[str, set[tuple[str, bool]]]()
    for _, (name, *cells) in read_rows(table, [film, *found]):
        row = known.find(name).row
        if row is not None:
            calls = zip(found.values(), cells, strict=True)
            own = {(one, cell == "1") for one, cell in calls if cell in ("0", "1")}
            judged.setdefault(names[row], set()).update(own)
    if not judged:
        raise DatasetError(f"--readings must be of these films; {table} names none of them")
    return {name: frozenset(own) for name, own in judged.items()}


def _finding(column: str) -> str:
    """Return the finding that a column is named after; empty for any other column."""
    try:
        return find(column).name
    except UsageError:
        return ""


def film_notes(table: Path, names: Sequence[str]) -> dict[str, FilmNote]:
    """Return what a table tells of some films, by their name in the results.

    Args:
        table: CSV or TSV with a column of films, or a dataset's folder with one such table.
        names: of the films.

    Raises:
        DatasetError: when there is no such table, or a day in it is none.
    """
    place = _table(table)
    roles = _roles(read_header(place))
    known, wanted = FilmNames(names), {_last_part(name) for name in names}
    notes: dict[str, FilmNote] = {}
    for number, cells in read_rows(place, list(roles.values())):
        row = dict(zip(roles, cells, strict=True))
        # a table may have a hundred times as many films, and to look for a name takes 50 us
        if _last_part(row["film"]) not in wanted:
            continue
        found = known.find(row["film"]).row
        if found is not None:
            notes[names[found]] = _note(row, f"{place.name} row {number}")
    if not notes:
        raise DatasetError(
            f"--films must be a table of these films; {place} names none of them, such as "
            f"{names[0] if names else 'none'}"
        )
    return notes


def _last_part(name: str) -> str:
    """Return the last part of a path, without suffix and folded: what two spellings share."""
    last = stem_of(name.replace("\\", "/").rpartition("/")[2])
    return (last if last.isascii() else unicodedata.normalize("NFC", last)).casefold()


def _table(place: Path) -> Path:
    tables = [place] if place.is_file() else tables_in(place) if place.is_dir() else []
    fitting = [one for one in tables if {"film", "patient"} <= _roles(read_header(one)).keys()]
    if len(fitting) != 1:
        raise DatasetError(
            f"--films must be one table with columns of films and patients, such as image_id and "
            f"patient_id; {place} has {len(fitting)}"
        )
    return fitting[0]


def _roles(header: Sequence[str]) -> dict[str, str]:
    folded = {fold(name): name for name in reversed(header) if name}
    return {
        role: folded[next(name for name in names if name in folded)]
        for role, names in _ROLES.items()
        if not folded.keys().isdisjoint(names)
    }


def _note(row: dict[str, str], where: str) -> FilmNote:
    words = {name: row.get(name, "") for name in ("site", "manufacturer", "model", "photometric")}
    view, sex = ViewPosition.from_words(row.get("view", "")), sex_of(row.get("sex", ""))
    if view is not ViewPosition.UNKNOWN:
        words["view"] = view.value
    if sex is not Sex.UNKNOWN:
        words["sex"] = sex.value
    return FilmNote(
        patient=row.get("patient", ""),
        day=_day(row.get("day", ""), where),
        words={name: word for name, word in words.items() if word},
        age_years=age_years(row.get("age", "")),
    )


def _day(text: str, where: str) -> str:
    if not text:
        return ""
    match = _DAY.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return str(np.datetime64("-".join(match.groups()), "D"))
    except ValueError:
        raise DatasetError(f"{where}: a day is written as YYYY-MM-DD; got '{text[:40]}'") from None
