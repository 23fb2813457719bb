"""The part of a heatmap round its peak as a polygon, for objects that hold no pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.explain.overlay import is_empty

__all__ = ["LEVEL", "outline"]

LEVEL = 0.5
"""Share of the map's peak that an outlined part lies above."""
_TOLERANCE = 0.75
"""Most that a side of the polygon may be away from the outline, in pixels of the map."""


def outline(
    heatmap: NDArray[np.float32], level: float = LEVEL
) -> tuple[tuple[float, float], ...] | None:
    """Return the outline of the part above a share of the peak that holds the peak.

    Other parts that are as hot are left out: one finding has one region.

    Args:
        heatmap: (H, W) float32, finite, >= 0, over the film.
        level: share of the peak.

    Returns:
        (across, down) of each corner as shares of the film's width and height, the last point
        being the first; None where the map is empty.

    >>> heat = np.zeros((8, 8), np.float32)
    >>> heat[2:5, 3:7] = 1.0
    >>> outline(heat)
    ((0.375, 0.25), (0.375, 0.625), (0.875, 0.625), (0.875, 0.25), (0.375, 0.25))
    """
    import cv2

    if is_empty(heatmap):
        return None
    peak = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    above = (heatmap >= level * heatmap.max()).astype(np.uint8)
    _, parts = cv2.connectedComponents(above, connectivity=4)
    mask = (parts == parts[peak]).astype(np.uint8)
    # each pixel as 2 x 2, so that the outline runs along the outer edges of pixels
    doubled = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(contours, key=len)
    corners = cv2.approxPolyDP(longest, 2.0 * _TOLERANCE, closed=True).reshape(-1, 2)
    if len(corners) < 3:  # as large as the tolerance: its box
        x, y, width, height = cv2.boundingRect(longest)
        right, bottom = x + width - 1, y + height - 1
        corners = np.array([(x, y), (x, bottom), (right, bottom), (right, y)])
    rows, columns = heatmap.shape
    # a line of odd pixels of the doubled grid is the lower or right edge of its pixel
    points = [
        (float((x + x % 2) / 2.0 / columns), float((y + y % 2) / 2.0 / rows)) for x, y in corners
    ]
    return (*points, points[0])
