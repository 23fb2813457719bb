"""Meaning of columns: those of a user's table, and those that two datasets share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.datasets.parts.disk import read_header, read_rows, tables_in
from hilum.datasets.parts.records import (
    first_names,
    label_state,
    label_states,
    spelling_notes,
)
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import NO_FINDING, LabelSet, LabelState, catalog, find, label_set
from hilum.files.lines import fold, is_wide

__all__ = ["Layout", "Marks", "States", "chexpert_columns", "layout_of", "marks_of", "nearest"]

_ROLES = {
    "film": (
        *("imageid", "imageindex", "image", "film", "filename", "imagename", "file"),
        *("path", "imagepath", "filepath", "imgpath", "dicomid", "sopinstanceuid", "study"),
    ),
    "path": ("path", "imagepath", "filepath"),
    "patient": ("patientid", "patient", "subjectid", "subject"),
    "study": ("studyid", "study", "studyinstanceuid"),
    "view": ("viewposition", "view"),
    "age": ("patientage", "age"),
    "sex": ("patientsex", "patientgender", "sex", "gender"),
    "split": ("split",),
    "reader": ("reader", "readerid", "radid"),
    "labels": ("findinglabels", "labels"),
}
"""Role to the folded names of the columns that may have it, in order of preference."""

States = tuple[LabelState, ...]
Marks = Callable[[tuple[str, ...]], States]
"""Function from a row's label cells to its states; refuses with a DatasetError."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table that are read.

    Attributes:
        roles: role, such as "film" or "patient", to its column.
        findings: column to its finding; empty where labels are joined in one column, as in NIH's
            `Mass|Nodule`, which then has the role "labels".
        unread: the columns that are neither.
    """

    roles: dict[str, str]
    findings: dict[str, str]
    unread: tuple[str, ...]

    @property
    def label_columns(self) -> list[str]:
        """The columns that the label cells of a row stand in."""
        return list(self.findings) or [self.roles["labels"]]


def layout_of(table: Path) -> Layout | None:
    """Return a CSV table's layout by its header; None without columns of films and labels.

    Case, blanks and punctuation in the names do not matter. Where a table has columns of findings
    and one of joined labels too, the findings count.
    """
    header = [name for name in read_header(table) if name]
    folded = {fold(name): name for name in reversed(header)}
    findings = {name: finding for name in header if (finding := _finding(name)) is not None}
    roles = {
        role: folded[next(name for name in names if name in folded)]
        for role, names in _ROLES.items()
        if not folded.keys().isdisjoint(names) and not (role == "labels" and findings)
    }
    if "film" not in roles or not (findings or "labels" in roles):
        return None
    used = {*findings, *roles.values()}
    return Layout(roles, findings, tuple(name for name in header if name not in used))


def nearest(place: Path) -> str:
    """Say why no reader knows a place: which of its tables is nearest to one, and what it lacks."""
    tables = [place] if place.is_file() else tables_in(place)
    fitting = [table.name for table in tables if layout_of(table) is not None]
    if len(fitting) > 1:
        return (
            f"{len(fitting)} of its tables have films and findings, {first_names(fitting)}. Name "
            f"one of them instead of the folder, such as {place / fitting[0]}"
        )
    if tables:
        table = max(tables, key=_nearness)
        return f"{table.name} is nearest to a table of labels. {_lacks(table)}"
    if below := sorted(place.glob("*/*.csv")):
        name = below[0].relative_to(place).as_posix()
        fits = layout_of(below[0]) is not None
        return f"it has no table itself, but {name}. {_USE if fits else _lacks(below[0])}"
    books = sorted(path.name for path in place.iterdir() if path.suffix.lower() in _WORKBOOKS)
    if books:
        return f"it has no *.csv or *.tsv; {books[0]} is a workbook. Save its sheet as CSV UTF-8"
    return f"it has no table of labels (*.csv, *.tsv). {_NEEDED}"


_USE = "Name that table, or its folder"
_WORKBOOKS = (".xlsx", ".xls", ".ods", ".numbers")
_NEEDED = (
    "A table needs a column of films, such as image_id, and a column a finding, such as Effusion, "
    "or one of joined labels, such as Finding Labels"
)


def _nearness(table: Path) -> tuple[int, int]:
    header = read_header(table)
    films = sum(fold(name) in _ROLES["film"] for name in header)
    return min(films, 1) + sum(_finding(name) is not None for name in header), len(header)


def _lacks(table: Path) -> str:
    """Say what keeps a table from being one of labels."""
    with suppress(OSError):
        if is_wide(table):
            return 'It is UTF-16, as "Unicode text" of Excel is. Save it as CSV UTF-8'
    header = [name for name in read_header(table) if name]
    if not header:
        return "It has no first line that can be read as names of columns"
    has = f"Its columns are {', '.join(name[:40] for name in header[:8])}"
    has += ", …" if len(header) > 8 else ""
    film = any(fold(name) in _ROLES["film"] for name in header)
    if not film:
        return f"{has}; none names the film. Call that column image_id"
    known = {fold(name): name for name in catalog()}
    for name in header:
        near = difflib.get_close_matches(fold(name), known, n=1, cutoff=0.75)
        if near:
            return f"{has}; none is a finding. Is '{name}' {known[near[0]]}?"
    return f"{has}; none is a finding. {_NEEDED}"


def marks_of(table: Path, layout: Layout, notes: list[str]) -> tuple[LabelSet, Marks]:
    """Return the table's label set, named "table", and how its label cells are read.

    Columns keep their order. Joined labels come in the catalog's order: what is not listed is
    negative, and a blank cell is unlabeled, not negative.

    Raises:
        DatasetError: for two columns of one finding, or an unknown word among joined labels; with
            its row.
    """
    if not layout.findings:
        return _joined(table, layout.roles["labels"], notes)
    try:
        labels = LabelSet("table", tuple(layout.findings.values()))
    except UsageError as error:
        raise DatasetError(f"{table.name}: {error}. Keep one column of each") from error
    notes += spelling_notes(layout.findings, labels, table.name)
    return labels, partial(_by_column, tuple(layout.findings))


def _by_column(columns: tuple[str, ...], cells: tuple[str, ...]) -> States:
    try:
        return label_states(cells)
    except DatasetError:
        for column, cell in zip(columns, cells, strict=True):
            try:
                label_state(cell)
            except DatasetError as error:
                raise DatasetError(f"{column}: {error}") from None
        raise


def _joined(table: Path, column: str, notes: list[str]) -> tuple[LabelSet, Marks]:
    listed: dict[str, frozenset[str]] = {}
    words: set[str] = set()
    for number, (cell,) in read_rows(table, (column,)):
        if cell in listed:
            continue
        names = [word.strip() for word in cell.split("|")] if cell else []
        try:
            listed[cell] = found = frozenset(find(word).name for word in names)
        except UsageError as error:
            raise DatasetError(f"{table.name} row {number}: {error}") from error
        if NO_FINDING in found and len(found) > 1:
            raise DatasetError(
                f"{table.name} row {number}: '{NO_FINDING}' must stand alone; got '{cell}'"
            )
        words.update(() if NO_FINDING in found else names)
    present = frozenset[str]().union(*listed.values()) - {NO_FINDING}
    if not present:
        raise DatasetError(f"{table.name} must name a finding in column {column}; it names none")
    labels = LabelSet("table", tuple(name for name in catalog() if name in present))
    notes += spelling_notes(words, labels, table.name)
    silent = (LabelState.UNLABELLED,) * len(labels)
    states = {
        cell: tuple(LabelState(name in found) for name in labels) if cell else silent
        for cell, found in listed.items()
    }
    return labels, lambda cells: states[cells[0]]


def _finding(column: str) -> str | None:
    try:
        return find(column).name
    except UsageError:
        return None


def chexpert_columns() -> tuple[str, ...]:
    """Return the columns of labels that CheXpert and MIMIC-CXR-JPG share, in the set's order."""
    spelled = {"Effusion": "Pleural Effusion"}
    return tuple(spelled.get(finding, finding) for finding in label_set("CheXpert-14"))
