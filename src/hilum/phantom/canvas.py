"""The film plane: patient centimeters to pixels, and anti-aliased shapes on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

__all__ = ["Canvas", "Field", "Points", "Values", "bezier", "fractal", "smooth"]

Field = NDArray[np.float32]
"""(H, W) float32: a quantity at every pixel of the film."""
Values = NDArray[np.floating]
"""(H, W) of any precision: what a field may be made from."""
Points = NDArray[np.float64]
"""(n, 2) float64: x to the film's right (the patient's left) and y down, in centimeters."""

_SHIFT = 4  # cv2 takes vertices as integers with this many fractional bits


@dataclass(frozen=True)
class Canvas:
    """Position of the patient on the film.

    The patient's own frame has its origin on the midline at the level of the lung apices, x to the
    patient's left (the film's right) and y down, in centimeters. One affine map, chosen per film,
    takes it to pixels, so a shape is written once and every film of a patient agrees.

    Attributes:
        size: side of the square film in pixels.
        side_cm: side of the film in centimeters at the patient.
        center_cm: the patient point in the middle of the film.
        tilt_rad: in-plane rotation of the patient.
        oversampling: how much finer shapes are drawn before averaging, so that thin ones keep
            their weight.
    """

    size: int
    side_cm: float
    center_cm: tuple[float, float]
    tilt_rad: float
    oversampling: int

    @cached_property
    def _plain(self) -> Canvas:
        return replace(self, oversampling=1)

    @cached_property
    def pixel_cm(self) -> float:
        """Side of one film pixel in centimeters at the patient."""
        return self.side_cm / self.size

    def pixels(self, points: Points) -> Points:
        """Film coordinates, in film pixels, of patient points."""
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        moved = np.asarray(points, np.float64) - np.array(self.center_cm)
        turned = moved @ np.array([[cos, sin], [-sin, cos]])
        return turned / self.pixel_cm + self.size / 2.0

    @cached_property
    def grid(self) -> tuple[Field, Field]:
        """(x, y) in patient centimeters at every pixel's center."""
        axis = (np.arange(self.size) + 0.5 - self.size / 2.0) * self.pixel_cm
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        across, down = axis[None, :], axis[:, None]
        x = across * cos + down * sin + self.center_cm[0]
        y = down * cos - across * sin + self.center_cm[1]
        return x.astype(np.float32), y.astype(np.float32)

    def _vertices(self, lines: Sequence[Points] | Points) -> list[NDArray[np.int32]]:
        """Return the lines in the oversampled grid, as cv2 wants them; all mapped in one go."""
        if len(lines) == 0:
            return []
        # A pixel's center is an integer for cv2 and half an integer for us.
        fine = self.pixels(np.concatenate(lines)) * self.oversampling - 0.5
        whole = np.round(fine * (1 << _SHIFT)).astype(np.int32)
        return np.split(whole, np.cumsum([len(line) for line in lines])[:-1])

    def _blank(self) -> NDArray[np.uint8]:
        side = self.size * self.oversampling
        return np.zeros((side, side), np.uint8)

    def _reduced(self, fine: MatLike) -> Field:
        """Average a drawing in the oversampled grid down to the film; bytes become shares."""
        if self.oversampling > 1:
            fine = cv2.resize(fine, (self.size, self.size), interpolation=cv2.INTER_AREA)
        scale = np.float32(1.0 / 255.0 if fine.dtype == np.uint8 else 1.0)
        return fine.astype(np.float32, copy=False) * scale

    def fill(self, *polygons: Points) -> Field:
        """Share of every pixel that the polygons cover, in [0, 1]."""
        fine = self._blank()
        for polygon in self._vertices(polygons):
            cv2.fillPoly(fine, [polygon], 255, cv2.LINE_AA, _SHIFT)
        return self._reduced(fine)

    def chord(self, radius_cm: float, *polygons: Points, fine: bool = True) -> Field:
        """Relative depth of rounded bodies with these outlines, in [0, 1].

        A body whose edge is round with `radius_cm` has the depth `sqrt(1 - (1 - d/r)^2)` at the
        distance `d` inside its outline; this is what makes an X-ray edge both sharp and soft.
        Bodies that are blurred anyway need no oversampling: `fine=False` takes a quarter of the
        time.
        """
        if not fine and self.oversampling > 1:
            return self._plain.chord(radius_cm, *polygons)
        drawn = self._blank()
        for polygon in self._vertices(polygons):
            cv2.fillPoly(drawn, [polygon], 255, cv2.LINE_8, _SHIFT)
        inside = cv2.distanceTransform(drawn, cv2.DIST_L2, cv2.DIST_MASK_5)
        inside *= np.float32(self.pixel_cm / self.oversampling / radius_cm)
        np.minimum(inside, 1.0, out=inside)
        inside *= 2.0 - inside
        return self._reduced(cv2.sqrt(inside))

    def inset(self, *polygons: Points) -> Field:
        """Distance in centimeters from every pixel inside the polygons to their outline."""
        mask = self._plain._blank()
        for polygon in self._plain._vertices(polygons):
            cv2.fillPoly(mask, [polygon], 255, cv2.LINE_8, _SHIFT)
        inside = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
        return inside.astype(np.float32) * np.float32(self.pixel_cm)

    def strokes(self, strokes: Sequence[tuple[Sequence[Points] | Points, float, float]]) -> Field:
        """Return lines as a field: each `(polylines, width_cm, value)`, later ones over earlier.

        Values lie in [0, 1]. A line thinner than a sub-pixel is drawn one sub-pixel wide and
        fainter, so that its integral is right at every film size.
        """
        fine = self._blank()
        step = self.pixel_cm / self.oversampling
        for lines, width_cm, value in strokes:
            thickness = max(1, round(width_cm / step))
            weight = min(1.0, value * min(1.0, width_cm / step))
            level = max(1, round(255 * weight))
            drawn = self._vertices(lines)
            cv2.polylines(fine, drawn, False, level, thickness, cv2.LINE_AA, _SHIFT)
        return self._reduced(fine)

    def blur(self, field: Values, sigma_cm: float) -> Field:
        """Gaussian blur; wide ones are done on a coarser grid, where they are as exact."""
        sigma = sigma_cm / self.pixel_cm
        field = field.astype(np.float32, copy=False)
        if sigma < 0.25:
            return field
        coarse = max(1, int(min(8, sigma // 2.5)))
        side = (self.size, self.size)
        small = field
        if coarse > 1:
            small = cv2.resize(
                field, None, fx=1 / coarse, fy=1 / coarse, interpolation=cv2.INTER_AREA
            )
        small = cv2.GaussianBlur(small, (0, 0), sigma / coarse, borderType=cv2.BORDER_REPLICATE)
        if coarse > 1:
            small = cv2.resize(small, side, interpolation=cv2.INTER_CUBIC)
        return small.astype(np.float32, copy=False)


def smooth(points: Sequence[tuple[float, float]] | Points, per_span: int = 8) -> Points:
    """Return a smooth open curve through the points (Catmull-Rom).

    >>> smooth([(0, 0), (1, 1), (2, 0)], per_span=2).round(3).tolist()
    [[0.0, 0.0], [0.5, 0.625], [1.0, 1.0], [1.5, 0.625], [2.0, 0.0]]
    """
    knots = np.asarray(points, np.float64)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(per_span) / per_span)[:, None, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.vstack([curve.transpose(1, 0, 2).reshape(-1, 2), knots[-1:]])


def bezier(start: Points, control: Points, end: Points, steps: int = 5) -> NDArray[np.float64]:
    """(n, steps, 2): n quadratic curves at once, from (n, 2) starts, controls and ends."""
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    a, b, c = start[:, None], control[:, None], end[:, None]
    return a * (1 - t) ** 2 + 2 * b * t * (1 - t) + c * t**2


def fractal(
    rng: np.random.Generator, size: int, cells: Sequence[int], persistence: float = 0.6
) -> Field:
    """Cloudy noise of about unit spread: one octave for each count of cells across the film.

    The grids are drawn at the octave's own resolution, so a seed gives the same clouds at any
    film size.
    """
    total = np.zeros((size, size), np.float32)
    power = 0.0
    for octave, count in enumerate(cells):
        weight = persistence**octave
        grid = rng.standard_normal((count + 3, count + 3), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        power += weight**2
    return total * np.float32(1.35 / np.sqrt(power))
