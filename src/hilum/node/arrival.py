"""One object as it arrives: to the disk and hashed, byte by byte, and never more than its limit."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any, Protocol

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from hilum.interchange.parts.modules import IMPLEMENTATION, IMPLEMENTATION_NAME
from hilum.node.spool import open_private

__all__ = ["Arrival", "ArrivalPlace", "film_head"]


class ArrivalPlace(Protocol):
    """Where objects arrive."""

    def arriving(self) -> Path:
        """Return a path for what is arriving."""
        ...

    def has_room(self, size: int = 0) -> bool:
        """Return whether there is room for more bytes."""
        ...


class Arrival(io.BytesIO):
    """The encoded data set of one object, written to the disk and hashed as it comes.

    pynetdicom takes it for the buffer that it would fill itself; it stays empty.

    Args:
        most: bytes that it may have.
        spool: where it goes.
        head: makes the head of its file, when its first bytes are there.
        close: closes the connection.

    Attributes:
        path: its file; None where there is none, or none any more.
        start: bytes of the head.
        size: bytes of the data set.
        room: whether the spool had room for it.
        failure: of the disk.
        begun: monotonic seconds when its first fragment came.
    """

    def __init__(
        self, most: int, spool: ArrivalPlace, head: Callable[[], bytes], close: Callable[[], None]
    ) -> None:
        super().__init__()
        self._most = most
        self._spool = spool
        self._head = head
        self._close = close
        self._file: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self.path: Path | None = None
        self.start = 0
        self.size = 0
        self.failure: OSError | None = None
        self.room = True
        self.begun = time.monotonic()

    def write(self, data: Any) -> int:
        """Take the next bytes. Too many end the connection; a full disk shows at the end."""
        self.size += len(data)
        if self.size > self._most:
            self.discard()
            self._close()
            return len(data)
        self._digest.update(data)
        if self.room and self.failure is None:
            try:
                self._store(data)
            except OSError as error:
                self.failure = error
                self.discard()
        return len(data)

    def getvalue(self) -> bytes:
        """Return nothing: the bytes are on the disk."""
        return b""

    def digest(self, syntax: str) -> str:
        """Return the SHA-256 of the bytes and of the transfer syntax that gives them a meaning."""
        whole = self._digest.copy()
        whole.update(b"\0" + syntax.encode("ascii", "replace"))
        return whole.hexdigest()

    def finish(self) -> Path | None:
        """Return the file with all bytes; None where it could not be written."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.failure = error
                self.discard()
            self._file = None
        return self.path

    def discard(self) -> None:
        """Remove what has come."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None

    def __del__(self) -> None:
        self.discard()

    def _store(self, data: bytes) -> None:
        if self._file is None:
            if not self._spool.has_room(len(data)):
                self.room = False
                return
            self.path = self._spool.arriving()
            self._file = open_private(self.path)
            self.start = self._file.write(self._head())
        self._file.write(data)


def film_head(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """Return preamble and meta information of a film's file; the same for the same film."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    stream = io.BytesIO()
    write_file_meta_info(DicomIO(stream), meta)
    return bytes(128) + b"DICM" + stream.getvalue()
