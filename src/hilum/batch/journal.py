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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from pydantic import BaseModel, ConfigDict

from hilum.domain.documents.results import ImageResult
from hilum.domain.errors import UsageError
from hilum.files.atomic import naming, sync_folder

__all__ = [
    "Entry",
    "Header",
    "Journal",
    "Recorded",
    "files_of",
    "in_order",
    "inputs_of",
    "pictures_of",
    "read_entries",
    "read_entry",
    "read_header",
    "read_journal",
]

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
    """Options that change results or pictures."""
    shard: str = ""
    """Part of the films, such as 2/3; empty for all."""
    list_sha256: str = ""
    """SHA-256 of the names of all films, where there are parts: they must be cut from one list."""


class Entry(_Frozen):
    """One finished input."""

    key: str | None
    """sha256 of the bytes that the result is about, which with the input's name makes it this
    result. None where the file was not there, could not be read or was being written: such an
    input is looked at again."""
    result: ImageResult
    sop_instance_uid: str = ""
    pixels_sha256: str = ""
    """SHA-256 of the pixels; with the UID, it is equal in two files of one DICOM object."""

    @property
    def files(self) -> tuple[str, ...]:
        """Its pictures and DICOM objects, relative to the output folder."""
        return files_of(self.result)


def files_of(result: ImageResult) -> tuple[str, ...]:
    """Pictures and DICOM objects of a result, relative to the output folder."""
    return (*pictures_of(result), *result.dicom.values())


def pictures_of(result: ImageResult) -> tuple[str, ...]:
    """Preview, maps and overlays of a result, relative to the output folder."""
    film = (result.film,) if result.film else ()
    return (*film, *result.maps.values(), *result.heatmaps.values())


@dataclass(frozen=True)
class Recorded:
    """Index of a journal, kept in memory: the offset of each line.

    Attributes:
        places: input as it was listed to the place of its entry, the last where there are several.
        superseded: pictures of the entries before the last.
        end: bytes of the header and whole lines; 0 for a journal that has to be begun.
    """

    places: dict[str, int] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    end: int = 0


def read_journal(path: Path, header: Header) -> Recorded | None:
    """Return the finished inputs of an earlier run; None where there is no journal.

    Raises:
        UsageError: when the run was another (its header names what differs), or when a line
            before the last is damaged.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    recorded, end, number = Recorded(), 0, 0
    pictures: dict[str, tuple[str, ...]] = {}
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
            name = entry.result.input
            recorded.superseded.update(pictures.get(name, ()))
            pictures[name] = entry.files
            recorded.places[name] = end
            end += len(line)
    return Recorded(recorded.places, recorded.superseded, end)


def read_header(path: Path) -> Header:
    """Read the settings that the results in a journal depend on.

    Raises:
        UsageError: when there is no journal, or it is damaged.
    """
    try:
        with path.open("rb") as file:
            return Header.model_validate(_document(file.readline()))
    except (OSError, ValueError):
        raise UsageError(
            f"a folder of results must have its journal; {path} is missing or damaged"
        ) from None


class Journal:
    """Keeps what is finished; each line is with the system when `append` returns.

    One thread appends; any may look up.

    Args:
        path: the journal, begun here where `recorded` says so.
        header: of this run.
        recorded: what the journal holds already. What follows it is cut off.
    """

    def __init__(self, path: Path, header: Header, recorded: Recorded) -> None:
        path.touch()
        self._path = path
        # unbuffered: what a full disk did not take is not tried again when it is closed
        self._file = path.open("r+b", buffering=0)
        self._unsynced = 0
        self._places = dict(recorded.places)
        self.superseded = set(recorded.superseded)
        """Pictures of entries that a later one replaced."""
        self._end = recorded.end
        try:
            self._begin(header)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, header: Header) -> None:
        """Cut off what does not count, and have a header."""
        with naming(self._path):
            self._file.truncate(self._end)
            self._file.seek(self._end)
        if self._end == 0:
            self._write(header.model_dump())
            sync_folder(self._path.parent)

    def append(self, entry: Entry) -> None:
        """Record an input as finished; its pictures must be in place."""
        before = self.of(entry.result.input)
        if before is not None:
            self.superseded.update(before.files)
        place = self._end
        self._write(entry.model_dump())
        self._places[entry.result.input] = place

    def of(self, name: str) -> Entry | None:
        """Return the entry of an input as it was listed; None where it has none yet."""
        place = self._places.get(name)
        return None if place is None else self._at(place)

    def __iter__(self) -> Iterator[Entry]:
        """Yield the last entry of each input, by name."""
        return read_entries(self._path, in_order(self._places))

    def places(self) -> dict[str, int]:
        """Return the offset of each input's entry, for `read_entry`."""
        return dict(self._places)

    @property
    def path(self) -> Path:
        """Path of the journal."""
        return self._path

    def _at(self, place: int) -> Entry:
        with self._path.open("rb") as file:
            return read_entry(file, place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with naming(self._path), self._file:
            self.sync()

    def sync(self) -> None:
        """Wait until the disk has all of it."""
        with naming(self._path):
            self._sync()

    def _write(self, document: dict[str, Any]) -> None:
        line = _line(document)
        with naming(self._path):
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            self._end += len(line)
            self._unsynced += 1
            if self._unsynced >= LINES_A_SYNC:
                self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._unsynced = 0


def read_entry(file: BinaryIO, place: int) -> Entry:
    """Return the entry of a journal that begins at a place, which was checked or written before.

    Raises:
        UsageError: when somebody has changed the journal meanwhile.
    """
    file.seek(place)
    entry = _entry(file.readline())
    if entry is None:
        raise UsageError("a journal must be left alone while a batch runs; it was changed")
    return entry


def inputs_of(path: Path) -> set[str] | None:
    """Return the inputs that a journal has entries of; None without a journal.

    Lines that are damaged are passed over: `read_journal` refuses or repairs them.
    """
    try:
        with path.open("rb") as file:
            next(file, None)  # the header
            return {entry.result.input for line in file if (entry := _entry(line)) is not None}
    except OSError:
        return None


def in_order(places: Mapping[str, int]) -> list[int]:
    """Sort the offsets of inputs by the inputs' names.

    >>> in_order({"b.png": 10, "a.png": 20})
    [20, 10]
    """
    return [place for _, place in sorted(places.items())]


def read_entries(path: Path, places: Iterable[int]) -> Iterator[Entry]:
    """Yield the entries of a journal that begin at these offsets.

    Raises:
        UsageError: when somebody has changed the journal meanwhile.
    """
    with path.open("rb") as file:
        for place in places:
            yield read_entry(file, place)


def _line(document: dict[str, Any]) -> bytes:
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _document(line: bytes) -> object:
    """Return the document of a line; None where the line is damaged."""
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
    theirs, mine = _settings(found), _settings(header.model_dump())
    differ = sorted(key for key in {*theirs, *mine} if theirs.get(key) != mine.get(key))
    if differ:
        raise UsageError(
            f"a batch is continued as it was begun; {path.parent} was scored with another "
            f"{', '.join(differ)}. Name another folder with -o"
        )


def _settings(header: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a header, its options among them."""
    options = header.get("options")
    flat = {key: value for key, value in header.items() if key != "options"}
    return {**flat, **options} if isinstance(options, dict) else {**flat, "options": options}


def _damaged(path: Path, line: int) -> UsageError:
    remedy = "the journal to score all films" if line == 1 else "that line to score its film"
    return UsageError(
        f"a journal must be as hilum wrote it; {path}, line {line} is damaged. Remove {remedy} "
        "again, or name another folder with -o"
    )
