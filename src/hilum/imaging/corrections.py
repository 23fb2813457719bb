"""Corrections that every format needs: square pixels, gray from color, the value of white."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode
from hilum.imaging.limits import check_dimensions

__all__ = [
    "LEAST_SHARE",
    "Aspect",
    "gray_from_rgb",
    "half_unused",
    "squared",
    "unsigned_white",
]

_SQUARE_WITHIN = 0.01
"""Relative deviation from square that is ignored: a heart 1 % too wide is measured no worse."""
_MOST = 4.0
"""Largest aspect accepted; a larger one is an error in the header."""


@dataclass(frozen=True)
class Aspect:
    """The shape of a pixel according to the header.

    Attributes:
        spacing_mm: (row, column) distance of pixel centers, where known.
        ratio: height of a pixel over its width, NaN for a senseless statement.
    """

    spacing_mm: tuple[float, float] | None = None
    ratio: float = 1.0

    @property
    def valid(self) -> bool:
        """Whether a pixel of this shape exists."""
        return math.isfinite(self.ratio) and 1 / _MOST <= self.ratio <= _MOST


def squared(
    pixels: NDArray[np.float32], aspect: Aspect
) -> tuple[NDArray[np.float32], tuple[float, float] | None, tuple[ReasonCode, ...]]:
    """Return the film with square pixels, its new spacing, and the reason to warn.

    The coarser way is stretched, by linear interpolation, so that nothing is lost. Within 1 % a
    pixel counts as square.

    Args:
        pixels: (H, W) float32 in [0, 1].
        aspect: of the pixels.

    Raises:
        FilmError: of `check_dimensions`, for a film that becomes too large.

    Example:
        >>> film = np.ones((10, 20), np.float32)
        >>> stretched, spacing_mm, _ = squared(film, Aspect((0.2, 0.1), ratio=2.0))
        >>> stretched.shape, spacing_mm
        ((20, 20), (0.1, 0.1))
    """
    if not aspect.valid:
        return pixels, None, (ReasonCode.ASPECT_INVALID,)
    if abs(aspect.ratio - 1.0) <= _SQUARE_WITHIN:
        return pixels, aspect.spacing_mm, ()
    rows, columns = pixels.shape
    tall, wide = max(1.0, aspect.ratio), max(1.0, 1.0 / aspect.ratio)
    height, width = round(rows * tall), round(columns * wide)
    check_dimensions(height, width, pixels.itemsize)
    stretched = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    spacing = aspect.spacing_mm
    if spacing is not None:
        spacing = spacing[0] * rows / height, spacing[1] * columns / width
    square = np.clip(stretched, 0.0, 1.0).astype(np.float32, copy=False)
    return square, spacing, (ReasonCode.ASPECT_APPLIED,)


STRONG = 64 / 255
"""Difference between the largest and smallest channel from which a pixel is clearly colored."""
FAINT = 16 / 255
"""Largest difference between channels of a pixel that looks gray."""
ANNOTATED_AT_MOST = 0.1
"""Share of clearly colored pixels up to which they are marks on a gray film."""

# Rec. 601, as in JPEG and Pillow.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def gray_from_rgb(
    rgb: NDArray[np.unsignedinteger], white: int
) -> tuple[NDArray[np.float32], tuple[ReasonCode, ...]]:
    """Return gray values of an RGB picture, and the reason to warn where it really had color.

    Equal channels are a gray film in an RGB file: no warning. Otherwise the luminance
    `0.299 R + 0.587 G + 0.114 B` is used (one channel alone would turn a red arrow white), with
    `COLOR_ANNOTATION` where few pixels are colored on a gray ground, else `COLOR_CONVERTED`.

    Args:
        rgb: (H, W, 3) unsigned integers.
        white: the value of full intensity, 255 or 65535.

    Returns:
        (H, W) float32 in [0, 1], and the codes.

    Example:
        >>> film = np.full((10, 10, 3), 90, np.uint8)
        >>> film[0, 0] = 255, 0, 0
        >>> gray_from_rgb(film, 255)[1]
        (<ReasonCode.COLOR_ANNOTATION: 'COLOR_ANNOTATION'>,)
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.divide(red, np.float32(white), dtype=np.float32), ()
    scaled = np.divide(rgb, np.float32(white), dtype=np.float32)
    chroma = scaled.max(axis=2) - scaled.min(axis=2)
    strong = float((chroma > STRONG).mean())
    between = float(((chroma > FAINT) & (chroma <= STRONG)).mean())
    marks = 0.0 < strong <= ANNOTATED_AT_MOST and between <= ANNOTATED_AT_MOST
    code = ReasonCode.COLOR_ANNOTATION if marks else ReasonCode.COLOR_CONVERTED
    return np.clip(scaled @ _LUMINANCE, 0.0, 1.0), (code,)


def unsigned_white(
    bits: int, brightest: int, significant: int = 0
) -> tuple[int, tuple[ReasonCode, ...]]:
    """Return the stored value that means white, for unsigned pixels, and the reasons to warn.

    Films of 8 to 15 bits are often stored in 16 without a note of it, and would be shown at 1/256
    to 1/2 of their brightness. So where no pixel passes half of 16 bits, white is the largest value
    of the least depth, 8 or more, that holds the brightest pixel: `RANGE_INFERRED`. A dark film of
    that container is thereby brightened by at most the factor that it was dark by. Where the file
    states the significant bits and no pixel exceeds them, white is theirs, with the same code. A
    depth of fewer bits than the container is the header's own statement, and is believed.

    Args:
        bits: depth of the container, or as a header states it.
        brightest: largest stored value of the film.
        significant: bits that the file says are used (PNG's sBIT); 0 where it says nothing.

    Example:
        >>> unsigned_white(12, 4080), unsigned_white(16, 60000)
        ((4095, ()), (65535, ()))
        >>> unsigned_white(16, 4080)
        (4095, (<ReasonCode.RANGE_INFERRED: 'RANGE_INFERRED'>,))
    """
    used = bits
    if 0 < significant < bits and brightest < 1 << significant:
        used = significant
    elif bits == _CONTAINER:
        used = max(_LEAST_INFERRED, brightest.bit_length())
    return (1 << used) - 1, (ReasonCode.RANGE_INFERRED,) if used != bits else ()


_CONTAINER = 16
_LEAST_INFERRED = 8
"""Least depth that is inferred, in bits: no film has fewer."""


def half_unused(values: NDArray[Any], white: float = 1.0) -> tuple[ReasonCode, ...]:
    """Return `RANGE_UNUSED` where fewer than one pixel in a thousand passes half of the scale.

    It does not say that the scale is wrong: a collimated or underexposed film may be so dark. A
    thousandth, so that a marker or a dead pixel at full scale does not vouch for the film; of 2,745
    films of NIH the darkest has that pixel at 57 % of the scale.

    Args:
        values: (H, W).
        white: value at which the scale ends.

    Example:
        >>> half_unused(np.full((8, 8), 0.5)), half_unused(np.full((8, 8), 0.6))
        ((<ReasonCode.RANGE_UNUSED: 'RANGE_UNUSED'>,), ())
    """
    # whole numbers are compared as such: as floats it takes ten times as long
    half = int(white) // 2 if values.dtype.kind in "ui" else white / 2
    for step in (_SPARSE, 1):  # some rows are enough for all but very dark films
        sample = values[::step]
        if np.count_nonzero(sample > half) >= step * LEAST_SHARE * sample.size:
            return ()
    return (ReasonCode.RANGE_UNUSED,)


LEAST_SHARE = 0.001
"""Share of a film's pixels that pass half of its scale, at the least."""
_SPARSE = 16
