"""A heatmap as a layer of its own: a small PNG with alpha that a page lays over the film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.explain.files import indexed_png_bytes
from hilum.explain.overlay import levels
from hilum.explain.ramp import layer_palette
from hilum.imaging.preprocess import Preprocessing

__all__ = ["MAP_SIDE", "layer_shape", "map_layer"]

MAP_SIDE = 320
"""Pixels of a layer's longer side. A map has some 7 cells a side, so that more would show nothing
more: enlarged by the browser, it differs from the map on the film by less than two levels."""


def map_layer(
    cells: NDArray[np.float32], preprocessing: Preprocessing, shape: tuple[int, int]
) -> bytes:
    r"""Return the PNG file of a heatmap that is stretched over the film.

    Each pixel holds its level, `round(255 map / max(map))` of the map as `Preprocessing.to_film`
    brings it onto the film; the palette gives each level its color and alpha. The layer spans the
    whole film, so it is in place wherever it is drawn at the film's size. A map of zeros is clear.

    Args:
        cells: (h, w) float32, finite, >= 0, over the network's square.
        preprocessing: how the film was put into the square.
        shape: (rows, columns) of the film.

    Example:
        >>> map_layer(np.ones((7, 7), np.float32), Preprocessing(), (2000, 1000))[:4]
        b'\x89PNG'
    """
    layer = preprocessing.to_film(cells, shape, layer_shape(shape))
    # the peak may lie between the layer's pixels
    peak = preprocessing.peak_on_film(cells, shape)
    return indexed_png_bytes(levels(layer, peak), layer_palette())


def layer_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns) of the layer of a film: the same aspect, the longer side `MAP_SIDE`.

    >>> layer_shape((2000, 1000)), layer_shape((100, 100))
    ((320, 160), (320, 320))
    """
    longest = max(shape)
    rows, columns = (max(1, round(extent * MAP_SIDE / longest)) for extent in shape)
    return rows, columns
