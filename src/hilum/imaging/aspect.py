"""Square pixels: a film whose pixels are longer one way is stretched until they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode
from hilum.imaging.limits import check_dimensions

__all__ = ["Aspect", "squared"]

_SQUARE_WITHIN = 0.01
"""A heart drawn a hundredth too wide is measured no worse."""
_MOST = 4.0
"""No detector's or digitiser's pixel is longer than this; it is a header's mistake."""


@dataclass(frozen=True)
class Aspect:
    """What a header says of the shape of a pixel.

    Attributes:
        spacing_mm: (row, column) distance of pixel centres, where known.
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
    """A film with square pixels, the spacing it then has, and the reason to warn.

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
