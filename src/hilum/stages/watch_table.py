"""What a table beside the results tells of films: patients, days, sites and devices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hilum.datasets.parts.disk import read_header, read_rows, tables_in
from hilum.datasets.parts.records import age_years, sex_of
from hilum.domain.errors import DatasetError
from hilum.domain.film_names import FilmNames, stem_of
from hilum.domain.radiograph import Sex, ViewPosition
from hilum.files.lines import fold
from hilum.monitoring.films import FilmNote

__all__ = ["film_notes"]

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
