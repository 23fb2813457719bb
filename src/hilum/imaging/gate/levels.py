"""Evidence from the gray levels alone: constant, nearly constant, or clipped films."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.gate.picture import framed
from hilum.imaging.gate.rules import GateRules

__all__ = ["Levels", "clipped_share"]

_SAMPLED_SIDE = 256
_FLAT_LEVELS = 10
"""Largest range of gray levels, of 256, of an empty border row."""
_MIDDLE = 0.2
"""Share of height and width at each side outside the middle: air, collimation, labels."""


@dataclass(frozen=True)
class Levels:
    """The gray levels of a film, from a regular sample of it.

    Attributes:
        count: distinct levels, of 256.
        spread: of the scale, between the 1st and the 99th percentile.
        clipped: share of the middle of the film at the ends of its scale.
    """

    count: int
    spread: float
    clipped: float

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> Self:
        """Return the levels of a film.

        Args:
            pixels: (H, W) in [0, 1].

        Raises:
            FilmError: (reject) `CONSTANT_IMAGE`.
        """
        import cv2

        # A regular sample has the same histogram as the film, at a fraction of the cost.
        step = max(1, min(pixels.shape) // _SAMPLED_SIDE)
        sparse = np.ascontiguousarray(pixels[::step, ::step])
        sample = np.asarray(cv2.convertScaleAbs(sparse, alpha=255.0), np.uint8)
        counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel()
        count = int(np.count_nonzero(counts))
        if count == 1 and float(pixels.min()) == float(pixels.max()):
            raise FilmError(
                Status.REJECT,
                ReasonCode.CONSTANT_IMAGE,
                f"a film must show more than one gray level; all of it is {float(pixels[0, 0]):g}",
            )
        share = np.cumsum(counts) / sample.size
        spread = float(np.searchsorted(share, 0.99) - np.searchsorted(share, 0.01)) / 255.0
        return cls(count, spread, clipped_share(sample))

    def check(self, rules: GateRules) -> tuple[ReasonCode, ...]:
        """Refuse too few levels; else `CLIPPED_HISTOGRAM` where the film was cut off.

        Raises:
            FilmError: (reject) `LOW_DYNAMIC_RANGE`.
        """
        if self.count < rules.min_levels or self.spread < rules.min_range:
            raise FilmError(
                Status.REJECT,
                ReasonCode.LOW_DYNAMIC_RANGE,
                f"a film must have {rules.min_levels} gray levels and span "
                f"{rules.min_range:.0%} of the scale; this one has {self.count} and spans "
                f"{self.spread:.0%}",
            )
        return (ReasonCode.CLIPPED_HISTOGRAM,) if self.clipped >= rules.max_clipped else ()


def clipped_share(sample: NDArray[np.uint8]) -> float:
    """Return the share of the film's middle within one level of its darkest or brightest.

    Air beside the body is black on good films too, so empty borders and margins do not count.

    >>> film = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    >>> clipped_share(film), round(clipped_share(np.clip(film, 100, 160)), 2)
    (0.0, 0.63)
    """
    low, high = int(sample.min()), int(sample.max())
    inside = framed(sample, flat=_FLAT_LEVELS)
    rows, columns = (round(extent * _MIDDLE) for extent in inside.shape)
    middle = inside[rows : inside.shape[0] - rows, columns : inside.shape[1] - columns]
    ends = (middle <= low + 1) | (middle >= high - 1)
    return float(np.count_nonzero(ends)) / ends.size
