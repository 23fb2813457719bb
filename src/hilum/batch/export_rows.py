"""Rows of an export: one for every input, kept as they come, and nothing in them of the patient."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hilum.domain.errors import Status, UsageError
from hilum.files.atomic import atomic_file
from hilum.files.rows import SyncedLines

__all__ = ["ExportJournal", "ExportRow", "write_mapping"]


@dataclass(frozen=True)
class ExportRow:
    """One input of an export; nothing in it is of the patient.

    Attributes:
        input: keyed hash of the input's path.
        object: keyed hash of the input's bytes; empty where they cannot be read.
        status: ok, reject, error or skip.
        code: the reason; empty for ok.
        reason: the reason in a sentence.
        file: the object, in the output folder; empty where none was written.
        kind: CR, DX, SC, PR, KO or a kind of report (TEXT, ESR, CSR, C3D).
        patient: pseudonym of the patient.
        study_instance_uid, sop_instance_uid: of the object as it is written.
        boxes: parts of the picture that were blacked out.
    """

    input: str
    object: str = ""
    status: str = Status.OK.value
    code: str = ""
    reason: str = ""
    file: str = ""
    kind: str = ""
    patient: str = ""
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    boxes: int = 0


class ExportJournal:
    """The rows so far, on disk as they come.

    Args:
        path: of the file.
        settings: of the export.

    Raises:
        UsageError: for the journal of an export with other settings.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self._lines = SyncedLines(path)
        self.rows: dict[str, ExportRow] = {}
        """Input to its row."""
        head = self._lines.head
        if head is not None and head.get("settings") != settings:
            raise UsageError(
                f"{path.parent} must hold an export with the same key, options and version of "
                "hilum, or none; it holds a different one. Name another folder with -o"
            )
        for tree in self._lines.documents:
            with suppress(TypeError):  # a row of another version
                row = ExportRow(**tree)
                self.rows[row.input] = row
        self._lines.begin({"settings": settings})

    def add(self, row: ExportRow) -> None:
        """Record a row."""
        self.rows[row.input] = row
        self._lines.append(asdict(row))


def write_mapping(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write which input became which object, for its owner alone."""
    with atomic_file(path) as unfinished:
        unfinished.chmod(0o600)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]) if rows else ["path"], lineterminator="\n")
            table.writeheader()
            table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    path.chmod(0o600)


def _cell(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, on one line."""
    shown = value if value.isprintable() else value.encode("unicode_escape").decode("ascii")
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) and len(shown) > 4 else shown
