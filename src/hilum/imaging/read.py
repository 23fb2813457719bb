"""Reading of a film from a path or bytes: the only entry, whatever the file claims to be."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import warnings
from pathlib import Path

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.format import Format, Origin, format_of, suffix_differs
from hilum.imaging.limits import MAX_FILE_BYTES
from hilum.imaging.raster.decode import read_raster

__all__ = ["read"]


def read(source: Path | bytes, name: str | None = None) -> Radiograph:
    """Read a film from a file or from bytes, by content and never by suffix.

    What every reader needs to know about the file (its hash, why to be wary) is on the result;
    whatever goes wrong is a `FilmError` with a status and a reason code, whichever library met it.
    A patient's name is never read, and an id never printed.

    Args:
        source: a path, or the bytes of a whole file.
        name: what to call the film; by default the file's name, or "film" for bytes.

    Raises:
        FilmError: for anything that is not one readable film.

    Example:
        >>> read(b"", name="a.png")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: the file has 0 bytes
    """
    data = source if isinstance(source, bytes) else _bytes_of(source)
    if name is None:
        name = "film" if isinstance(source, bytes) else source.name
    _check_length(len(data))
    found = format_of(data)
    codes = (ReasonCode.EXT_MISMATCH,) if suffix_differs(name, found) else ()
    with _SILENCE:
        return _decoded(data, found, Origin(name, hashlib.sha256(data).hexdigest(), codes))


def _decoded(data: bytes, found: Format, origin: Origin) -> Radiograph:
    """Decode the film; hostile bytes raise almost anything in a decoder, so all is caught."""
    try:
        if found is Format.DICOM:
            from hilum.imaging.dicom.decode import read_dicom  # pydicom: 0.1 s a PNG need not pay

            return read_dicom(data, origin)
        return read_raster(data, found, origin)
    except FilmError:
        raise
    except (MemoryError, RecursionError) as error:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"decoding the {found} would take more memory or depth than a film needs",
        ) from error
    except Exception as error:
        raise FilmError(
            Status.ERROR,
            ReasonCode.DECODE_CORRUPT,
            f"the {found} cannot be decoded: {type(error).__name__}: {_one_line(error)}",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _bytes_of(path: Path) -> bytes:
    """Return the bytes of a regular file, which must not change meanwhile.

    The file is opened without waiting, so that a fifo cannot hang the run, and everything is
    checked on the open file, so that nothing can be swapped in between.
    """

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    if _leads_to_itself(path):
        raise _loop()
    try:
        with open(path, "rb", opener=without_waiting) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _not_regular()
            _check_length(before.st_size)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not unchanged or len(data) != before.st_size:
        raise FilmError(
            Status.ERROR,
            ReasonCode.CHANGED_WHILE_READING,
            "the file changed while it was read; run again when it is complete",
        )
    return data


def _check_length(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise FilmError(
            Status.REJECT,
            ReasonCode.DECODE_LIMIT,
            f"a file may have at most {MAX_FILE_BYTES} bytes; this one has {size}",
        )


def _not_regular() -> FilmError:
    return FilmError(
        Status.SKIP,
        ReasonCode.NOT_REGULAR_FILE,
        "not a regular file, but a folder, pipe, socket or device",
    )


def _unreadable(error: OSError | ValueError) -> FilmError:
    """Return the error for a file that could not be opened or read, without its path."""
    if isinstance(error, PermissionError):
        return FilmError(
            Status.ERROR, ReasonCode.PERMISSION_DENIED, "no permission to read the file"
        )
    missing = isinstance(error, FileNotFoundError | NotADirectoryError | ValueError)
    number = error.errno if isinstance(error, OSError) else None
    if missing or number == errno.ENAMETOOLONG:
        return FilmError(Status.ERROR, ReasonCode.FILE_NOT_FOUND, "there is no such file")
    if number == errno.ELOOP:
        return _loop()
    if number in (errno.ENXIO, errno.EISDIR):
        return _not_regular()
    return FilmError(
        Status.ERROR,
        ReasonCode.READ_FAILED,
        f"the file could not be read: {os.strerror(number or 0)}; look at its disk or share",
    )


def _leads_to_itself(path: Path) -> bool:
    """Return whether the path is a link to a folder that contains it: following it never ends."""
    try:
        if not path.is_symlink():
            return False
        return path.resolve() in path.parent.resolve().joinpath(path.name).parents
    except (OSError, RuntimeError, ValueError):
        return False


def _loop() -> FilmError:
    return FilmError(
        Status.SKIP, ReasonCode.SYMLINK_LOOP, "a link that leads back to itself or its own folder"
    )


class _Silence:
    """A context without decoders' warnings: those that matter are reason codes on the film.

    Python's warning filters belong to the whole process. Of several threads that read at once,
    the first switches warnings off and the last puts the filters back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings(action="ignore")
                self._filters.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_SILENCE = _Silence()
