"""Reading of a film from a path or bytes: the only entry, whatever the file claims to be."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph
from hilum.imaging.format import Format, Origin, format_of, suffix_differs
from hilum.imaging.limits import MAX_FILE_BYTES, MOST_WARNINGS
from hilum.imaging.raster import film_of_image, read_raster

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import Dataset

__all__ = ["decoder_warnings", "guarded", "quiet", "read", "read_dataset", "read_image"]

T = TypeVar("T")


def read(source: Path | bytes, name: str | None = None, identity: bool = False) -> Radiograph:
    """A film from a file or from bytes, by content and never by suffix.

    What every reader needs to know about the file (its hash, why to be wary) is on the result;
    whatever goes wrong is a `FilmError` with a status and a reason code, whichever library met it.
    A patient's name is read only with `identity`, and neither name nor id is ever printed.

    Args:
        source: a path, or the bytes of a whole file.
        name: what to call the film; by default the file's name, or "film" for bytes.
        identity: fill in `Radiograph.header`, the DICOM identity, for results that are filed with
            the film.

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
    with quiet():
        origin = Origin(name, hashlib.sha256(data).hexdigest(), codes)
        return _decoded(data, found, origin, identity)


def read_image(image: Image, name: str = "image") -> Radiograph:
    """Make a film of a Pillow image, by the rules of an image file.

    Args:
        image: an image in any mode; one that was opened from a file and not yet loaded is loaded.
        name: what to call the film.

    Raises:
        FilmError: when the image cannot be loaded or cannot be a film.

    Example:
        >>> from PIL import Image
        >>> read_image(Image.new("L", (3, 2), 255)).pixels.max().item()
        1.0
    """
    with quiet():
        return _guarded("image", lambda: film_of_image(image, Origin(name)))


def read_dataset(dataset: Dataset, name: str = "dataset") -> Radiograph:
    """Make a film of a pydicom data set, by the rules of a DICOM file.

    The data set is written to memory and read back, so that it gets every check of a file.
    Without file meta information it is taken for Explicit VR Little Endian.

    Args:
        dataset: header and pixels.
        name: what to call the film.

    Raises:
        FilmError: when the data set cannot be written as DICOM or cannot be a film.
    """
    from hilum.imaging.dicom.dataset import file_bytes

    with quiet():
        data = _guarded("data set", lambda: file_bytes(dataset))
        film = _decoded(data, Format.DICOM, Origin(name))
    return replace(film, sha256="")  # that of a file which nobody has


def guarded(path: Path, work: Callable[[bytes], T]) -> T:
    """Do something with a file's bytes; whatever goes wrong inside is a `FilmError`.

    Args:
        path: a regular file, of at most `MAX_FILE_BYTES`.
        work: takes the bytes.

    Raises:
        FilmError: of the work, or of a file that cannot be read.
    """
    data = _bytes_of(path)
    _check_length(len(data))
    with quiet():
        return _guarded("file", lambda: work(data))


def _decoded(data: bytes, found: Format, origin: Origin, identity: bool = False) -> Radiograph:
    if found is Format.DICOM:
        from hilum.imaging.dicom.decode import read_dicom  # pydicom: 0.1 s a PNG need not pay

        return _guarded(found, lambda: read_dicom(data, origin, identity))
    return _guarded(found, lambda: read_raster(data, found, origin))


def _guarded(found: str, decode: Callable[[], T]) -> T:
    """Decode; hostile bytes raise almost anything inside a decoder, so all of it is caught.

    The words of a library's error are left out: they speak of its own code, and may quote a header.
    """
    try:
        return decode()
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
            f"the {found} cannot be decoded: its bytes break the format ({type(error).__name__} in "
            "the decoder). Export it again",
        ) from error


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


_LOG = logging.getLogger("hilum.imaging")


class _ReadingNow(threading.local):
    """A warning filter's message pattern that matches only in threads that read a film.

    Filters belong to the whole process, so switching them on and off around a read is wrong with
    threads: two `warnings.catch_warnings()` that overlap leave the filters of one of them for good.
    This pattern is entered once and decides by thread.
    """

    depth = 0
    module = ""

    def __init__(self) -> None:
        self.warned: list[tuple[str, str]] = []

    def match(self, _text: str) -> bool:
        """Whether this thread is reading; the text, which may quote a header, goes nowhere."""
        return self.depth > 0


class _Modules:
    """The filter's pattern of modules: matches all, and keeps the name for the thread."""

    def match(self, module: str) -> bool:
        """Keep the name of the module that warns."""
        _READING.module = module
        return True


class _Categories(type):
    """The filter's class of warnings: every one is a subclass; each is recorded, without words."""

    def __subclasscheck__(cls, category: type) -> bool:
        if _READING.depth and len(_READING.warned) < MOST_WARNINGS:
            _LOG.debug("a decoder warned; its words may quote the header and are left out")
            _READING.warned.append((_READING.module, category.__name__))
        return True


class _AnyWarning(metaclass=_Categories):
    """Stands for every class of warnings."""


_READING = _ReadingNow()
_FILTER = ("ignore", _READING, _AnyWarning, _Modules(), 0)
_ORDER = threading.Lock()


def decoder_warnings() -> tuple[tuple[str, str], ...]:
    """Return what decoders warned of in this thread since the last call: module and class, once.

    Never their words, which may quote a header and so name a patient.

    >>> _ = decoder_warnings()
    >>> with quiet():
    ...     warnings.warn("the patient's name is too long", UserWarning, stacklevel=1)
    >>> [category for _, category in decoder_warnings()], decoder_warnings()
    (['UserWarning'], ())
    """
    found, _READING.warned = _READING.warned, []
    return tuple(dict.fromkeys(found))


@contextmanager
def quiet() -> Generator[None]:
    """Read without decoders' warnings, in this thread only.

    What matters of a warning is a reason code on the film. Other threads' warnings, and every
    filter that a caller sets, stay as they are. That a decoder warned is logged by
    `hilum.imaging` at level DEBUG, without its words, and kept for `decoder_warnings`.

    >>> with quiet():
    ...     warnings.warn("a value is too long", stacklevel=1)
    """
    _put_first()
    _READING.depth += 1
    try:
        yield
    finally:
        _READING.depth -= 1


def _put_first() -> None:
    """Have the filter before all others: the first that matches decides."""
    filters = cast(list[object], warnings.filters)
    if filters and filters[0] is _FILTER:
        return
    with _ORDER:
        if _FILTER in filters:
            filters.remove(_FILTER)
        filters.insert(0, _FILTER)
