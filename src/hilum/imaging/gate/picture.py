"""The film as the gate sees it: reduced, without empty border, of even contrast; and its text."""

from __future__ import annotations

from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "busiest_line", "framed", "normalized", "overview", "seen"]

SIDE = 64
"""Side of the square that the small model sees, in pixels."""

_OVERVIEW_SIDE = 512
_COARSE_SIDE = 128
_FLAT = 0.04
"""A border row whose gray levels differ by less, of the scale, is empty."""
_LEAST_FRAME = 32
"""Rows and columns of the coarse film that are kept whatever they hold."""

Field = NDArray[np.float32]
G = TypeVar("G", np.float32, np.uint8)


def overview(pixels: Field) -> Field:
    """Return the film with at most 512 px on its longer side, by area averaging.

    >>> overview(np.zeros((1024, 512), np.float32)).shape
    (512, 256)
    """
    import cv2

    rows, columns = pixels.shape
    scale = _OVERVIEW_SIDE / max(rows, columns)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def seen(pixels: Field) -> Field:
    """Return the small model's input: (H, W) in [0, 1] to (64, 64), mean 0, deviation 1.

    Args:
        pixels: the film, or its `overview`: both give nearly the same.
    """
    import cv2

    rows, columns = pixels.shape
    size = (min(_COARSE_SIDE, columns), min(_COARSE_SIDE, rows))
    coarse = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    inside = np.ascontiguousarray(framed(coarse))
    shrinks = inside.shape[0] >= SIDE and inside.shape[1] >= SIDE
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return normalized(np.asarray(cv2.resize(inside, (SIDE, SIDE), interpolation=way), np.float32))


def framed(pixels: NDArray[G], flat: float = _FLAT) -> NDArray[G]:
    """Return the part inside empty borders: outer rows and columns of one gray level are cut off.

    Args:
        pixels: (H, W), gray.
        flat: gray levels of one line may differ by so much, on the scale of the pixels.

    >>> film = np.zeros((60, 50), np.float32)
    >>> film[10:50, 5:45] = np.add.outer(np.linspace(0, 0.5, 40), np.linspace(0, 0.5, 40))
    >>> framed(film).shape
    (40, 40)
    """
    top, bottom = _span(np.ptp(pixels, axis=1) > flat)
    left, right = _span(np.ptp(pixels[top:bottom], axis=0) > flat)
    return pixels[top:bottom, left:right]


def _span(busy: NDArray[np.bool_]) -> tuple[int, int]:
    """Return first and last+1 of the busy lines; all of them where too few would remain."""
    lines = np.flatnonzero(busy)
    if not lines.size or lines[-1] + 1 - lines[0] < min(_LEAST_FRAME, busy.size):
        return 0, int(busy.size)
    return int(lines[0]), int(lines[-1]) + 1


def normalized(square: Field) -> Field:
    """Clip at the 1st and 99th percentile, then scale to mean 0 and deviation 1: exposure cancels.

    >>> bool(np.allclose(normalized(np.eye(8, dtype=np.float32)).mean(), 0, atol=1e-6))
    True
    """
    ordered = np.partition(square, (square.size // 100, square.size - 1 - square.size // 100), None)
    low, high = ordered[square.size // 100], ordered[square.size - 1 - square.size // 100]
    clipped = np.clip(square, low, high)
    centered = clipped - clipped.mean()
    return np.asarray(centered / max(float(centered.std()), 1e-3), np.float32)


_STEP = 40
"""Gray levels between neighbors from which there is a stroke's edge."""
_CELL = _ROWS, _COLUMNS = 4, 12
"""Rows and columns of a cell; a window is two by two cells, about three small letters."""


def busiest_line(picture: NDArray[np.uint8], windows: int = 6) -> float:
    """Return the stroke density in the densest line of text: edges in a pixel row of a window.

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
