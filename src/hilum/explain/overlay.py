"""Heatmaps drawn over the film: yellow to red where the score was raised, plain film elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.domain.radiograph import Radiograph

__all__ = ["Overlay", "Style", "overlay", "png_bytes", "preview"]

_LEVELS = 256


class Style(StrEnum):
    """How a heatmap is coloured."""

    HOT = "hot"
    """Transparent, through yellow and orange, to red: hot is high. Red and yellow do not occur in
    a grey film, so nothing coloured can be taken for anatomy."""


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
    """The film with the regions that raised a score in colour.

    Let h = map / max(map), in [0, 1]. Each pixel becomes `film * gain(h) + glow(h)`: colour is
    mostly multiplied into the film, so ribs and vessels stay readable under the hottest red, and
    gain(0) = 1, glow(0) = 0, so that where there is no evidence the film is untouched.

    The map's own maximum scales its colours. Colours of two overlays can therefore not be
    compared; the probabilities beside them can.

    Args:
        film: the film, (H, W).
        heatmap: (H, W) float32, finite, >= 0, at the film's size.
        style: the colour map.

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
    if heatmap.shape != film.shape:
        raise ValueError(
            f"a heatmap must have its film's shape {film.shape}; got {heatmap.shape}. "
            "Map it to the film first"
        )
    lowest, peak = float(heatmap.min()), float(heatmap.max())
    if not (lowest >= 0.0 and np.isfinite(peak)):
        raise ValueError(f"a heatmap must be finite and >= 0; got values in [{lowest}, {peak}]")
    grey = film.pixels * np.float32(255.0)
    # Below the normal numbers a processor may round to zero, and the ratio below would be 0/0.
    if peak < np.finfo(np.float32).tiny:
        plain = np.rint(grey).astype(np.uint8)
        return Overlay(np.repeat(plain[:, :, None], 3, axis=2), empty=True)
    # Divided before it is scaled: 255 / peak would overflow for the smallest peaks.
    level = np.rint(heatmap / np.float32(peak) * np.float32(_LEVELS - 1)).astype(np.uint8)
    gain, glow = _TABLES[style]()
    rgb = np.empty((*film.shape, 3), np.uint8)
    for channel in range(3):
        mixed = grey * gain[level, channel] + glow[level, channel]
        rgb[:, :, channel] = np.rint(mixed)
    return Overlay(rgb, empty=False)


@cache
def _hot() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and glow of `Style.HOT`: (256, 3) float32 each, glow in [0, 255].

    With opacity a(h), colour c(h), and the share s of the colour that is seen over black,
    pixel = film (1 - a) + a c (s + (1 - s) film):
    gain = 1 - a + a (1 - s) c and glow = 255 a s c.
    """
    h = np.linspace(0.0, 1.0, _LEVELS)
    # Below a tenth of the peak, colour would only be a veil over the whole film.
    opacity = 0.68 * np.clip((h - 0.1) / 0.5, 0.0, 1.0) ** 0.9
    stops = np.array([[255, 236, 110], [255, 214, 40], [255, 128, 16], [222, 20, 20]]) / 255.0
    colour = np.stack([np.interp(h, [0.0, 0.3, 0.65, 1.0], band) for band in stops.T], axis=1)
    shine = 0.48
    alpha = opacity[:, None]
    gain = 1.0 - alpha + alpha * (1.0 - shine) * colour
    glow = 255.0 * alpha * shine * colour
    return gain.astype(np.float32), glow.astype(np.float32)


_TABLES: dict[Style, Callable[[], tuple[NDArray[np.float32], NDArray[np.float32]]]] = {
    Style.HOT: _hot
}


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    r"""A PNG file of (H, W) grey or (H, W, 3) RGB pixels.

    Nothing of the source file travels with it: no text chunks, no EXIF, no time. Level 1 of zlib
    takes a third of the time of level 6 on a film, and 18 % more bytes.

    >>> png_bytes(np.zeros((2, 3), np.uint8))[:4]
    b'\x89PNG'
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def preview(film: Radiograph, side: int = 512) -> bytes:
    r"""A small grey JPEG of the film for a report, aspect kept, the longer side at most `side`.

    Area averaging, so that fine lines darken instead of vanishing; a film that is small already
    is not enlarged.

    >>> preview(Radiograph(np.zeros((4, 3), np.float32), source="a.png"))[:2]
    b'\xff\xd8'
    """
    rows, columns = film.shape
    shrink = min(1.0, side / max(rows, columns))
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    image = Image.fromarray(np.rint(film.pixels * np.float32(255.0)).astype(np.uint8))
    if shrink < 1.0:
        image = image.resize(size, Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
