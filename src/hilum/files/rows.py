"""Rows of a long run: each on the disk before work goes on, and all in a table at its end."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hilum.files.atomic import naming, write_atomic

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Outcome", "SyncedLines", "outcomes", "write_rows"]


class Outcome(Protocol):
    """What became of something, in a word, and the reason's code; empty without one."""

    @property
    def status(self) -> str:
        """Return the word."""
        ...

    @property
    def code(self) -> str:
        """Return the code."""
        ...


class SyncedLines:
    """A file of JSON documents, a line each: those of a run, and of the runs before it.

    Args:
        path: of the file; it need not be there.

    Attributes:
        head: first document of the file; None before there is one, and empty where it was cut.
        documents: those after it. Lines that hold none are left out, such as the last line of a run
            that was killed.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "rows.jsonl"
    >>> SyncedLines(path).begin({"source": "pacs"})
    >>> lines = SyncedLines(path)
    >>> lines.head, lines.documents
    ({'source': 'pacs'}, [])
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        self.head: dict[str, Any] | None = _document(lines[0]) if lines else None
        self.documents = [tree for line in lines[1:] if (tree := _document(line))]
        self._cut = bool(lines and lines[-1])

    def begin(self, head: dict[str, Any]) -> None:
        """Write the head of a new file, or end a line that was cut."""
        if self.head is None:
            self.append(head)
        elif self._cut:
            self._write(b"")

    def append(self, document: dict[str, Any]) -> None:
        """Write a document, and wait until the disk has it."""
        self._write(json.dumps(document).encode("ascii"))

    def _write(self, line: bytes) -> None:
        with naming(self._path), self._path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _document(line: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}


def write_rows(
    path: Path, kind: type[DataclassInstance], rows: Iterable[DataclassInstance]
) -> None:
    """Write a CSV table of dataclass instances, one column a field, whole or not at all.

    Args:
        path: of the table.
        kind: class of the rows; its fields are the header, also of a table without rows.
        rows: in their order.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, [one.name for one in fields(kind)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    write_atomic(path, text.getvalue().encode("utf-8"))


def outcomes(rows: Iterable[Outcome]) -> Counter[str]:
    """Return how many rows have each outcome: the status, with the code where there is one."""
    return Counter(f"{row.status} {row.code}".strip() for row in rows)
