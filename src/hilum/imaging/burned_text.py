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

__all__ = ["Box", "has_text", "mark_boxes", "text_boxes"]

_LONGEST = 1536
"""Longer side, in pixels, of the picture that is searched."""
_STROKE = 13
"""Widest stroke of a letter, in pixels of that picture."""
_TALL = (5, 90)
_WIDE = 130
_BEYOND = 1.0
"""Heights of the line by which a box goes beyond it at both ends: the last letter may be faint."""
_MARGIN = 0.13
"""Share of a side, at each edge, where labels are printed: there a find counts to the edge."""

_EDGE = 0.2
"""Share of a side, at each edge, where a letter that stands alone is looked for."""
_ALONE = (0.012, 0.1)
"""Least and greatest height of such a letter, as a share of the picture's."""


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
    picture, scale = _searched(gray)
    found: list[Box] = []
    for bright in (picture, 255 - picture):
        raised, steps = _raised(bright)
        lines = _lines(_marks(raised, steps, _STRONG), picture.shape[:2])
        weak = _marks(raised, steps, _WEAK) if lines else []
        found += [_grown(line, weak) for line in lines]
    return tuple(_widened(box, picture.shape[:2], scale, gray.shape) for box in found)


def mark_boxes(gray: NDArray[np.float32]) -> tuple[Box, ...]:
    """Return the boxes of text, and of single bright letters near the edges, such as L and R.

    A letter that stands alone is a weaker find than a line: bones and wires give some too.

    Args:
        gray: (H, W) in [0, 1].

    >>> mark_boxes(np.zeros((64, 64), np.float32))
    ()
    """
    picture, scale = _searched(gray)
    rows, columns = picture.shape
    raised, steps = _raised(picture)
    found = list(text_boxes(gray))
    for mark in _marks(raised, steps, _STRONG):
        box = mark.box
        tall, wide = box.bottom - box.top, box.right - box.left
        across, down = (box.left + box.right) / 2 / columns, (box.top + box.bottom) / 2 / rows
        beside = min(across, 1.0 - across, down, 1.0 - down) <= _EDGE
        if beside and _ALONE[0] * rows <= tall <= _ALONE[1] * rows and wide <= 1.5 * tall:
            margin = max(2, round(0.2 * tall))
            ends = (box.top - margin, box.bottom + margin, box.left - margin, box.right + margin)
            top, bottom, left, right = (round(end / scale) for end in ends)
            found.append(
                Box(
                    max(0, top), min(gray.shape[0], bottom), max(0, left), min(gray.shape[1], right)
                )
            )
    return tuple(found)


def _searched(gray: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Return the picture that is searched, and its size over that of the film."""
    import cv2

    rows, columns = gray.shape
    scale = min(1.0, _LONGEST / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    picture = np.asarray(cv2.convertScaleAbs(gray, alpha=255.0), np.uint8)
    if scale < 1.0:
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture, scale


@dataclass(frozen=True)
class _Rule:
    """Least contrast of a mark, and least mean step between neighboring pixels, of 255 levels."""

    contrast: int
    step: int


_STRONG, _WEAK = _Rule(22, 18), _Rule(9, 7)
"""Rules for what starts a line of text, and for what goes on with one."""


@dataclass(frozen=True)
class _Mark:
    """A letter, or several that touch.

    Attributes:
        box: around it.
        strokes: upright strokes, about.
    """

    box: Box
    strokes: int


def _raised(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return how much each pixel is brighter than what is around it, and the steps beside it."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    raised = cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, kernel)
    steps = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return np.asarray(raised, np.uint8), np.asarray(steps, np.uint8)


def _marks(raised: NDArray[np.uint8], steps: NDArray[np.uint8], rule: _Rule) -> list[_Mark]:
    """Return the sharp marks of letter size."""
    import cv2

    mask = np.asarray(raised > rule.contrast, np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    sums = np.bincount(labels.ravel(), steps.ravel(), count)
    _, _, width, height, area = stats.T
    fits = (height >= _TALL[0]) & (height <= _TALL[1]) & (width <= _WIDE) & (area >= height)
    fits &= sums / np.maximum(area, 1) >= rule.step
    fits[0] = False  # what is no mark
    marks: list[_Mark] = []
    for number in np.flatnonzero(fits):
        x, y, wide, tall, _ = (int(one) for one in stats[number])
        strokes = 1
        if wide > 1.5 * tall:
            part = labels[y : y + tall, x : x + wide] == number
            strokes = max(1, round(float((part[:, 1:] & ~part[:, :-1]).sum(axis=1).mean())))
        marks.append(_Mark(Box(y, y + tall, x, x + wide), strokes))
    return marks


def _lines(marks: list[_Mark], shape: tuple[int, ...]) -> list[Box]:
    """Return groups of three or more letters that stand in a row."""
    import cv2

    spread = np.zeros(shape, np.uint8)
    for mark in marks:
        box = mark.box
        reach = max(3, round(0.9 * (box.bottom - box.top)))
        left, right = max(0, box.left - reach), min(shape[1], box.right + reach)
        cv2.rectangle(spread, (left, box.top), (right - 1, box.bottom - 1), 1, -1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(spread, connectivity=4)
    letters = np.zeros(len(stats), int)
    for mark in marks:
        letters[labels[mark.box.top, mark.box.left]] += mark.strokes
    lines: list[Box] = []
    for number in range(1, len(stats)):
        left, top, width, height, _ = (int(one) for one in stats[number])
        if letters[number] >= 3 and width >= 1.2 * height:
            lines.append(Box(top, top + height, left, left + width))
    return lines


def _grown(line: Box, marks: list[_Mark]) -> Box:
    """Return a line with the fainter marks that go on with it, to both sides."""
    tall = line.bottom - line.top
    beside = [
        mark.box
        for mark in marks
        if mark.box.top < line.bottom
        and mark.box.bottom > line.top
        and mark.box.bottom - mark.box.top <= 1.6 * tall
    ]
    left, right, reach = line.left, line.right, round(1.2 * tall)
    for box in sorted(beside, key=lambda box: box.left):
        if box.left <= right + reach and box.right > right:
            right = box.right
    for box in sorted(beside, key=lambda box: -box.right):
        if box.right >= left - reach and box.left < left:
            left = box.left
    return Box(line.top, line.bottom, left, right)


def _widened(box: Box, shape: tuple[int, ...], scale: float, whole: tuple[int, ...]) -> Box:
    """Return a box on the whole picture, with a margin; to the edge where it is near one."""
    tall = box.bottom - box.top
    margin, reach = max(3, round(0.35 * tall)), max(4, round(_BEYOND * tall))
    top, bottom = box.top - margin, box.bottom + margin
    left, right = box.left - reach, box.right + reach
    if box.bottom < _MARGIN * shape[0]:
        top = 0
    if box.top > (1.0 - _MARGIN) * shape[0]:
        bottom = shape[0]
    if box.right < _MARGIN * shape[1]:
        left = 0
    if box.left > (1.0 - _MARGIN) * shape[1]:
        right = shape[1]
    ends = [round(one / scale) for one in (top, bottom, left, right)]
    return Box(max(0, ends[0]), min(whole[0], ends[1]), max(0, ends[2]), min(whole[1], ends[3]))
