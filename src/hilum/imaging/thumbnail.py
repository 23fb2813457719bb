"""A film reduced to a small square, at which films are compared with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.radiograph import Radiograph

__all__ = ["SIDE", "thumbnail"]

SIDE = 256
"""Side in px of the square."""


def thumbnail(film: Radiograph) -> NDArray[np.uint8]:
    """Return the film as a (256, 256) square of bytes, its sides squeezed to fit.

    >>> thumbnail(Radiograph(np.ones((2, 3), np.float32), source="a.png")).max()
    np.uint8(255)
    """
    import cv2

    small = cv2.resize(film.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.rint(np.asarray(small) * 255.0).astype(np.uint8)
