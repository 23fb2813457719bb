"""A film from whatever the caller has: a file, its bytes, pixels, or the film itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.radiograph import Radiograph

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import Dataset

__all__ = ["Source", "film_of", "films_of"]

Source: TypeAlias = "Radiograph | Path | str | bytes | BinaryIO | NDArray[Any] | Image | Dataset"
"""What `Bundle.predict` and `hilum.read` accept as one film."""

_ACCEPTED = (
    "give a path, the bytes of a file, a file opened with 'rb', an (H, W) NumPy array, a Pillow "
    "image, a pydicom Dataset or a Radiograph"
)


def film_of(source: Source) -> Radiograph:
    """Return the film that a source holds.

    Args:
        source: a film; a PNG, JPEG, TIFF or DICOM file as a path, as bytes or as a file opened
            with "rb"; a Pillow image; a pydicom data set; or an (H, W) array, row 0 at the top,
            bright is dense. White is 255 of uint8, 1.0 of a float, and 65535 of uint16, or that
            of fewer bits with `RANGE_INFERRED` where no pixel passes half: the rules of a PNG file.

    Raises:
        FilmError: when a file cannot be read or is not a film.
        UsageError: for anything else, and for an array of another shape, type or range.

    Example:
        >>> film_of(np.full((2, 2), 255, np.uint8)).pixels.max().item()
        1.0
        >>> film_of(np.zeros((2, 2, 3), np.uint8))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: an array must be a film of (H, W) gray pixels; got (2, 2, 3)
    """
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, np.ndarray):
        return _film_of_array(source)
    if isinstance(source, Path | str | bytes | bytearray | memoryview):
        # a batch, whose films are read in other processes, does without what reads them
        from hilum.imaging.read import read

        return read(Path(source) if isinstance(source, Path | str) else bytes(source))
    return _film_of_object(source)


def films_of(sources: Any) -> list[Source]:
    """Return several sources as a list.

    Raises:
        UsageError: for one film, or anything else that is not several.

    Example:
        >>> films_of("film.png")
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: several films must come as a list; got str. Give [film], or
        call predict for one film
    """
    dataset = _loaded("pydicom.dataset", "Dataset")
    single = isinstance(sources, str | bytes | bytearray | memoryview | Radiograph) or (
        hasattr(sources, "read") or (isinstance(sources, np.ndarray) and sources.ndim < 3)
    )
    single = single or (dataset is not None and isinstance(sources, dataset))
    if single or not isinstance(sources, Iterable):
        raise UsageError(
            f"several films must come as a list; got {_named(sources)}. Give [film], or call "
            "predict for one film"
        )
    return list(cast("Iterable[Source]", sources))


def _film_of_object(source: Any) -> Radiograph:
    """The film of an image, a data set or an open file."""
    # whoever gives an object of a library has imported it: none is loaded here to find out
    image, dataset = _loaded("PIL.Image", "Image"), _loaded("pydicom.dataset", "Dataset")
    if image is not None and isinstance(source, image):
        from hilum.imaging.read import read_image

        return read_image(source)
    if dataset is not None and isinstance(source, dataset):
        from hilum.imaging.read import read_dataset

        return read_dataset(source)
    if hasattr(source, "read"):
        return _film_of_file(source)
    raise UsageError(
        f"a film must come from a file or pixels; got {_named(source)}. {_hint(source)}"
    )


def _film_of_array(source: NDArray[Any]) -> Radiograph:
    if source.ndim != 2 or source.size == 0:
        raise UsageError(f"an array must be a film of (H, W) gray pixels; got {source.shape}")
    from hilum.imaging.corrections import half_unused, unsigned_white

    if source.dtype == np.uint8 or source.dtype == np.uint16:
        white, codes = unsigned_white(8 * source.dtype.itemsize, int(source.max()))
        pixels = np.divide(source, np.float32(white), dtype=np.float32)
        return Radiograph(pixels, source="array", codes=(*codes, *half_unused(pixels)))
    if source.dtype.kind != "f":
        raise UsageError(f"an array must be of uint8, uint16 or float; got {source.dtype}")
    low, high = float(source.min()), float(source.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UsageError(
            f"an array of floats must lie in [0, 1], black to white; got [{low:g}, {high:g}]. "
            "Divide it by the value that is white"
        )
    pixels = np.ascontiguousarray(source, np.float32)
    return Radiograph(pixels, source="array", codes=half_unused(pixels))


def _film_of_file(file: Any) -> Radiograph:
    """The film in the rest of an open file, which is neither rewound nor closed."""
    from hilum.imaging.limits import MAX_FILE_BYTES
    from hilum.imaging.read import read

    try:
        data: object = file.read(MAX_FILE_BYTES + 1)
    except Exception as error:  # whatever the object is: it is no open file
        raise UsageError(
            f"a file must be open for reading; reading {_named(file)} failed: "
            f"{type(error).__name__}. {_hint(file)}"
        ) from None
    if not isinstance(data, bytes):
        raise UsageError(
            f"a file must give bytes; reading {_named(file)} gave {_named(data)}. Open it with 'rb'"
        )
    name: object = getattr(file, "name", None)
    return read(data, Path(name).name if isinstance(name, str) else None)


def _loaded(module: str, name: str) -> type | None:
    """A class of a library, if the library is loaded."""
    return getattr(sys.modules.get(module), name, None)


def _named(thing: object) -> str:
    """The type of a thing, with its library unless that is Python."""
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _hint(source: object) -> str:
    """What to give in place of this."""
    if type(source).__module__.partition(".")[0] == "torch":
        return "Give tensor.numpy(), an (H, W) array"
    if isinstance(source, list | tuple | set | frozenset):
        return f"Call predict once a film; {_ACCEPTED}"
    return f"{_ACCEPTED[0].upper()}{_ACCEPTED[1:]}"
