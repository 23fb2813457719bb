"""Random but seeded changes to a training film: drawn first, then applied in one warp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hilum.domain.errors import UsageError
from hilum.domain.findings import LabelSet, find
from hilum.runs.recipe_parts import AugmentConfig

__all__ = [
    "Change",
    "apply",
    "cutout_box",
    "draw",
    "grain",
    "inverse_map",
    "refuse_flip",
    "tables",
]

BLUR_FROM_PX = 0.2
"""Smallest sigma applied, in pixels; a narrower Gaussian changes no gray level."""
CUTOUT_GRAY = 128
GRAIN = 1 << 20
"""Places at which a film's noise may begin on the strip of noise."""
JPEG_QUALITY = (35, 95)
CLAHE_CLIP, CLAHE_TILES = 2.0, (8, 8)
SIDES = frozenset({"left", "right", "lt", "rt", "dextrocardia", "levocardia", "situs"})
"""Words of findings that a mirror makes untrue."""


@dataclass(frozen=True)
class Change:
    """The changes to one film as plain numbers, so that they can be logged and repeated.

    The defaults change nothing.

    Attributes:
        angle_degrees: counter-clockwise.
        scale: above 1 enlarges.
        stretch: the ratio of width to height is multiplied by `1 + stretch`, the area stays.
        shift_x, shift_y: to the right and down, as fractions of the side.
        flip: mirrored, left for right.
        brightness: added, where white is 1.
        contrast: factor about mid-gray.
        gamma: exponent of the gray level; above 1 darkens.
        clahe: whether contrast is equalized locally (Zuiderveld 1994).
        blur_sigma_px: of a Gaussian.
        jpeg_quality: of a pass through JPEG; None for none.
        noise: standard deviation, where white is 1.
        noise_at: where the film's noise begins on the strip of noise.
        cutout: side of a gray square, as a fraction of the film's; 0 for none.
        cutout_x, cutout_y: the square's center, as fractions of the side.
    """

    angle_degrees: float = 0.0
    scale: float = 1.0
    stretch: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    clahe: bool = False
    blur_sigma_px: float = 0.0
    jpeg_quality: int | None = None
    noise: float = 0.0
    noise_at: int = 0
    cutout: float = 0.0
    cutout_x: float = 0.0
    cutout_y: float = 0.0


def draw(config: AugmentConfig, rng: np.random.Generator, count: int) -> tuple[Change, ...]:
    """Draw a change for each of `count` films.

    Everything is drawn, whether it is switched on or not: a film's rotation is the same with and
    without noise, so that two configurations can be compared film by film.

    Example:
        >>> quiet, noisy = (
        ...     draw(AugmentConfig(noise=bound), np.random.default_rng(0), 1)[0]
        ...     for bound in (0.0, 0.1)
        ... )
        >>> quiet.angle_degrees == noisy.angle_degrees, quiet.noise, noisy.noise > 0
        (True, 0.0, True)
    """
    drawn = iter(rng.random((19, count)))  # a row for each; what is added comes last

    def around(middle: float, bound: float) -> list[float]:
        return (middle + bound * (2.0 * next(drawn) - 1.0)).tolist()

    def between(low: float, high: float) -> list[float]:
        return (low + (high - low) * next(drawn)).tolist()

    def chosen(probability: float) -> list[bool]:
        return (next(drawn) < probability).tolist()

    columns = {
        "angle_degrees": around(0.0, config.rotation_degrees),
        "scale": around(1.0, config.scale),
        "stretch": around(0.0, config.stretch),
        "shift_x": around(0.0, config.shift),
        "shift_y": around(0.0, config.shift),
        "flip": chosen(config.horizontal_flip),
        "brightness": around(0.0, config.brightness),
        "contrast": around(1.0, config.contrast),
        "gamma": around(1.0, config.gamma),
        "clahe": chosen(config.clahe),
        "blur_sigma_px": between(0.0, config.blur_sigma_px),
        "jpeg_quality": [
            round(quality) if passed else None
            for passed, quality in zip(chosen(config.jpeg), between(*JPEG_QUALITY), strict=True)
        ],
        "noise": between(0.0, config.noise),
        "noise_at": [int(place) for place in between(0, GRAIN)],
        "cutout": [
            side if cut else 0.0
            for cut, side in zip(chosen(config.cutout), between(0.10, 0.25), strict=True)
        ],
        "cutout_x": between(0.0, 1.0),
        "cutout_y": between(0.0, 1.0),
    }
    return tuple(
        Change(**dict(zip(columns, film, strict=True)))
        for film in zip(*columns.values(), strict=True)
    )


