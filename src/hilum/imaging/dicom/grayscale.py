"""The grayscale pipeline of DICOM PS3.3 and 3.4, from stored values to gray on the display.

::

    stored values → padding left out → modality LUT or rescale → VOI LUT or window
                  → inverted, where the header says so → [0, 1]

Stored values have at most 16 bits, so all of it is worked out once for each possible value, in
float64, and the film is looked up in that table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.corrections import unsigned_white

__all__ = ["Grayscale", "LookUp", "Window", "WindowShape"]

Levels = NDArray[np.float64]
"""(K,) one number for each value that a stored pixel can take."""

_MIN_SHARE_IN_WINDOW = 0.01
_BLOCK_PIXELS = 1 << 18


class WindowShape(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True)
class Window:
    """Which values are spread from black to white (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    shape: WindowShape = WindowShape.LINEAR

    @property
    def valid(self) -> bool:
        """Whether numbers and width are ones the standard allows."""
        least = 1.0 if self.shape is WindowShape.LINEAR else 0.0
        return bool(np.isfinite([self.center, self.width]).all()) and self.width > least

    def apply(self, values: Levels) -> Levels:
        """Map values to [0, 1].

        Example:
            >>> Window(2048, 4096).apply(np.array([0.0, 4095.0, 9000.0]))
            array([0., 1., 1.])
        """
        if self.shape is WindowShape.SIGMOID:
            slope = np.clip(-4.0 * (values - self.center) / self.width, -500.0, 500.0)
            return 1.0 / (1.0 + np.exp(slope))
        if self.shape is WindowShape.LINEAR_EXACT:
            return np.clip((values - self.center) / self.width + 0.5, 0.0, 1.0)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1.0) + 0.5, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class LookUp:
    """A modality or VOI look-up table: entry `i` is for the value `first + i`.

    Attributes:
        first: the first value mapped; lower ones take the first entry, higher ones the last.
        bits: of an entry; its largest value is `2^bits - 1`.
        entries: (n,) unsigned.
    """

    first: int
    bits: int
    entries: NDArray[np.uint16]

    @property
    def valid(self) -> bool:
        """Whether the table maps anything to something different."""
        return self.entries.size > 1 and 1 <= self.bits <= 16 and bool(np.ptp(self.entries) > 0)

    @property
    def top(self) -> float:
        """The largest value an entry can have."""
        return float((1 << self.bits) - 1)

    def apply(self, values: Levels) -> Levels:
        """Return the entries for values, as numbers in [0, 2^bits - 1]."""
        place = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1).astype(np.intp)
        return np.minimum(self.entries[place].astype(np.float64), self.top)


