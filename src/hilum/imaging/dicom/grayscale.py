"""The grayscale pipeline of DICOM PS3.3 and 3.4, from stored values to gray on the display.

::

    stored values → padding left out → modality LUT or rescale → VOI LUT or window
                  → inverted, where the header says so → [0, 1]

Stored values have at most 16 bits, so all of it is worked out once for each possible value, in
float64, and the film is looked up in that table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import FilmError, ReasonCode, Status
from hilum.imaging.corrections import LEAST_SHARE, unsigned_white

__all__ = ["Grayscale", "LookUp", "Window", "WindowShape"]

Levels = NDArray[np.float64]
"""(K,) one number for each value that a stored pixel can take."""

_MIN_SHARE_IN_WINDOW = 0.01
_MIN_SPAN = 0.1
"""Least share of the scale between the film's 1st and 99th percentile, as the gate asks for."""
_MOST_OUTSIDE = 0.5
"""Largest share of a film's pixels outside a modality LUT that is this film's."""
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

    @property
    def fits(self) -> bool:
        """Whether the entries have the bits that the descriptor states: within, and past half."""
        highest = int(self.entries.max())
        return self.top / 2 < highest <= self.top

    def refitted(self) -> LookUp:
        """Return the table with the bits of its own largest entry."""
        return replace(self, bits=int(self.entries.max()).bit_length())

    def resigned(self) -> LookUp:
        """Return the table with its first value read as signed 16 bits, which some writers mean."""
        return replace(self, first=self.first - (1 << 16)) if self.first >= 1 << 15 else self

    def outside(self, levels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which values are outside the table and take its first or last entry."""
        return (levels < self.first) | (levels >= self.first + self.entries.size)

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

        A VOI LUT that would hide the film goes for none, with `VOI_LUT_INVALID`: one whose entries
        do not have the bits of its descriptor, or that shows the film all dark, all bright, or in
        less than a tenth of the scale. Then the window counts, and without one the table in its own
        bits. A modality LUT that holds few of the film's values goes for none, with the same code.

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
        # an inverted film of too few bits is too bright by as much
        used = (shown > 0.5, shown < 0.5) if self.inverted else (shown > 0.5,)
        if any(pixels_of[half].sum() < LEAST_SHARE * pixels_of.sum() for half in used):
            codes += (ReasonCode.RANGE_UNUSED,)
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
        modality, codes = self._usable_modality(levels, pixels_of)
        values = self._modality(levels, modality)
        if self.modality is None and self.slope < 0.0:
            codes.append(ReasonCode.RESCALE_APPLIED)  # a positive one keeps light and dark
        if self.voi is not None:
            shown = self._by_table(self.voi, values, pixels_of)
            if shown is not None:
                return shown, tuple(codes)
            codes.append(ReasonCode.VOI_LUT_INVALID)
        if self.window is not None:
            shown = self.window.apply(values) if self.window.valid else np.zeros_like(values)
            if _inside(shown, pixels_of):
                return shown, tuple(dict.fromkeys(codes))
            codes.append(ReasonCode.WINDOW_INVALID)
        if self.voi is not None and self.voi.entries.size:
            shown = self._by_table(self.voi.refitted(), values, pixels_of)
            if shown is not None:
                return shown, tuple(dict.fromkeys(codes))
        low, high, inferred = self._stored_range(levels[pixels_of > 0])
        ends = self._modality(np.array([low, high], np.int64), modality)
        if modality is not None:
            fitted = modality if modality.fits else modality.refitted()
            inferred = () if fitted is modality else (ReasonCode.VOI_LUT_INVALID,)
            ends = np.array([0.0, fitted.top])
        span = float(np.ptp(ends)) or 1.0
        shown = np.clip((values - ends.min()) / span, 0.0, 1.0)
        return shown, tuple(dict.fromkeys((*codes, *inferred)))

    def _by_table(
        self, table: LookUp, values: Levels, pixels_of: NDArray[np.int64]
    ) -> Levels | None:
        """Return the gray by a VOI LUT, None where it would hide the film."""
        for candidate in (table, table.resigned()):
            if candidate.valid and candidate.fits:
                shown = candidate.apply(values) / candidate.top
                if _shows(shown, pixels_of):
                    return shown
        return None

    def _usable_modality(
        self, levels: NDArray[np.int64], pixels_of: NDArray[np.int64]
    ) -> tuple[LookUp | None, list[ReasonCode]]:
        """Return the modality LUT, in more bits if it has them; none if the film is outside it."""
        if self.modality is None or not self.modality.valid:
            return self.modality, []
        clipped = self.modality.entries.max() > self.modality.top
        fitted = self.modality.refitted() if clipped else self.modality
        for candidate in (fitted, fitted.resigned()):
            outside = pixels_of[candidate.outside(levels)].sum()
            if outside <= _MOST_OUTSIDE * pixels_of.sum():
                return candidate, [ReasonCode.VOI_LUT_INVALID] if clipped else []
        return None, [ReasonCode.VOI_LUT_INVALID]

    def _modality(self, levels: NDArray[np.int64], table: LookUp | None) -> Levels:
        if table is not None:
            return table.apply(levels.astype(np.float64))
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


def _inside(shown: Levels, pixels_of: NDArray[np.int64]) -> bool:
    """Return whether enough pixels are neither black nor white."""
    inside = pixels_of[(shown > 0.001) & (shown < 0.999)].sum()
    return bool(inside >= _MIN_SHARE_IN_WINDOW * pixels_of.sum())


def _shows(shown: Levels, pixels_of: NDArray[np.int64]) -> bool:
    """Return whether gray levels show the film: on both sides of the middle, and over some span."""
    present = pixels_of > 0
    seen, weights = shown[present], pixels_of[present]
    if not seen.size:
        return True
    order = np.argsort(seen)
    shares = np.cumsum(weights[order]) / weights.sum()
    first, last = np.searchsorted(shares, (0.01, 0.99))
    span = seen[order[min(int(last), seen.size - 1)]] - seen[order[int(first)]]
    crosses = bool(seen.min() < 0.5 < seen.max())
    return crosses and bool(span >= _MIN_SPAN) and _inside(shown, pixels_of)


def _blocks(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    """Yield rows in blocks: NumPy's counts and look-ups need eight bytes a pixel."""
    rows = max(1, _BLOCK_PIXELS // max(1, pixels.shape[1]))
    return [pixels[top : top + rows] for top in range(0, len(pixels), rows)]
