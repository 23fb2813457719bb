"""What is to be fetched: the lines of a list, or a query for studies, read strictly."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from hilum.domain.errors import DatasetError, UsageError
from hilum.files.lines import TableRows, fold, text_lines
from hilum.runs.recipe import Source, describe
from hilum.runs.recipe_parts import Part

__all__ = ["KeyKind", "StudyKey", "StudyQuery", "read_list", "read_query"]

_COLUMNS = {
    "study": ("study_instance_uid", "study_uid", "studyinstanceuid"),
    "accession": ("accession_number", "accession"),
    "patient": ("patient_id", "patientid"),
    "date": ("study_date", "date"),
}
"""Column to its names, in order of preference."""
_UID = re.compile(r"[0-9.]{1,64}")
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_LONGEST = 64
_NOT_PLAIN = re.compile(r"[*?\\\x00-\x1f\x7f]")
"""What a search would take for a pattern, for several values, or for no text."""
_LONGEST_QUERY = 65536


class KeyKind(StrEnum):
    """How a line names its study."""

    STUDY = "study_instance_uid"
    ACCESSION = "accession_number"
    PATIENT_DATE = "patient_id_and_date"
    QUERY = "query"
    """Found by a query, and known by its study UID since."""
    NONE = "none"


@dataclass(frozen=True, repr=False)
class StudyKey:
    """A study that is to be fetched.

    Attributes:
        line: of the list, from 1; of a query, the place of the study in its answer.
        kind: how it is named.
        value: study UID, accession number or patient id.
        day: of the study (YYYYMMDD), beside a patient id.
        fault: why the line names no study, in words that do not repeat it; empty where it does.
    """

    line: int
    kind: KeyKind
    value: str = ""
    day: str = ""
    fault: str = ""


class StudyQuery(Part):
    """Studies by their days."""

    first_day: date
    last_day: date
    modalities: tuple[str, ...] = Field(default=("CR", "DX"), min_length=1, max_length=8)
    """Modalities that a study must have one of."""
    at_most: int = Field(default=1000, ge=1, le=100_000)
    """Studies; more are refused, so that a slip of the pen does not fetch an archive."""

    @model_validator(mode="after")
    def _in_order(self) -> StudyQuery:
        if self.last_day < self.first_day:
            raise ValueError("last_day must not be before first_day")
        if not all(re.fullmatch("[A-Z]{2,16}", word) for word in self.modalities):
            raise ValueError("modalities must be words such as CR and DX")
        return self

    @property
    def days(self) -> str:
        """Range as a search has it.

        >>> StudyQuery(first_day="2026-01-02", last_day="2026-01-31").days
        '20260102-20260131'
        """
        return f"{self.first_day:%Y%m%d}-{self.last_day:%Y%m%d}"


def read_list(path: Path) -> list[StudyKey]:
    """Read a list of studies: a table with a column for study UID, accession number, or patient.

    A line that has several is taken by the first of them. A line that has none, or something that
    a search would take for a pattern, is in the list with its fault.

    Raises:
        UsageError: for a file that cannot be opened, or has none of the columns.
        DatasetError: for a file that is not a table.
    """
    with text_lines(path, wide=True) as lines:
        rows = TableRows(lines, names=True)
        try:
            header = [fold(cell) for cell in next(iter(rows), [])]
            places = {name: _place(header, names) for name, names in _COLUMNS.items()}
            if places["study"] is None and places["accession"] is None and _alone(places):
                raise UsageError(
                    f"a list must have a column study_instance_uid or accession_number, or "
                    f"patient_id and study_date; {path} has none. Name them in its first line"
                )
            return [
                _key(rows.line, {name: _cell(row, place) for name, place in places.items()})
                for row in rows
                if any(map(str.strip, row))
            ]
        except csv.Error as error:
            raise DatasetError(f"{path.name} line {rows.line} is not CSV: {error}") from None


def read_query(path: Path) -> StudyQuery:
    """Read a query for studies.

    Raises:
        UsageError: for a file that is not one; the message names the line and the key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_QUERY).decode("utf-8")
        tree = yaml.safe_load(text)
        source = Source.of(str(path), text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"a query must be readable; {path}: {reason}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"a query must be YAML; {path}: {reason}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"a query must be a mapping of keys; {path} is not")
    try:
        return StudyQuery.model_validate(tree)
    except ValidationError as error:
        raise UsageError(describe(error, StudyQuery, source)) from None


def _alone(places: dict[str, int | None]) -> bool:
    return places["patient"] is None or places["date"] is None


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(word) for word in map(fold, names) if word in header), None)


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def _key(line: int, cells: dict[str, str]) -> StudyKey:
    if cells["study"]:
        fault = "" if _UID.fullmatch(cells["study"]) else "the study UID is not a UID"
        return StudyKey(line, KeyKind.STUDY, cells["study"], fault=fault)
    if cells["accession"]:
        fault = _not_plain(cells["accession"], "the accession number")
        return StudyKey(line, KeyKind.ACCESSION, cells["accession"], fault=fault)
    if cells["patient"] and cells["date"]:
        found = _DATE.fullmatch(cells["date"])
        fault = _not_plain(cells["patient"], "the patient id")
        if not found:
            fault = fault or "the date is not YYYY-MM-DD or YYYYMMDD"
        day = "".join(found.groups()) if found else ""
        return StudyKey(line, KeyKind.PATIENT_DATE, cells["patient"], day, fault)
    return StudyKey(line, KeyKind.NONE, fault="the line names no study")


def _not_plain(text: str, what: str) -> str:
    if _NOT_PLAIN.search(text):
        return f"{what} has a character of a pattern (*, ? or \\) or a control character"
    return f"{what} is longer than {_LONGEST} characters" if len(text) > _LONGEST else ""
