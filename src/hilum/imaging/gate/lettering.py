"""Lines of text in the picture: names, numbers and dates that somebody burnt in."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

__all__ = ["busiest_line"]

_STEP = 40
"""Grey levels between neighbours from which there is a stroke's edge."""
_CELL = _ROWS, _COLUMNS = 4, 12
"""Of a cell; a window is two by two cells: the height of small letters, and three of them."""


def busiest_line(picture: NDArray[np.uint8], windows: int = 6) -> float:
    """How dense strokes are in the densest line of text: edges a pixel row of a window.

    A letter has two to four upright edges a row, and letters follow one another; ribs, wires and
    the border of a marker have one or two edges and then nothing. Markers such as "L", "ERECT" or
    "PORTABLE" are shorter than 84 px, which is what six windows span.

    Args:
        picture: (H, W), about 512 px.
        windows: that must be dense one after the other along a row.

    Returns:
        Edges a row, in the least dense of the windows of the densest run.
    """
    import cv2

    rows, columns = (extent // cell for extent, cell in zip(picture.shape, _CELL, strict=True))
    if rows < 2 or columns <= windows:
        return 0.0
    inside = picture[: rows * _ROWS, : columns * _COLUMNS]
    steps = cv2.absdiff(inside[:, 1:], inside[:, :-1])
    edges = np.zeros(inside.shape, np.uint8)
    cv2.threshold(steps, _STEP, _COLUMNS, cv2.THRESH_BINARY, dst=edges[:, 1:])
    cells = cv2.resize(edges, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    dense = (cells[1:, 1:] + cells[1:, :-1] + cells[:-1, 1:] + cells[:-1, :-1]) / 2
    places = dense.shape[1] - windows + 1
    runs = reduce(np.minimum, (dense[:, first : first + places] for first in range(windows)))
    return float(runs.max())