def apply(raster: NDArray[np.uint8], change: Change) -> NDArray[np.uint8]:
    """Return the changed film, (S, S) uint8; pixels from outside the film are black.

    One affine warp (bilinear), then CLAHE, one table of gray levels for gamma, contrast and
    brightness, blur, JPEG, noise and cutout. Each step ends in 8 bits.

    Example:
        >>> film = np.full((32, 32), 100, np.uint8)
        >>> int(apply(film, Change())[16, 16]), int(apply(film, Change(brightness=0.2))[16, 16])
        (100, 151)
    """
    import cv2

    side = len(raster)
    linear, offset = np.split(inverse_map(change), [2], axis=1)
    center = np.full((2, 1), (side - 1) / 2.0)
    matrix = np.hstack([linear, center - linear @ center + side * offset])
    film = cv2.warpAffine(
        raster, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    if change.clahe:
        film = cv2.createCLAHE(CLAHE_CLIP, CLAHE_TILES).apply(film)
    film = cv2.LUT(film, tables((change,))[0])
    if change.blur_sigma_px > BLUR_FROM_PX:
        film = cv2.GaussianBlur(film, (0, 0), change.blur_sigma_px)
    if change.jpeg_quality is not None:
        _, coded = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, change.jpeg_quality])
        film = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))
    if change.noise > 0.0:
        noise = grain(side)[change.noise_at :][: side * side].reshape(side, side)
        film = cv2.addWeighted(film, 1.0, noise, 255.0 * change.noise, 0.0, dtype=cv2.CV_8U)
    if change.cutout > 0.0:
        film[cutout_box(change, side)] = CUTOUT_GRAY
    return np.asarray(film, np.uint8)


def inverse_map(change: Change) -> NDArray[np.float64]:
    """Return the map from the changed film to the original: (2, 3) `p = M [p', 1]`.

    Points are (x, y) from the film's center, in sides. With rotation R, mirror F and scales
    `s sqrt(1 + stretch)` of x and `s / sqrt(1 + stretch)` of y in D, `p' = R D F p + shift`.

    Example:
        >>> inverse_map(Change(scale=2.0, shift_x=0.25)).tolist()
        [[0.5, 0.0, -0.125], [0.0, 0.5, 0.0]]
    """
    angle = math.radians(change.angle_degrees)
    ratio = math.sqrt(1.0 + change.stretch)
    x, y = 1.0 / (change.scale * ratio), ratio / change.scale
    x = -x if change.flip else x
    a, b = x * math.cos(angle), -x * math.sin(angle)
    c, d = y * math.sin(angle), y * math.cos(angle)
    u, v = change.shift_x, change.shift_y
    return np.array([[a, b, 0.0 - a * u - b * v], [c, d, 0.0 - c * u - d * v]]) + 0.0


def tables(changes: Sequence[Change]) -> NDArray[np.uint8]:
    """Return (B, 256) new gray levels: `(x ** gamma - 1/2) contrast + 1/2 + brightness`."""
    of = np.array([(c.gamma, c.contrast, c.brightness) for c in changes]).T[:, :, None]
    gamma, contrast, brightness = of
    gray = (np.linspace(0.0, 1.0, 256) ** gamma - 0.5) * contrast + 0.5 + brightness
    return np.clip(np.rint(gray * 255.0), 0, 255).astype(np.uint8)


@cache
def grain(side: int) -> NDArray[np.float32]:
    """Return a strip of standard normal noise, from which each film of that side cuts its own.

    A million places to begin, so that no network learns the noise; drawn once, as fresh noise
    would cost more than all other changes, and the same on every device.
    """
    rng = np.random.Generator(np.random.Philox(0))
    return rng.standard_normal(GRAIN + side * side, dtype=np.float32)


def cutout_box(change: Change, side: int) -> tuple[slice, slice]:
    """Return the rows and columns that cutout covers; a square near the edge is cut there."""
    half = change.cutout * side / 2.0

    def span(center: float) -> slice:
        return slice(max(0, round(center * side - half)), round(center * side + half))

    return span(change.cutout_y), span(change.cutout_x)


def refuse_flip(labels: LabelSet, config: AugmentConfig) -> None:
    """Refuse to mirror films where a finding names a side.

    Raises:
        UsageError: when such a finding would be mirrored; its label would be wrong half the time.
    """
    if config.horizontal_flip == 0.0:
        return
    for name in labels:
        spellings = " ".join((name, *find(name).aliases))
        words = "".join(c if c.isalpha() else " " for c in spellings.casefold()).split()
        if SIDES.intersection(words):
            raise UsageError(
                f"a mirrored film must still have its labels; '{name}' names a side. Set "
                "augment.horizontal_flip=0 or leave the finding out"
            )
