"""Reader boxes from masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.record import Box

__all__ = ["boxes_of"]

_MOST = 3
_LEAST_SHARE = 0.15  # of the largest part's area; smaller parts are crumbs


def boxes_of(finding: str, mask: NDArray[np.bool_]) -> tuple[Box, ...]:
    """A box around each sizeable connected part of a mask, largest first, at most three.

    >>> mask = np.zeros((10, 10), bool)
    >>> mask[2:4, 5:10] = True
    >>> boxes_of("Mass", mask)
    (Box(finding='Mass', x=0.5, y=0.2, width=0.5, height=0.2),)
    """
    rows, columns = mask.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = sorted(stats[1:].tolist(), key=lambda part: -part[cv2.CC_STAT_AREA])
    return tuple(
        Box(finding, x / columns, y / rows, width / columns, height / rows)
        for x, y, width, height, area in parts[:_MOST]
        if area >= _LEAST_SHARE * parts[0][cv2.CC_STAT_AREA]
    )
