"""A film from whatever the caller has: a file, an array, or the film itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.radiograph import Radiograph

__all__ = ["Source", "film_of"]

Source = Radiograph | Path | str | NDArray[np.generic]


def film_of(source: Source) -> Radiograph:
    """The film.

    Args:
        source: a film; a PNG, JPEG, TIFF or DICOM file; or an (H, W) array, row 0 at the top,
            bright is dense. White is 255 of uint8, 1.0 of a float, and 65535 of uint16, or 4095
            with `RANGE_INFERRED` where no pixel is brighter: the rules of a PNG file.

    Raises:
        FilmError: when a file cannot be read.
        UsageError: for an array of another shape, type or range.

    Example:
        >>> film_of(np.full((2, 2), 255, np.uint8)).pixels.max().item()
        1.0
        >>> film_of(np.zeros((2, 2, 3), np.uint8))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.UsageError: an array must be a film of (H, W) grey pixels; got (2, 2, 3)
    """
    if isinstance(source, Radiograph):
        return source
    # a batch, whose films are read in other processes, does without what reads them
    from hilum.imaging.corrections import unsigned_white
    from hilum.imaging.read import read

    if isinstance(source, Path | str):
        return read(Path(source))
    if source.ndim != 2 or source.size == 0:
        raise UsageError(f"an array must be a film of (H, W) grey pixels; got {source.shape}")
    if source.dtype == np.uint8:
        return Radiograph(np.divide(source, np.float32(255), dtype=np.float32), source="array")
    if source.dtype == np.uint16:
        white, codes = unsigned_white(16, int(source.max()))
        pixels = np.divide(source, np.float32(white), dtype=np.float32)
        return Radiograph(pixels, source="array", codes=codes)
    if source.dtype.kind != "f":
        raise UsageError(f"an array must be of uint8, uint16 or float; got {source.dtype}")
    low, high = float(source.min()), float(source.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UsageError(
            f"an array of floats must lie in [0, 1], black to white; got [{low:g}, {high:g}]. "
            "Divide it by the value that is white"
        )
    return Radiograph(np.ascontiguousarray(source, np.float32), source="array")
