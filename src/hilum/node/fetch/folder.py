"""The folder that films are fetched into: whole files as they came, with hashes for names."""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from hilum.files.atomic import move_whole
from hilum.imaging.dicom.identifiers import identifiers_of
from hilum.node.fetch.pace import Pace
from hilum.node.part10 import LONGEST_HEAD, file_head

__all__ = ["FilmFolder", "WrongFilmError"]

_UID = re.compile(r"[0-9.]{1,64}")
_FILMS, _TMP = "films", "tmp"


class WrongFilmError(Exception):
    """A film that is not one, or not of the study that was wanted."""


class FilmFolder:
    """Films below one folder.

    ::

        films/STUDY/FILM.dcm    a film as it came; both names are hashes of UIDs
        tmp/                    what is arriving

    Args:
        root: the folder, made here for its owner alone.
        most: bytes that one film may have.
        pace: how fast films may come.
    """

    def __init__(self, root: Path, most: int, pace: Pace) -> None:
        self.root = root
        self.most = most
        self._pace = pace
        self._lock = threading.Lock()
        self._study = ""
        self.kept: set[str] = set()
        """Names of the films of the present study that are whole on the disk."""
        self.refused = 0
        """Films of the present study that were not kept."""
        for one in (root, root / _FILMS, root / _TMP):
            one.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in (root / _TMP).iterdir():
            left.unlink()

    def begin(self, study: str) -> None:
        """Expect films of a study."""
        with self._lock:
            self._study = study
            self.kept, self.refused = set(), 0

    def place(self, study: str) -> str:
        """Return the name of the folder of a study, relative to the root."""
        return f"{_FILMS}/{_hash(study)}"

    def holds(self, place: str) -> int:
        """Return the number of films in the folder of a study."""
        return sum(1 for _ in (self.root / place).glob("*.dcm"))

    def arriving(self) -> Path:
        """Return a path for what is arriving."""
        return self.root / _TMP / secrets.token_hex(16)

    def has_room(self, size: int = 0) -> bool:
        """Return whether a film of some bytes may come."""
        return size <= self.most

    def keep(self, arrived: Path) -> None:
        """Move a film that arrived to its place; the disk has it when this returns.

        Raises:
            WrongFilmError: for what is not a film of the present study.
            OSError: of the disk.
        """
        self._pace.film()
        try:
            study, film = _checked(arrived)
            with self._lock:
                if study != self._study:
                    raise WrongFilmError("a film of a different study")
            place = self.root / self.place(study) / f"{_hash(film)}.dcm"
            if place.exists() and _digest(place) != _digest(arrived):
                raise WrongFilmError("a known film with different bytes")
            move_whole(arrived, place)
            with self._lock:
                self.kept.add(place.name)
        except WrongFilmError:
            with self._lock:
                self.refused += 1
            raise
        finally:
            arrived.unlink(missing_ok=True)

    def keep_bytes(self, pieces: tuple[bytes, ...]) -> None:
        """Keep a film that is in memory.

        Raises:
            WrongFilmError, OSError: as `keep`.
        """
        with self.sink() as write:
            for piece in pieces:
                write(piece)

    def sink(self) -> _FilmSink:
        """Return what takes the bytes of a film and keeps it at the end."""
        return _FilmSink(self)

    def lost(self) -> None:
        """Count a film that did not come whole."""
        with self._lock:
            self.refused += 1


class _FilmSink:
    """A film that arrives in pieces, from a part of a message or from memory."""

    def __init__(self, folder: FilmFolder) -> None:
        self._folder = folder
        self._path = folder.arriving()
        self._file = os.fdopen(
            os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
        )
        self._size = 0

    def __enter__(self) -> Callable[[bytes], None]:
        return self.write

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.end()
        else:
            self.discard()

    def write(self, data: bytes) -> None:
        """Take the next bytes; those above the limit are passed over."""
        self._size += len(data)
        if self._size <= self._folder.most:
            self._file.write(data)

    def end(self) -> None:
        """Keep the film.

        Raises:
            WrongFilmError, OSError: as `FilmFolder.keep`.
        """
        self._file.close()
        if self._size > self._folder.most:
            self._path.unlink(missing_ok=True)
            self._folder.lost()
            raise WrongFilmError("a film larger than the limit")
        self._folder.keep(self._path)

    def discard(self) -> None:
        """Remove what has come."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


def _checked(path: Path) -> tuple[str, str]:
    """Return study UID and SOP UID of a file whose head and data set agree.

    Raises:
        WrongFilmError: for a file that is not a film.
    """
    if path.stat().st_size == 0:
        raise WrongFilmError("an empty file")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = file_head(data[:LONGEST_HEAD])
        if head is None or head.syntax == DeflatedExplicitVRLittleEndian:
            raise WrongFilmError("not a DICOM file, or a deflated one")
        found = identifiers_of(data, head.start, head.syntax != ExplicitVRBigEndian)
    if found is None or not all(map(_UID.fullmatch, (found.study, found.sop_instance))):
        raise WrongFilmError("a data set without UIDs")
    if (found.sop_class, found.sop_instance) != (head.sop_class, head.sop_instance):
        raise WrongFilmError("UIDs that differ in head and data set")
    return found.study, found.sop_instance


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode("ascii", "replace")).hexdigest()[:32]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
