"""A colour picture of a film to grey, and whether the colour was the film's or a pen's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import ReasonCode

__all__ = ["grey_of"]

STRONG = 64 / 255
"""Difference between the largest and smallest channel from which a pixel is clearly coloured."""
FAINT = 16 / 255
"""Up to here a pixel is grey to the eye."""
ANNOTATED_AT_MOST = 0.1
"""Share of clearly coloured pixels up to which they are marks on a grey film."""

# Rec. 601, as in JPEG and Pillow.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def grey_of(
    rgb: NDArray[np.unsignedinteger], white: int
) -> tuple[NDArray[np.float32], tuple[ReasonCode, ...]]:
    """Grey values of a picture in RGB, and the reason to warn where it really had colour.

    Equal channels are a grey film in an RGB file: no warning. Otherwise the luminance
    `0.299 R + 0.587 G + 0.114 B` is taken (one channel alone would turn a red arrow white), with
    `COLOR_ANNOTATION` where few pixels are coloured on a grey ground, else `COLOR_CONVERTED`.

    Args:
        rgb: (H, W, 3) unsigned integers.
        white: the value of full intensity, 255 or 65535.

    Returns:
        (H, W) float32 in [0, 1], and the codes.

    Example:
        >>> film = np.full((10, 10, 3), 90, np.uint8)
        >>> film[0, 0] = 255, 0, 0
        >>> grey_of(film, 255)[1]
        (<ReasonCode.COLOR_ANNOTATION: 'COLOR_ANNOTATION'>,)
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.divide(red, np.float32(white), dtype=np.float32), ()
    scaled = np.divide(rgb, np.float32(white), dtype=np.float32)
    chroma = scaled.max(axis=2) - scaled.min(axis=2)
    strong = float((chroma > STRONG).mean())
    between = float(((chroma > FAINT) & (chroma <= STRONG)).mean())
    marks = 0.0 < strong <= ANNOTATED_AT_MOST and between <= ANNOTATED_AT_MOST
    code = ReasonCode.COLOR_ANNOTATION if marks else ReasonCode.COLOR_CONVERTED
    return np.clip(scaled @ _LUMINANCE, 0.0, 1.0), (code,)