@dataclass(frozen=True, eq=False)
class Grayscale:
    """The header's steps from stored values to the display.

    Attributes:
        bits: Bits Stored.
        signed: whether stored values are two's complement.
        slope, intercept: of the rescale; used where there is no `modality`.
        modality: modality LUT.
        voi: VOI LUT, None where absent; goes before `window`, as the more specific.
        window: the first window.
        inverted: whether the lowest value is white: MONOCHROME1, or a presentation LUT shape of
            INVERSE. The two say the same thing, so both together still invert once.
        padding: stored values, first to last, that are no part of the picture.
        codes: reasons to warn met while reading the above.
    """

    bits: int
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality: LookUp | None = None
    voi: LookUp | None = None
    window: Window | None = None
    inverted: bool = False
    padding: tuple[int, int] | None = None
    codes: tuple[ReasonCode, ...] = ()

    def render(
        self, stored: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], tuple[ReasonCode, ...]]:
        """Return the film as displayed, and the reasons to warn.

        Without a usable VOI LUT or window, unsigned values run from 0 to the white of their bits
        (`unsigned_white`), as in a PNG of the same film; signed ones from the least to the
        greatest in the film, as their stored range says nothing about the exposure. Padding is
        black.

        Args:
            stored: (H, W) of 8 or 16 bits.

        Returns:
            (H, W) float32 in [0, 1], and the codes.

        Raises:
            FilmError: `RESCALE_INVALID` (reject) for a rescale that erases the picture.

        Example:
            >>> stored = np.array([[0, 128, 255]], np.uint8)
            >>> Grayscale(bits=8, inverted=True).render(stored)[0].round(2).tolist()
            [[1.0, 0.5, 0.0]]
        """
        unsigned = np.ascontiguousarray(stored).view(f"u{stored.dtype.itemsize}")
        count = 1 << (8 * stored.dtype.itemsize)
        levels = np.arange(count).astype(unsigned.dtype).view(stored.dtype).astype(np.int64)
        pixels_of = np.zeros(count, np.int64)
        for rows in _blocks(unsigned):
            pixels_of += np.bincount(rows.ravel(), minlength=count)
        padded = np.zeros(count, np.bool_)
        if self.padding is not None:
            padded = (levels >= self.padding[0]) & (levels <= self.padding[1])
        pixels_of[padded] = 0
        shown, codes = self._shown(levels, pixels_of)
        if self.inverted:
            shown = 1.0 - shown
        shown[padded] = 0.0
        gray, table = np.empty(stored.shape, np.float32), shown.astype(np.float32)
        for rows, shown_rows in zip(_blocks(unsigned), _blocks(gray), strict=True):
            shown_rows[:] = np.take(table, rows)
        return gray, (*self.codes, *codes)

    def _shown(
        self, levels: NDArray[np.int64], pixels_of: NDArray[np.int64]
    ) -> tuple[Levels, tuple[ReasonCode, ...]]:
        """Return the gray of each stored value before inversion, given how many pixels have it."""
        codes: list[ReasonCode] = []
        values = self._modality(levels)
        if (
            self.modality is None and self.slope < 0.0
        ):  # any other leaves light and dark as they are
            codes.append(ReasonCode.RESCALE_APPLIED)
        if self.voi is not None:
            if self.voi.valid:
                return self.voi.apply(values) / self.voi.top, tuple(codes)
            codes.append(ReasonCode.VOI_LUT_INVALID)
        if self.window is not None:
            shown = self.window.apply(values) if self.window.valid else np.zeros_like(values)
            inside = pixels_of[(shown > 0.001) & (shown < 0.999)].sum()
            if inside >= _MIN_SHARE_IN_WINDOW * pixels_of.sum():
                return shown, tuple(codes)
            codes.append(ReasonCode.WINDOW_INVALID)
        low, high, inferred = self._stored_range(levels[pixels_of > 0])
        ends = self._modality(np.array([low, high], np.int64))
        if self.modality is not None:
            ends, inferred = np.array([0.0, self.modality.top]), ()
        span = float(np.ptp(ends)) or 1.0
        return np.clip((values - ends.min()) / span, 0.0, 1.0), (*codes, *inferred)

    def _modality(self, levels: NDArray[np.int64]) -> Levels:
        if self.modality is not None:
            return self.modality.apply(levels.astype(np.float64))
        if not np.isfinite([self.slope, self.intercept]).all() or self.slope == 0.0:
            raise FilmError(
                Status.REJECT,
                ReasonCode.RESCALE_INVALID,
                "a rescale must have a finite slope other than 0; "
                f"got slope {self.slope:g}, intercept {self.intercept:g}",
            )
        return self.slope * levels.astype(np.float64) + self.intercept

    def _stored_range(self, present: NDArray[np.int64]) -> tuple[int, int, tuple[ReasonCode, ...]]:
        """Return the stored values of black and white where the header names none."""
        if present.size == 0:
            return 0, 1, ()
        if self.signed:
            return int(present.min()), int(present.max()), ()
        white, codes = unsigned_white(self.bits, int(present.max()))
        return 0, white, codes


def _blocks(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Yield rows in blocks: NumPy's counts and look-ups need eight bytes a pixel."""
    rows = max(1, _BLOCK_PIXELS // max(1, pixels.shape[1]))
    return [pixels[top : top + rows] for top in range(0, len(pixels), rows)]
