r"""The journal of a batch: what is finished, so that a stopped run goes on where it stopped.

A line is the CRC-32 of what follows, a space, and JSON in ASCII. The first says what the results
depend on; each other line is one finished input::

    5b1f0c2a {"schema_version":1,"bundle":"9c2f...","precision":"f32",...}
    e07c9d10 {"key":"4f1d...","result":{"input":"inbox/a.png",...}}

Lines are only ever appended. A killed run can tear the last one, which is dropped; a line before
it that is not as it was written means that somebody else wrote, and is an error. The CRC shows
accidents; it is no signature.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from hilum.domain.errors import UsageError
from hilum.domain.result import ImageResult
from hilum.domain.whole import naming, sync_folder

__all__ = ["Entry", "Header", "Journal", "Recorded", "read_journal"]

LINES_A_SYNC = 32
"""Lines that a power cut may cost; a killed process costs none."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(_Frozen):
    """Everything but the film that a result depends on. Another header is another batch."""

    schema_version: int = 1
    bundle: str
    """Short id, which covers network, calibrator, thresholds and preprocessing."""
    precision: str
    code_sha256: str
    options: dict[str, str] = {}
    """What was asked for that changes results or pictures."""


class Entry(_Frozen):
    """One finished input."""

    key: str | None
    """sha256 of the bytes that the result is about, which with the input's name makes it this
    result. None where the file was not there, could not be read or was being written: such an
    input is looked at again."""
    result: ImageResult

    @property
    def files(self) -> tuple[str, ...]:
        """Its pictures, relative to the output folder."""
        result = self.result
        return (*((result.film,) if result.film else ()), *result.heatmaps.values())


@dataclass(frozen=True)
class Recorded:
    """What a journal holds.

    Attributes:
        entries: input as it was listed to its entry, the last where there are several.
        files: pictures of all entries, earlier ones too, relative to the output folder.
        end: bytes of the header and whole lines; 0 for a journal that has to be begun.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    end: int = 0


def read_journal(path: Path, header: Header) -> Recorded | None:
    """The finished inputs of an earlier run; None where there is no journal.

    Raises:
        UsageError: when the run was another (its header names what differs), or when a line
            before the last is damaged.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    recorded, end, number = Recorded(), 0, 0
    with file:
        first = file.readline()
        if not first.endswith(b"\n") and _line(header.model_dump()).startswith(first):
            return recorded  # nothing yet, or killed within the first line
        _check_header(path, _document(first), header)
        end = len(first)
        for number, line in enumerate(file, start=2):
            entry = _entry(line)
            if entry is None:
                if file.read(1):
                    raise _damaged(path, number)
                break  # torn: its input is done again
            end += len(line)
            recorded.entries[entry.result.input] = entry
            recorded.files.update(entry.files)
    return Recorded(recorded.entries, recorded.files, end)


class Journal:
    """Appends to a journal what is finished; each line is with the system when `append` returns.

    Args:
        path: the journal, begun here where `recorded` says so.
        header: of this run.
        recorded: what the journal holds already. What follows it is cut off.
    """

    def __init__(self, path: Path, header: Header, recorded: Recorded) -> None:
        path.touch()
        self._path = path
        self._file = path.open("r+b")
        self._unsynced = 0
        self._file.truncate(recorded.end)
        self._file.seek(recorded.end)
        if recorded.end == 0:
            self._write(header.model_dump())
            sync_folder(path.parent)

    def append(self, entry: Entry) -> None:
        """One more input is finished, and its pictures are in place."""
        self._write(entry.model_dump())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with naming(self._path), self._file:
            self._sync()

    def _write(self, document: dict[str, Any]) -> None:
        with naming(self._path):
            self._file.write(_line(document))
            self._file.flush()
            self._unsynced += 1
            if self._unsynced >= LINES_A_SYNC:
                self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0


def _line(document: dict[str, Any]) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _document(line: bytes) -> object:
    """What a line says; None where it is not as it was written."""
    crc, body = line[:8], line[9:-1]
    if line != b"%b %b\n" % (crc, body) or crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _entry(line: bytes) -> Entry | None:
    try:
        return Entry.model_validate(_document(line))
    except ValueError:
        return None


def _check_header(path: Path, found: object, header: Header) -> None:
    if not isinstance(found, dict):
        raise _damaged(path, 1)
    mine = header.model_dump()
    differ = sorted(key for key in {*found, *mine} if found.get(key) != mine.get(key))
    if differ:
        raise UsageError(
            f"a batch is continued as it was begun; {path.parent} was scored with another "
            f"{', '.join(differ)}. Name another folder with -o"
        )


def _damaged(path: Path, line: int) -> UsageError:
    remedy = "the journal to score all films" if line == 1 else "that line to score its film"
    return UsageError(
        f"a journal must be as hilum wrote it; {path}, line {line} is damaged. Remove {remedy} "
        "again, or name another folder with -o"
    )
