"""Colors of a heatmap: how a level between none and the map's peak looks, alone and on a film."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "OPACITY", "Style", "layer_palette", "mixed", "ramp"]

LEVELS = 256
"""Number of distinct film gray values and map levels in a picture."""
OPACITY = 0.62
"""Opacity of a map's peak over the film: 38 % of the film's contrast stays visible under it."""

_CLEAR, _FULL = 0.1, 0.6
"""Levels at which color begins and is as opaque as it gets. Below a tenth of the peak it would only
be a veil over the whole film."""
_PLASMA = (
    "0d0887 310597 4c02a1 6600a7 7e03a8 9511a1 aa2395 bc3587 cc4778 "
    "d9586a e56b5d f07f4f f89441 fdab33 fdc328 f9dd25 f0f921"
)
"""The map "plasma" of N. Smith and S. van der Walt (2015, CC0) at 17 equal steps."""
_HOT_SHINE = 0.48
"""Share of the hot colors that is seen over black."""
_HOT_OPACITY = 0.68
_JET_SHARE = 0.4
_JET = (
    ((0.0, 0.35, 0.66, 0.89, 1.0), (0.0, 0.0, 1.0, 1.0, 0.5)),
    ((0.0, 0.125, 0.375, 0.64, 0.91, 1.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)),
    ((0.0, 0.11, 0.34, 0.65, 1.0), (0.5, 1.0, 1.0, 0.0, 0.0)),
)
"""Corners of red, green and blue of MATLAB's and matplotlib's "jet"."""


class Style(StrEnum):
    """Drawing style of a heatmap."""

    PLASMA = "plasma"
    """Transparent, through violet and orange, to yellow. Lightness rises with the level, so the
    peak is the brightest color for every kind of color vision and in gray print, and no level is
    gray, so nothing colored can be taken for anatomy."""
    HOT = "hot"
    """Transparent, through yellow and orange, to red. Red is darker than yellow: a reader who
    confuses the two sees the peak as less than the middle."""
    JET = "jet"
    """Blue through green to red, 0.4 of it added to the film, as most published scripts draw it.
    It tints the whole film blue, and its bright middle looks more than its end."""
    TRIPTYCH = "triptych"
    """Film, map and overlay beside each other, in the colors of `PLASMA`."""


@cache
def mixed(style: Style) -> NDArray[np.uint8]:
    """Return the color of each gray under each level: (256 grays, 256 levels, 3) uint8, RGB.

    `PLASMA` is `film (1 - a) + 255 a c` with the color c(h) and the opacity a(h), which is 0 up to
    a tenth of the peak and `OPACITY` from six tenths on: a layer with alpha, so that a page can put
    it on the film, fade it and take it off.

    `HOT` is `film * gain(h) + glow(h)`: with opacity a(h), color c(h), and the share s of the color
    that is seen over black, gain = 1 - a + a (1 - s) c and glow = 255 a s c.

    `JET` is `min(255, film + 0.4 jet(h))`.

    >>> [mixed(style)[90, 0].tolist() for style in (Style.PLASMA, Style.JET)]
    [[90, 90, 90], [90, 90, 141]]
    """
    gray = np.arange(LEVELS)[:, None, None]
    h = np.linspace(0.0, 1.0, LEVELS)
    if style is Style.JET:
        rgb = gray + 255.0 * _JET_SHARE * _jet(h)
    elif style is Style.HOT:
        opacity = _HOT_OPACITY * _alpha(h)[:, None]
        color = _hot(h)
        gain = 1.0 - opacity + opacity * (1.0 - _HOT_SHINE) * color
        rgb = gray * gain + 255.0 * opacity * _HOT_SHINE * color
    else:
        opacity = OPACITY * _alpha(h)[:, None]
        rgb = gray * (1.0 - opacity) + 255.0 * opacity * _plasma(h)
    table = np.minimum(np.rint(rgb), 255.0).astype(np.uint8)
    table.flags.writeable = False
    return table


@cache
def ramp(style: Style) -> NDArray[np.uint8]:
    """Return the colors of a map without a film, from none to most: (256, 3) uint8, RGB.

    >>> ramp(Style.PLASMA)[0].tolist(), ramp(Style.PLASMA)[255].tolist()
    ([13, 8, 135], [240, 249, 33])
    """
    h = np.linspace(0.0, 1.0, LEVELS)
    if style is Style.JET:
        colors = _jet(h)
    elif style is Style.HOT:
        colors = _hot(h) * np.clip(h / 0.3, 0.0, 1.0)[:, None]
    else:
        colors = _plasma(h)
    table = np.rint(255.0 * colors).astype(np.uint8)
    table.flags.writeable = False
    return table


@cache
def layer_palette() -> NDArray[np.uint8]:
    """Return color and alpha of each level of a map that lies over a film: (256, 4) uint8, RGBA.

    The alpha is that of `PLASMA` without `OPACITY`, which whoever shows the layer applies. It
    rises strictly from level 26 to level 153, so that a level of that range can be read from it.

    >>> layer_palette()[[0, 255]].tolist()
    [[13, 8, 135, 0], [240, 249, 33, 255]]
    """
    alpha = np.rint(255.0 * _alpha(np.linspace(0.0, 1.0, LEVELS))).astype(np.uint8)
    table = np.concatenate([ramp(Style.PLASMA), alpha[:, None]], axis=1)
    table.flags.writeable = False
    return table


def _alpha(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the opacity of each level as a share of the peak's."""
    return np.clip((h - _CLEAR) / (_FULL - _CLEAR), 0.0, 1.0) ** 0.9


def _plasma(h: NDArray[np.float64]) -> NDArray[np.float64]:
    stops = np.array([list(bytes.fromhex(stop)) for stop in _PLASMA.split()]) / 255.0
    at = np.linspace(0.0, 1.0, len(stops))
    return np.stack([np.interp(h, at, band) for band in stops.T], axis=1)


def _hot(h: NDArray[np.float64]) -> NDArray[np.float64]:
    stops = np.array([[255, 236, 110], [255, 214, 40], [255, 128, 16], [222, 20, 20]]) / 255.0
    return np.stack([np.interp(h, [0.0, 0.3, 0.65, 1.0], band) for band in stops.T], axis=1)


def _jet(h: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.interp(h, at, value) for at, value in _JET], axis=1)
