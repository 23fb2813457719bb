"""Rows of a fetch: one for each line of the list, on the disk as they come."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from hilum.domain.errors import Status, UsageError
from hilum.files.atomic import naming, write_atomic
from hilum.node.fetch.wanted import StudyKey

__all__ = ["FetchCode", "FetchJournal", "FetchRow", "counts", "write_rows"]


class FetchCode(StrEnum):
    """Reasons why a line is not simply `ok`."""

    NOT_FOUND = "NOT_FOUND"
    SEVERAL_STUDIES = "SEVERAL_STUDIES"
    NO_CHEST_FILM = "NO_CHEST_FILM"
    PARTLY_FETCHED = "PARTLY_FETCHED"
    LINE_INVALID = "LINE_INVALID"
    DUPLICATE_LINE = "DUPLICATE_LINE"
    SOURCE_UNREACHABLE = "SOURCE_UNREACHABLE"
    SOURCE_REFUSED = "SOURCE_REFUSED"


_SETTLED = ("", FetchCode.NO_CHEST_FILM.value)
"""Codes of lines that are not looked at again."""


@dataclass(frozen=True)
class FetchRow:
    """What became of a line; nothing in it is of the patient.

    Attributes:
        line: of the list, from 1.
        key: how the line names its study.
        status: ok, warn, reject, error or skip.
        code: the reason; empty for ok.
        reason: the reason in a sentence.
        studies: studies that were found.
        films: films that are whole in the folder.
        missing: films that did not come, or were refused.
        folder: where the films are, in the output folder; empty without any.
    """

    line: int
    key: str
    status: str = Status.OK.value
    code: str = ""
    reason: str = ""
    studies: int = 0
    films: int = 0
    missing: int = 0
    folder: str = ""


class FetchJournal:
    """Rows of this and earlier runs, by a keyed hash of what the line names.

    Args:
        path: of the file.
        source: name of the source.

    Raises:
        UsageError: for the journal of a fetch from a different source.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._rows: dict[str, FetchRow] = {}
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        head = _tree(lines[0]) if lines else {}
        if lines and (head.get("source"), bool(head.get("salt"))) != (source, True):
            raise UsageError(
                f"{path.parent} must hold films of the source {source}, or none; it holds those of "
                "a different one. Name another folder with -o"
            )
        self._salt = str(head.get("salt") or secrets.token_hex(16))
        for line in lines[1:]:
            with suppress(ValueError, TypeError, KeyError):  # the last line of a killed run
                tree = _tree(line)
                name = str(tree.pop("entry"))
                self._rows[name] = FetchRow(**tree)
        if not lines:
            self._append({"source": source, "salt": self._salt})
        elif lines[-1]:
            self._append({})  # ends a line that was cut

    def entry(self, key: StudyKey) -> str:
        """Return the name of what a line names; the same in every run of this folder."""
        text = f"{key.kind}\0{key.value}\0{key.day}".encode("utf-8", "surrogatepass")
        return hmac.new(bytes.fromhex(self._salt), text, hashlib.sha256).hexdigest()[:32]

    def settled(self, key: StudyKey) -> FetchRow | None:
        """Return the row of a line that was finished in an earlier run."""
        row = self._rows.get(self.entry(key))
        return replace(row, line=key.line) if row is not None and row.code in _SETTLED else None

    def add(self, key: StudyKey, row: FetchRow) -> None:
        """Record a row."""
        self._append({"entry": self.entry(key), **asdict(row)})

    def _append(self, document: dict[str, object]) -> None:
        with naming(self._path), self._path.open("ab") as file:
            text = json.dumps(document) if document else ""
            file.write(text.encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())


def write_rows(path: Path, rows: Sequence[FetchRow]) -> None:
    """Write the table of the rows, in the order of the list."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, [one.name for one in fields(FetchRow)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    write_atomic(path, text.getvalue().encode("utf-8"))


def counts(rows: Sequence[FetchRow]) -> Counter[str]:
    """Return how many lines have each outcome: the status, with the code where there is one."""
    return Counter(f"{row.status} {row.code}".strip() for row in rows)


def _tree(line: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}
