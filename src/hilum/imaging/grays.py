"""Gray levels of a film in a few numbers, as the network sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.results import GrayFacts
from hilum.imaging.preprocess import Placement

__all__ = ["gray_facts"]

_FLAT = 4
"""A border line whose gray levels differ by less, of 255, is empty."""


def gray_facts(
    raster: NDArray[Any], shape: tuple[int, int], place: Placement | None = None
) -> GrayFacts:
    """Return the gray levels of a film from its square for the network.

    Of the square and not of the film, as it is small: a hundred microseconds a film.

    Args:
        raster: (S, S) uint8, or floats in [0, 1].
        shape: (rows, columns) of the film itself.
        place: the film's rectangle inside the square; None for all of it.

    >>> facts = gray_facts(np.full((64, 64), 255, np.uint8), (2000, 1500))
    >>> facts.mean, facts.white, facts.sharpness, facts.rows
    (1.0, 1.0, 0.0, 2000)
    """
    import cv2

    seen = raster
    if place is not None:
        top, left = max(place.top, 0), max(place.left, 0)
        seen = raster[top : place.top + place.height, left : place.left + place.width]
    if seen.dtype != np.uint8:
        seen = np.rint(seen * 255.0).astype(np.uint8)
    seen = np.ascontiguousarray(seen)
    counts = cv2.calcHist([seen], [0], None, [256], [0, 256]).ravel() / seen.size
    mean, spread = cv2.meanStdDev(seen)
    _, edges = cv2.meanStdDev(cv2.Laplacian(seen, cv2.CV_16S))
    thin = np.ascontiguousarray(seen[::2, ::2])
    empty = [_empty(thin), _empty(np.ascontiguousarray(thin.T))]
    return GrayFacts(
        rows=shape[0],
        columns=shape[1],
        mean=_share(mean[0, 0] / 255.0),
        spread=_share(spread[0, 0] / 255.0),
        black=_share(counts[:2].sum()),
        white=_share(counts[254:].sum()),
        sharpness=_share(edges[0, 0] / 255.0),
        border=_share(max(empty)),
    )


def _empty(picture: NDArray[np.uint8]) -> float:
    """Return the share of columns of one gray level."""
    import cv2

    high, low = (cv2.reduce(picture, 0, which) for which in (cv2.REDUCE_MAX, cv2.REDUCE_MIN))
    return float(np.mean(cv2.subtract(high, low) < _FLAT))


def _share(value: float) -> float:
    return round(float(value), 5)
