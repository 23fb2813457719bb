"""The folder of a node: films as they came, results as they are sent, and what was refused."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path

from hilum.domain.errors import UsageError
from hilum.files.atomic import move_whole, sync_folder

__all__ = ["Spool", "open_private"]

_FOLDERS = ("films", "objects", "refused", "tmp")
_OWNER = 0o700


class Spool:
    """Files below one folder. Names are hashes; nothing from outside becomes part of a path.

    ::

        films/ab/abcd...    a film: its encoded data set as it came, behind a head of our own
        objects/ab/abcd...  a result as it is sent
        refused/ab/abcd...  what could not be accepted, for a human
        tmp/                what is arriving

    Args:
        root: the folder, made here for its owner alone.
        most: bytes that it may hold.
        free: bytes of the disk that stay free.

    Raises:
        UsageError: for a folder that cannot be written, lies on several file systems, or whose
            disk does not confirm what it has.
    """

    def __init__(self, root: Path, most: int, free: int) -> None:
        self.root = root
        self._most = most
        self._free = free
        self._lock = threading.Lock()
        self._held = 0
        try:
            root.mkdir(parents=True, exist_ok=True, mode=_OWNER)
            root.chmod(_OWNER)
            for name in _FOLDERS:
                (root / name).mkdir(exist_ok=True, mode=_OWNER)
            self.check()
        except OSError as error:
            raise UsageError(
                f"a spool must be a folder that can be written to and synced; {root}: "
                f"{error.strerror or error}. Name another with the key `spool`"
            ) from None

    def arriving(self) -> Path:
        """Return a path for what is arriving."""
        return self.root / "tmp" / secrets.token_hex(16)

    def film(self, sha256: str) -> Path:
        """Return the path of a film."""
        return self._path("films", sha256)

    def object(self, sha256: str) -> Path:
        """Return the path of a result."""
        return self._path("objects", sha256)

    def refused(self, sha256: str) -> Path:
        """Return the path of what was refused."""
        return self._path("refused", sha256)

    def keep(self, arrived: Path, place: Path) -> None:
        """Move what arrived to its place; the disk has it when this returns."""
        size = arrived.stat().st_size
        if not place.exists():
            self.count(size)
        move_whole(arrived, place)
        arrived.unlink(missing_ok=True)

    def write(self, data: bytes, place: Path) -> None:
        """Write a result to its place; the disk has it when this returns."""
        unfinished = self.arriving()
        try:
            with open_private(unfinished) as file:
                file.write(data)
            self.keep(unfinished, place)
        finally:
            unfinished.unlink(missing_ok=True)

    def remove(self, place: Path) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            size = place.stat().st_size
            place.unlink()
            self.count(-size)

    def count(self, size: int) -> None:
        """Count bytes that are kept here."""
        with self._lock:
            self._held += size

    @property
    def held(self) -> int:
        """Bytes that are kept here."""
        return self._held

    def has_room(self, size: int = 0) -> bool:
        """Return whether there is room for more bytes, within the quota and on the disk."""
        if self._held + size > self._most:
            return False
        return shutil.disk_usage(self.root).free - size > self._free

    def tidy(self, films: set[str], objects: set[str]) -> None:
        """Remove what a killed node left without a row, and count the rest.

        Args:
            films: names of the films that the books know.
            objects: and of the results.
        """
        for path in (self.root / "tmp").iterdir():
            path.unlink(missing_ok=True)
        held = 0
        for name, known in (("films", films), ("objects", objects), ("refused", None)):
            for path in (self.root / name).glob("??/*"):
                if known is not None and path.name not in known:
                    path.unlink(missing_ok=True)
                else:
                    held += path.stat().st_size
        self._held = held

    def check(self) -> None:
        """Write, sync and move a file as a film is, and see that one file system holds all.

        Raises:
            OSError: where that fails.
            UsageError: for several file systems.
        """
        devices = {(self.root / name).stat().st_dev for name in _FOLDERS}
        if devices != {self.root.stat().st_dev}:
            raise UsageError(
                f"a spool must be on one file system; {self.root} is on several. Name another with "
                "the key `spool`"
            )
        tried, place = self.arriving(), self.root / "tmp" / f"try-{secrets.token_hex(4)}"
        try:
            with open_private(tried) as file:
                file.write(b"hilum")
                file.flush()
                os.fsync(file.fileno())
            tried.replace(place)
            sync_folder(place.parent)
        finally:
            tried.unlink(missing_ok=True)
            place.unlink(missing_ok=True)

    def _path(self, folder: str, sha256: str) -> Path:
        return self.root / folder / sha256[:2] / sha256


def open_private(path: Path) -> BufferedWriter:
    """Open a new file for its owner alone."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
