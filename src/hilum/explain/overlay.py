"""Heatmaps drawn over the film, of the film's own size, and the film as a small picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hilum.domain.radiograph import Radiograph
from hilum.explain.files import jpeg_bytes
from hilum.explain.ramp import LEVELS, Style, mixed

__all__ = ["Overlay", "grays", "hatch_unseen", "is_empty", "levels", "overlay", "preview"]

PREVIEW_SIDE = 1024
"""Most pixels of the longer side of the film in a report."""
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Overlay:
    """A film with one heatmap over it.

    Attributes:
        rgb: (H, W, 3) uint8, of the film's own size.
        empty: the map was zero everywhere (or below 1.2e-38): no region raised the score. `rgb` is
            the plain film, and the result carries `ReasonCode.EMPTY_HEATMAP`.
    """

    rgb: NDArray[np.uint8]
    empty: bool


def overlay(film: Radiograph, heatmap: NDArray[np.float32], style: Style = Style.PLASMA) -> Overlay:
    """Return the film with the regions that raised a score in color.

    Let h = map / max(map), in [0, 1]; each pixel becomes `mixed(style)` of its gray and its h.

    The map's own maximum scales its colors. Colors of two overlays can therefore not be
    compared; the probabilities beside them can.

    Args:
        film: the film, (H, W).
        heatmap: (H, W) float32, finite, >= 0, at the film's size.
        style: whose colors; a triptych's are those of `PLASMA`.

    Returns:
        The overlay. A map of zeros is "no evidence", not 0/0: the plain film, `empty=True`.

    Raises:
        ValueError: for a map of another shape, or with negative or non-finite values.

    Example:
        >>> film = Radiograph(np.full((2, 2), 0.5, np.float32), source="a.png")
        >>> heat = np.array([[0, 0], [0, 3]], np.float32)
        >>> overlay(film, heat).rgb[0, 0].tolist()
        [128, 128, 128]
        >>> overlay(film, np.zeros((2, 2), np.float32)).empty
        True
    """
    import cv2

    if heatmap.shape != film.shape:
        raise ValueError(
            f"a heatmap must have its film's shape {film.shape}; got {heatmap.shape}. "
            "Map it to the film first"
        )
    level = levels(heatmap)
    gray = grays(film)
    if not level.any():
        return Overlay(np.repeat(gray[:, :, None], 3, axis=2), empty=True)
    # One look-up of four bytes a pixel: a tenth of the time of arithmetic on three floats.
    cell = np.left_shift(gray, 8, dtype=np.uint16)
    cell |= level
    pixels = np.take(_packed(style), cell).view(np.uint8).reshape(*film.shape, 4)
    return Overlay(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), np.uint8), empty=False)


_HATCH = 140
"""Gray of the lines over what a network did not see."""


def hatch_unseen(rgb: NDArray[np.uint8], seen: tuple[int, int, int, int]) -> None:
    """Hatch the part of a picture that the network did not see, in place.

    A crop leaves the borders of an oblong film out: no color there is not "no evidence".

    Args:
        rgb: (H, W, 3) picture of the whole film.
        seen: top, left, height and width of the part that it saw, in the picture's pixels.

    >>> picture = np.zeros((20, 10, 3), np.uint8)
    >>> hatch_unseen(picture, (5, 0, 10, 10))
    >>> picture[5:15].any(), picture[:5].any(), picture[15:].any()
    (np.False_, np.True_, np.True_)
    """
    rows, columns = rgb.shape[:2]
    top, left, height, width = seen
    bottom, right = top + height, left + width
    step = max(8, max(rows, columns) // 48)
    for begin, end, first, last in (
        (0, top, 0, columns),
        (bottom, rows, 0, columns),
        (top, bottom, 0, left),
        (top, bottom, right, columns),
    ):
        diagonal = np.arange(begin, end)[:, None] + np.arange(first, last)
        rgb[begin:end, first:last][diagonal % step < max(1, step // 8)] = _HATCH


def grays(film: Radiograph) -> NDArray[np.uint8]:
    """Return the film in 8 bits: `round(255 x)`, (H, W).

    >>> grays(Radiograph(np.array([[0.0, 1.0]], np.float32), source="a.png")).tolist()
    [[0, 255]]
    """
    import cv2

    return np.asarray(cv2.convertScaleAbs(film.pixels, alpha=LEVELS - 1), np.uint8)


def levels(heatmap: NDArray[np.float32], peak: float | None = None) -> NDArray[np.uint8]:
    """Return each pixel's level relative to the map's maximum: `round(255 map / max(map))`.

    Zeros, for a map that is empty.

    Args:
        heatmap: the map.
        peak: level 255, of a map that is part of, or coarser than, one with this maximum; None for
            the map's own maximum.

    Raises:
        ValueError: for negative or non-finite values.

    >>> levels(np.array([[0.0, 1.0, 2.0]], np.float32)).tolist()
    [[0, 128, 255]]
    """
    import cv2

    lowest = float(heatmap.min())
    peak = max(float(heatmap.max()), peak or 0.0)
    if not (lowest >= 0.0 and np.isfinite(peak)):
        raise ValueError(f"a heatmap must be finite and >= 0; got values in [{lowest}, {peak}]")
    if peak < _SMALLEST:
        return np.zeros(heatmap.shape, np.uint8)
    if peak < 1.0 / np.finfo(np.float32).max * LEVELS:  # 255 / peak would overflow
        heatmap, peak = heatmap / np.float32(peak), 1.0
    return np.asarray(cv2.convertScaleAbs(heatmap, alpha=(LEVELS - 1) / peak), np.uint8)


def is_empty(heatmap: NDArray[np.float32]) -> bool:
    """Return whether no region raised the score: no value above the smallest normal number.

    Below the normal numbers a processor may round to zero, and a ratio of two would be 0/0.

    >>> is_empty(np.zeros((2, 2), np.float32))
    True
    """
    return bool(heatmap.max() < _SMALLEST)


@cache
def _packed(style: Style) -> NDArray[np.uint32]:
    """`mixed` as (65536,), four bytes a color, at gray * 256 + level."""
    table = np.zeros((LEVELS, LEVELS, 4), np.uint8)
    table[:, :, :3] = mixed(style)
    return table.view(np.uint32).ravel()


def preview(film: Radiograph, side: int = PREVIEW_SIDE) -> bytes:
    r"""Return a gray JPEG of the film, aspect kept, the longer side at most `side`.

    Area averaging, so that fine lines darken instead of vanishing; a film that is small already
    is not enlarged.

    >>> preview(Radiograph(np.zeros((4, 3), np.float32), source="a.png"))[:2]
    b'\xff\xd8'
    """
    import cv2

    rows, columns = film.shape
    shrink = min(1.0, side / max(rows, columns))
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    pixels = grays(film)
    if shrink < 1.0:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return jpeg_bytes(pixels, quality=90)
