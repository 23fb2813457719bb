"""Rows of a fetch: one for each line of the list, on the disk as they come."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from hilum.domain.errors import Status, UsageError
from hilum.files.rows import SyncedLines
from hilum.node.fetch.wanted import StudyKey

__all__ = ["FetchCode", "FetchJournal", "FetchRow"]


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
        self._lines = SyncedLines(path)
        self._rows: dict[str, FetchRow] = {}
        head = self._lines.head
        if head is not None and (head.get("source"), bool(head.get("salt"))) != (source, True):
            raise UsageError(
                f"{path.parent} must hold films of the source {source}, or none; it holds those of "
                "a different one. Name another folder with -o"
            )
        self._salt = str((head or {}).get("salt") or secrets.token_hex(16))
        for tree in self._lines.documents:
            with suppress(TypeError, KeyError):  # a row of another version
                name = str(tree.pop("entry"))
                self._rows[name] = FetchRow(**tree)
        self._lines.begin({"source": source, "salt": self._salt})

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
        self._lines.append({"entry": self.entry(key), **asdict(row)})
