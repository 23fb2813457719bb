"""Heatmaps drawn over the film, of the film's own size, and the colors they are drawn in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hilum.domain.radiograph import Radiograph
from hilum.explain.files import jpeg_bytes

__all__ = [
    "LEVELS",
    "Overlay",
    "Style",
    "grays",
    "is_empty",
    "levels",
    "mixed",
    "overlay",
    "preview",
    "ramp",
]

LEVELS = 256
"""Number of distinct film gray values and map levels in a picture."""

_SHINE = 0.48
"""Share of the hot colors that is seen over black."""
_JET_SHARE = 0.4
_JET = (
    ((0.0, 0.35, 0.66, 0.89, 1.0), (0.0, 0.0, 1.0, 1.0, 0.5)),
    ((0.0, 0.125, 0.375, 0.64, 0.91, 1.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)),
    ((0.0, 0.11, 0.34, 0.65, 1.0), (0.5, 1.0, 1.0, 0.0, 0.0)),
)
"""Corners of red, green and blue of MATLAB's and matplotlib's "jet"."""


class Style(StrEnum):
    """Drawing style of a heatmap."""

    HOT = "hot"
    """Transparent, through yellow and orange, to red: hot is high. Red and yellow do not occur in
    a gray film, so nothing colored can be taken for anatomy."""
    JET = "jet"
    """Blue through green to red, 0.4 of it added to the film, as most published scripts draw it.
    It tints the whole film blue, and its bright middle looks more than its end."""
    TRIPTYCH = "triptych"
    """Film, map and overlay beside each other, in the colors of `HOT`."""


@cache
def mixed(style: Style) -> NDArray[np.uint8]:
    """Return the color of each gray under each level: (256 grays, 256 levels, 3) uint8, RGB.

    `HOT` is `film * gain(h) + glow(h)`: color is mostly multiplied into the film, so ribs and
    vessels stay readable under the hottest red, and gain(0) = 1, glow(0) = 0, so that where there
    is no evidence the film is untouched. With opacity a(h), color c(h), and the share s of the
    color that is seen over black, gain = 1 - a + a (1 - s) c and glow = 255 a s c.

    `JET` is `min(255, film + 0.4 jet(h))`.

    >>> mixed(Style.HOT)[90, 0].tolist(), mixed(Style.JET)[90, 0].tolist()
    ([90, 90, 90], [90, 90, 141])
    """
    gray = np.arange(LEVELS)[:, None, None]
    h = np.linspace(0.0, 1.0, LEVELS)
    if style is Style.JET:
        rgb = gray + 255.0 * _JET_SHARE * _jet(h)
    else:
        # Below a tenth of the peak, color would only be a veil over the whole film.
        opacity = (0.68 * np.clip((h - 0.1) / 0.5, 0.0, 1.0) ** 0.9)[:, None]
        color = _hot(h)
        gain = 1.0 - opacity + opacity * (1.0 - _SHINE) * color
        rgb = gray * gain + 255.0 * opacity * _SHINE * color
    table = np.minimum(np.rint(rgb), 255.0).astype(np.uint8)
    table.flags.writeable = False
    return table


@cache
def ramp(style: Style) -> NDArray[np.uint8]:
    """Return the colors of a map without a film, from none to most: (256, 3) uint8, RGB.

    >>> ramp(Style.HOT)[0].tolist(), ramp(Style.HOT)[255].tolist()
    ([0, 0, 0], [222, 20, 20])
    """
    h = np.linspace(0.0, 1.0, LEVELS)
    hot = _hot(h) * np.clip(h / 0.3, 0.0, 1.0)[:, None]
    table = np.rint(255.0 * (_jet(h) if style is Style.JET else hot)).astype(np.uint8)
    table.flags.writeable = False
    return table


def _hot(h: NDArray[np.float64]) -> NDArray[np.float64]:
    stops = np.array([[255, 236, 110], [255, 214, 40], [255, 128, 16], [222, 20, 20]]) / 255.0
    return np.stack([np.interp(h, [0.0, 0.3, 0.65, 1.0], band) for band in stops.T], axis=1)


def _jet(h: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.interp(h, at, value) for at, value in _JET], axis=1)


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


def overlay(film: Radiograph, heatmap: NDArray[np.float32], style: Style = Style.HOT) -> Overlay:
    """Return the film with the regions that raised a score in color.

    Let h = map / max(map), in [0, 1]; each pixel becomes `mixed(style)` of its gray and its h.

    The map's own maximum scales its colors. Colors of two overlays can therefore not be
    compared; the probabilities beside them can.

    Args:
        film: the film, (H, W).
        heatmap: (H, W) float32, finite, >= 0, at the film's size.
        style: whose colors; a triptych's are those of `HOT`.

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


def grays(film: Radiograph) -> NDArray[np.uint8]:
    """Return the film in 8 bits: `round(255 x)`, (H, W).

    >>> grays(Radiograph(np.array([[0.0, 1.0]], np.float32), source="a.png")).tolist()
    [[0, 255]]
    """
    import cv2

    return np.asarray(cv2.convertScaleAbs(film.pixels, alpha=LEVELS - 1), np.uint8)


def levels(heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return each pixel's level relative to the map's maximum: `round(255 map / max(map))`.

    Zeros, for a map that is empty.

    Raises:
        ValueError: for negative or non-finite values.

    >>> levels(np.array([[0.0, 1.0, 2.0]], np.float32)).tolist()
    [[0, 128, 255]]
    """
    import cv2

    lowest, peak = float(heatmap.min()), float(heatmap.max())
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


def preview(film: Radiograph, side: int = 512) -> bytes:
    r"""Return a small gray JPEG of the film, aspect kept, the longer side at most `side`.

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
