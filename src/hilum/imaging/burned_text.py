"""Text in the pixels: where it seems to be, so that it can be blacked out before a film leaves.

A rule, not a reader: marks of letter size with sharp edges, several in a row. It knows no
language, finds no handwriting as such, and misses what is faint. `hilum deidentify --clean-pixels`
measures and prints its recall on drawn text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.imaging.gate.picture import busiest_line, overview

__all__ = ["Box", "has_text", "text_boxes"]

_LONGEST = 1536
"""Longer side, in pixels, of the picture that is searched."""
_STROKE = 13
"""Widest stroke of a letter, in pixels of that picture."""
_CONTRAST = 22
"""Least step, of 255 gray levels, between a stroke and what is beside it."""
_SHARP = 18
"""Least mean step between neighboring pixels along the edge of a mark."""
_TALL = (5, 90)
_WIDE = 130
_MARGIN = 0.13
"""Share of a side, at each edge, where labels are printed: there a find counts to the edge."""


@dataclass(frozen=True)
class Box:
    """A part of a picture: rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int


def has_text(gray: NDArray[np.float32], density: float = 4.0) -> bool:
    """Return whether the gate sees a line of text: the rule of `BURNED_IN_TEXT`.

    Args:
        gray: (H, W) in [0, 1].
        density: as `GateRules.text_density`.
    """
    import cv2

    picture = np.asarray(cv2.convertScaleAbs(overview(gray), alpha=255.0), np.uint8)
    return busiest_line(picture) >= density


def text_boxes(gray: NDArray[np.float32]) -> tuple[Box, ...]:
    """Return the boxes of what seems to be text, in pixels of the picture.

    Near an edge, where labels are printed, a box reaches to the edge.

    Args:
        gray: (H, W) in [0, 1].

    >>> text_boxes(np.zeros((64, 64), np.float32))
    ()
    """
    import cv2

    rows, columns = gray.shape
    scale = min(1.0, _LONGEST / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    picture = np.asarray(cv2.convertScaleAbs(gray, alpha=255.0), np.uint8)
    if scale < 1.0:
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    found: list[Box] = []
    for bright in (picture, 255 - picture):
        marks = _marks(bright)
        found += [
            _widened(box, picture.shape[:2], scale, gray.shape)
            for box in _lines(marks, picture.shape[:2])
        ]
    return tuple(found)


def _marks(picture: NDArray[np.uint8]) -> list[Box]:
    """Return the sharp marks of letter size that are brighter than what is around them."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    raised = cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, kernel)
    mask = np.asarray(raised > _CONTRAST, np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    steps = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    sums = np.bincount(labels.ravel(), steps.ravel(), count)
    marks: list[Box] = []
    for number in range(1, count):
        left, top, width, height, area = (int(one) for one in stats[number])
        tall = _TALL[0] <= height <= _TALL[1] and width <= _WIDE
        if tall and area >= height and sums[number] / area >= _SHARP:
            marks.append(Box(top, top + height, left, left + width))
    return marks


def _lines(marks: list[Box], shape: tuple[int, ...]) -> list[Box]:
    """Return groups of three or more marks of like height that stand in a row."""
    import cv2

    spread = np.zeros(shape, np.uint8)
    for mark in marks:
        reach = max(3, round(0.9 * (mark.bottom - mark.top)))
        left, right = max(0, mark.left - reach), min(shape[1], mark.right + reach)
        cv2.rectangle(spread, (left, mark.top), (right - 1, mark.bottom - 1), 1, -1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(spread, connectivity=4)
    members = np.zeros(len(stats), int)
    for mark in marks:
        members[labels[mark.top, mark.left]] += 1
    lines: list[Box] = []
    for number in range(1, len(stats)):
        left, top, width, height, _ = (int(one) for one in stats[number])
        if members[number] >= 3 and width >= 1.2 * height:
            lines.append(Box(top, top + height, left, left + width))
    return lines


def _widened(
    box: Box, shape: tuple[int, ...], scale: float, whole: tuple[int, ...]
) -> Box:
    """Return a box on the whole picture, with a margin; to the edge where it is near one."""
    margin = max(3, round(0.35 * (box.bottom - box.top)))
    top, bottom = box.top - margin, box.bottom + margin
    left, right = box.left - margin, box.right + margin
    if box.bottom < _MARGIN * shape[0]:
        top = 0
    if box.top > (1.0 - _MARGIN) * shape[0]:
        bottom = shape[0]
    if box.right < _MARGIN * shape[1]:
        left = 0
    if box.left > (1.0 - _MARGIN) * shape[1]:
        right = shape[1]
    ends = [round(one / scale) for one in (top, bottom, left, right)]
    return Box(
        max(0, ends[0]), min(whole[0], ends[1]), max(0, ends[2]), min(whole[1], ends[3])
    )
