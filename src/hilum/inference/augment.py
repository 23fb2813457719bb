"""Test-time augmentation: the same film, moved a little, so that its score hangs on no pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["views"]

_SEED = 0
_DEGREES = 4.0
_SCALE = 0.04
_SHIFT = 0.03
"""Largest rotation, change of size, and shift as a share of the side: what patients differ by when
they stand a little otherwise."""


def views(raster: NDArray[Any], count: int) -> NDArray[Any]:
    """The film itself, then the film rotated, scaled and shifted a little.

    The changes are drawn once, by number, and are the same for every film: view 3 is view 3 of
    any `count`. None is a mirror, since a mirrored film has its heart on the other side. What
    comes in from outside the square is black.

    Args:
        raster: (S, S) uint8, or float32.
        count: of views, at least 1; with 1 it is the film alone.

    Returns:
        (count, S, S) of the same type.

    Example:
        >>> film = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
        >>> moved = views(film, 3)
        >>> moved.shape, bool((moved[0] == film).all()), bool((moved[1] == film).all())
        ((3, 64, 64), True, False)
    """
    if count == 1:
        return raster[None]
    import cv2

    side = raster.shape[0]
    middle = (side - 1) / 2.0
    drawn = np.random.default_rng(_SEED).uniform(-1.0, 1.0, (count - 1, 4))
    found = [raster]
    for turn, grow, down, right in drawn.tolist():
        matrix = cv2.getRotationMatrix2D((middle, middle), _DEGREES * turn, 1.0 + _SCALE * grow)
        matrix[:, 2] += (_SHIFT * side * right, _SHIFT * side * down)
        moved = cv2.warpAffine(raster, matrix, (side, side), flags=cv2.INTER_LINEAR)
        found.append(np.asarray(moved, raster.dtype))
    return np.stack(found)
