"""Is this a film that a model for frontal chest films should score?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.domain.radiograph import Radiograph, ViewPosition

__all__ = ["MIN_LEVELS", "MIN_RANGE", "MIN_SIDE", "screen"]

MIN_SIDE = 128
"""Pixels. Below, a nodule is smaller than a pixel or two."""
MIN_LEVELS = 16
"""Distinct grey levels, of 256. A thresholded film has two."""
MIN_RANGE = 0.1
"""Of the scale from black to white, between the film's 1st and 99th percentile."""

_SAMPLED_SIDE = 256


def screen(film: Radiograph) -> tuple[ReasonCode, ...]:
    """Refuse what is no frontal chest film by header or grey levels; else the reasons to warn.

    It cannot tell a chest from a hand: only rules that need no learning are here.

    Returns:
        Reasons to warn beyond the film's own codes. None of the present rules warns.

    Raises:
        FilmError: (reject) `TOO_SMALL`, `VIEW_NOT_FRONTAL`, `CONSTANT_IMAGE`, or
            `LOW_DYNAMIC_RANGE`.

    Example:
        >>> screen(Radiograph(np.zeros((200, 200), np.float32), source="black.png"))
        Traceback (most recent call last):
        ...
        hilum.domain.errors.FilmError: a film must show more than one grey level; all of it is 0
    """
    if min(film.shape) < MIN_SIDE:
        rows, columns = film.shape
        raise FilmError(
            Status.REJECT,
            ReasonCode.TOO_SMALL,
            f"a film must have at least {MIN_SIDE} px a side; this one has {rows} x {columns}",
        )
    if film.view is ViewPosition.LL:
        raise FilmError(
            Status.REJECT,
            ReasonCode.VIEW_NOT_FRONTAL,
            "a film must be frontal (PA or AP); the header says lateral or oblique",
        )
    _check_levels(film.pixels)
    return ()


def _check_levels(pixels: NDArray[np.float32]) -> None:
    darkest = float(pixels.min())
    if darkest == float(pixels.max()):
        raise FilmError(
            Status.REJECT,
            ReasonCode.CONSTANT_IMAGE,
            f"a film must show more than one grey level; all of it is {darkest:g}",
        )
    # A regular sample has the same histogram as the film, at a fraction of the cost.
    step = max(1, min(pixels.shape) // _SAMPLED_SIDE)
    sample = np.rint(pixels[::step, ::step] * np.float32(255.0)).astype(np.uint8)
    counts = np.bincount(sample.ravel(), minlength=256)
    levels = int(np.count_nonzero(counts))
    share = np.cumsum(counts) / sample.size
    spread = float(np.searchsorted(share, 0.99) - np.searchsorted(share, 0.01)) / 255.0
    if levels < MIN_LEVELS or spread < MIN_RANGE:
        raise FilmError(
            Status.REJECT,
            ReasonCode.LOW_DYNAMIC_RANGE,
            f"a film must have {MIN_LEVELS} grey levels and span {MIN_RANGE:.0%} of the scale; "
            f"this one has {levels} and spans {spread:.0%}",
        )
