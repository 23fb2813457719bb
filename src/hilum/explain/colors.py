"""What colour a pixel gets: tables over the film's grey and the heatmap's level."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Style", "mixed", "ramp"]

LEVELS = 256
"""Greys of a film and levels of a map that are told apart in a picture."""

_SHINE = 0.48
"""Share of the hot colours that is seen over black."""
_JET_SHARE = 0.4
_JET = (
    ((0.0, 0.35, 0.66, 0.89, 1.0), (0.0, 0.0, 1.0, 1.0, 0.5)),
    ((0.0, 0.125, 0.375, 0.64, 0.91, 1.0), (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)),
    ((0.0, 0.11, 0.34, 0.65, 1.0), (0.5, 1.0, 1.0, 0.0, 0.0)),
)
"""Where the straight parts of red, green and blue of MATLAB's and matplotlib's "jet" meet."""


class Style(StrEnum):
    """How a heatmap is drawn."""

    HOT = "hot"
    """Transparent, through yellow and orange, to red: hot is high. Red and yellow do not occur in
    a grey film, so nothing coloured can be taken for anatomy."""
    JET = "jet"
    """Blue through green to red, 0.4 of it added to the film, as most published scripts draw it.
    It tints the whole film blue, and its bright middle looks more than its end."""
    TRIPTYCH = "triptych"
    """Film, map and overlay beside each other, in the colours of `HOT`."""


@cache
def mixed(style: Style) -> NDArray[np.uint8]:
    """The colour of each grey under each level: (256 greys, 256 levels, 3) uint8, RGB.

    `HOT` is `film * gain(h) + glow(h)`: colour is mostly multiplied into the film, so ribs and
    vessels stay readable under the hottest red, and gain(0) = 1, glow(0) = 0, so that where there
    is no evidence the film is untouched. With opacity a(h), colour c(h), and the share s of the
    colour that is seen over black, gain = 1 - a + a (1 - s) c and glow = 255 a s c.

    `JET` is `min(255, film + 0.4 jet(h))`.

    >>> mixed(Style.HOT)[90, 0].tolist(), mixed(Style.JET)[90, 0].tolist()
    ([90, 90, 90], [90, 90, 141])
    """
    grey = np.arange(LEVELS)[:, None, None]
    h = np.linspace(0.0, 1.0, LEVELS)
    if style is Style.JET:
        rgb = grey + 255.0 * _JET_SHARE * _jet(h)
    else:
        # Below a tenth of the peak, colour would only be a veil over the whole film.
        opacity = (0.68 * np.clip((h - 0.1) / 0.5, 0.0, 1.0) ** 0.9)[:, None]
        colour = _hot(h)
        gain = 1.0 - opacity + opacity * (1.0 - _SHINE) * colour
        rgb = grey * gain + 255.0 * opacity * _SHINE * colour
    table = np.minimum(np.rint(rgb), 255.0).astype(np.uint8)
    table.flags.writeable = False
    return table


@cache
def ramp(style: Style) -> NDArray[np.uint8]:
    """The colours of a map without a film, from none to most: (256, 3) uint8, RGB.

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
