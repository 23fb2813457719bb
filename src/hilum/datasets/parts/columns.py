"""Meaning of columns: those of a user's table, and those that two datasets share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.datasets.parts.disk import read_header, read_rows
from hilum.datasets.parts.records import label_state, label_states, spelling_notes
from hilum.domain.errors import DatasetError, UsageError
from hilum.domain.findings import NO_FINDING, LabelSet, LabelState, catalog, find, label_set

__all__ = ["Layout", "Marks", "States", "chexpert_columns", "layout_of", "marks_of"]

_ROLES = {
    "film": (
        *("imageid", "imageindex", "image", "film", "filename", "imagename", "file"),
        *("path", "imagepath", "filepath", "study"),
    ),
    "path": ("path", "imagepath", "filepath"),
    "patient": ("patientid", "patient", "subjectid", "subject"),
    "study": ("studyid", "study", "studyinstanceuid"),
    "view": ("viewposition", "view"),
    "age": ("patientage", "age"),
    "sex": ("patientsex", "patientgender", "sex", "gender"),
    "split": ("split",),
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
    folded = {_folded(name): name for name in reversed(header)}
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


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _finding(column: str) -> str | None:
    try:
        return find(column).name
    except UsageError:
        return None


def chexpert_columns() -> tuple[str, ...]:
    """Return the columns of labels that CheXpert and MIMIC-CXR-JPG share, in the set's order."""
    spelled = {"Effusion": "Pleural Effusion"}
    return tuple(spelled.get(finding, finding) for finding in label_set("CheXpert-14"))
