"""Alterations of a film that are no finding, and for each a control that differs in one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.domain.documents.probe import AlterationKind
from hilum.imaging.burned_text import mark_boxes

__all__ = ["ALTERATIONS", "LUNGS", "Alteration", "lung_area", "reduced", "with_letter"]

Pixels: TypeAlias = NDArray[np.float32]
Altered: TypeAlias = tuple[Pixels, Pixels]
"""A film altered, and its control."""

LONGEST = 1024
"""Longer side in pixels to which a film is reduced before it is altered."""
_INK = np.float32(0.95)
_LETTER = 0.075
"""Height of a pasted letter, as a share of the film's shorter side."""
_BORDER = 0.05
_GRAY = np.float32(0.5)
_GAMMA = 1.3
_QUALITY = 70
_SHIFT = 0.05
_TILES = 8
_LUNG = (
    (0.607, 0.110), (0.562, 0.148), (0.537, 0.225), (0.536, 0.821), (0.560, 0.843),
    (0.659, 0.812), (0.734, 0.814), (0.856, 0.875), (0.890, 0.879), (0.923, 0.828),
    (0.929, 0.678), (0.910, 0.473), (0.876, 0.329), (0.830, 0.232), (0.760, 0.150),
    (0.685, 0.110),
)  # fmt: skip
"""Outline of the left lung: shares of width and height. Where 15 % of 300 drawn films have lung."""


@dataclass(frozen=True)
class Alteration:
    """One alteration with its control.

    Attributes:
        name: in the result, and on the page.
        kind: what a change of scores means.
        words: what is altered.
        control: what is altered in the control.
        make: returns a film altered and its control; None where the film has nothing to alter.
    """

    name: str
    kind: AlterationKind
    words: str
    control: str
    make: Callable[[Pixels, np.random.Generator], Altered | None]


def reduced(pixels: Pixels) -> Pixels:
    """Return a film no side of which is longer than 1,024 pixels.

    >>> reduced(np.zeros((2048, 1024), np.float32)).shape
    (1024, 512)
    """
    rows, columns = pixels.shape
    scale = LONGEST / max(rows, columns)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    made = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    return np.clip(made, 0.0, 1.0)


def with_letter(pixels: Pixels, letter: str, center: tuple[float, float]) -> Pixels:
    """Return a film with a bright letter, as a marker of the side is.

    Args:
        pixels: (H, W) in [0, 1].
        letter: to write.
        center: its place, as shares of width and height.
    """
    ink = _letter(letter, pixels.shape)
    return _inked(pixels, ink, _corner(pixels.shape, ink.shape, center))


def _letter(letter: str, shape: tuple[int, ...]) -> Pixels:
    """Return a letter's ink in [0, 1], in a square a little larger than it."""
    side = max(8, round(1.6 * _LETTER * min(shape)))
    fine = 8 * side
    font, weight = cv2.FONT_HERSHEY_SIMPLEX, max(1, fine // 12)
    scale = cv2.getFontScaleFromHeight(font, round(fine / 1.6) - weight, weight)
    (wide, tall), _ = cv2.getTextSize(letter, font, scale, weight)
    square = np.zeros((fine, fine), np.uint8)
    corner = ((fine - wide) // 2, (fine + tall) // 2)
    cv2.putText(square, letter, corner, font, scale, 255, weight, cv2.LINE_AA)
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255.0)


def _corner(
    shape: tuple[int, ...], patch: tuple[int, ...], center: tuple[float, float]
) -> tuple[int, int]:
    """Return the first row and column of a patch that lies whole on the film."""
    top = round(center[1] * shape[0] - patch[0] / 2)
    left = round(center[0] * shape[1] - patch[1] / 2)
    return max(0, min(top, shape[0] - patch[0])), max(0, min(left, shape[1] - patch[1]))


def _inked(pixels: Pixels, ink: Pixels, corner: tuple[int, int]) -> Pixels:
    made = pixels.copy()
    top, left = corner
    under = made[top : top + ink.shape[0], left : left + ink.shape[1]]
    under += (_INK - under) * ink[: under.shape[0], : under.shape[1]]
    return made


def _scattered(ink: Pixels, rng: np.random.Generator, tiles: int) -> Pixels:
    """Return the same ink cut into tiles, each in a different place and turned."""
    side = max(1, min(ink.shape) // tiles)
    rows, columns = ink.shape[0] // side, ink.shape[1] // side
    cut = ink[: rows * side, : columns * side].reshape(rows, side, columns, side)
    parts = cut.transpose(0, 2, 1, 3).reshape(-1, side, side)[rng.permutation(rows * columns)]
    turns = rng.integers(1, 4, len(parts))
    turned = parts.copy()
    for count in (1, 2, 3):
        turned[turns == count] = np.rot90(parts[turns == count], count, axes=(1, 2))
    made = np.zeros_like(ink)
    back = turned.reshape(rows, columns, side, side).transpose(0, 2, 1, 3)
    made[: rows * side, : columns * side] = back.reshape(rows * side, columns * side)
    return made


def _pasted(letter: str, across: float) -> Callable[[Pixels, np.random.Generator], Altered]:
    def make(pixels: Pixels, rng: np.random.Generator) -> Altered:
        ink = _letter(letter, pixels.shape)
        loose = _scattered(ink, rng, 4)
        elsewhere = _corner(pixels.shape, ink.shape, (1.0 - across, 0.9))
        return with_letter(pixels, letter, (across, 0.09)), _inked(pixels, loose, elsewhere)

    return make


def _wiped(pixels: Pixels, _: np.random.Generator) -> Altered | None:
    boxes = mark_boxes(pixels)
    found = np.zeros(pixels.shape, np.uint8)
    for box in boxes:
        found[box.top : box.bottom, box.left : box.right] = 1
    control = next(
        (
            one
            for one in (found[::-1], found[::-1, ::-1], found[:, ::-1])
            if not (one & found).any()
        ),
        None,
    )
    if not boxes or control is None:
        return None
    return _filled(pixels, found), _filled(pixels, np.ascontiguousarray(control))


def _filled(pixels: Pixels, mask: NDArray[np.uint8]) -> Pixels:
    """Return a film with the masked pixels continued from those around them."""
    levels = np.asarray(np.rint(pixels * 255.0), np.uint8)
    made = np.asarray(cv2.inpaint(levels, mask, 3, cv2.INPAINT_TELEA), np.float32) / np.float32(255)
    return np.where(mask > 0, made, pixels)


def _bordered(pixels: Pixels, _: np.random.Generator) -> Altered:
    rows, columns = (max(1, round(_BORDER * side)) for side in pixels.shape)
    black, gray = pixels.copy(), pixels.copy()
    for made, level in ((black, np.float32(0.0)), (gray, pixels.mean())):
        made[:rows], made[-rows:], made[:, :columns], made[:, -columns:] = (level,) * 4
    return black, gray


LUNGS = "lungs-covered"
"""Name of the alteration that leaves the context alone."""


def lung_area(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return (H, W) where the lungs of a frontal film lie: one area for all films, half of each.

    The outline must not follow the film's own lungs: their form would tell of the finding.
    """
    rows, columns = shape
    mask = np.zeros(shape, np.uint8)
    left = np.array(_LUNG) * (columns, rows)
    right = (columns, 0) + left * (-1, 1)
    outlines = [np.rint(one).astype(np.int32) for one in (left, right)]
    cv2.fillPoly(mask, outlines, 1)
    return mask.astype(np.bool_)


def _covered(pixels: Pixels, _: np.random.Generator) -> Altered:
    lungs = lung_area(pixels.shape)
    return np.where(lungs, _GRAY, pixels), np.where(_outside(lungs), _GRAY, pixels)


def _outside(lungs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return an area outside the lungs as large as theirs, or all of it where that is less."""
    far = cv2.distanceTransform((~lungs).astype(np.uint8), cv2.DIST_L2, 3)
    farthest = np.argsort(-far, axis=None, kind="stable")[: int(lungs.sum())]
    made = np.zeros(lungs.size, np.bool_)
    made[farthest] = True
    return made.reshape(lungs.shape) & ~lungs


def _lined(pixels: Pixels, rng: np.random.Generator) -> Altered:
    """Two lines as of a catheter and a lead, from the shoulder inwards and across."""
    rows, columns = pixels.shape
    width = max(1, round(0.004 * min(pixels.shape)))
    ink = np.zeros(pixels.shape, np.uint8)
    for knots in (
        ((0.2, 0.0), (0.38, 0.15), (0.45, 0.35), (0.46, 0.6)),
        ((0.95, 0.3), (0.7, 0.25), (0.55, 0.5), (0.62, 0.95)),
    ):
        moved = np.array(knots) + rng.normal(0.0, 0.015, (4, 2))
        steps = np.linspace(0.0, 1.0, 40)[:, None]
        curve = sum(
            weight * (1 - steps) ** (3 - power) * steps**power * moved[power]
            for power, weight in enumerate((1, 3, 3, 1))
        )
        points = np.rint(np.asarray(curve) * (columns, rows)).astype(np.int32)
        cv2.polylines(
            ink, [points], isClosed=False, color=255, thickness=width, lineType=cv2.LINE_AA
        )
    drawn = ink.astype(np.float32) / np.float32(255.0)
    return _inked(pixels, drawn, (0, 0)), _inked(pixels, _scattered(drawn, rng, 32), (0, 0))


def _compressed(pixels: Pixels, rng: np.random.Generator) -> Altered:
    levels = np.asarray(np.rint(pixels * 255.0), np.uint8)
    _, file = cv2.imencode(".jpg", levels, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    decoded = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)
    made = np.asarray(decoded, np.float32) / np.float32(255.0)
    error = (made - pixels).ravel()
    noise = pixels + error[rng.permutation(error.size)].reshape(pixels.shape)
    return made.astype(np.float32), np.clip(noise, 0.0, 1.0).astype(np.float32)


def _gamma(pixels: Pixels, _: np.random.Generator) -> Altered:
    made = np.power(pixels, np.float32(_GAMMA))
    mean = float(pixels.mean())
    return made, pixels * np.float32(float(made.mean()) / mean if mean > 0.0 else 1.0)


def _shifted(pixels: Pixels, _: np.random.Generator) -> Altered:
    step = max(1, round(_SHIFT * pixels.shape[1]))
    moved, still = pixels.copy(), pixels.copy()
    moved[:, step:] = pixels[:, :-step]
    moved[:, :step] = pixels[:, :1]
    still[:, -step:] = pixels[:, -step - 1 : -step]
    return moved, still


_SHORTCUT, _ROBUSTNESS = AlterationKind.SHORTCUT, AlterationKind.ROBUSTNESS
_LETTER_ELSEWHERE = "the letter's ink in pieces, in the corner across"

ALTERATIONS = (
    Alteration(
        "letter-left",
        _SHORTCUT,
        "a letter R pasted at the upper left of the picture",
        _LETTER_ELSEWHERE,
        _pasted("R", 0.08),
    ),
    Alteration(
        "letter-right",
        _SHORTCUT,
        "a letter L pasted at the upper right of the picture",
        _LETTER_ELSEWHERE,
        _pasted("L", 0.92),
    ),
    Alteration(
        "letters-wiped",
        _SHORTCUT,
        "letters near the edges wiped, where they are found",
        "an equal area at the opposite edge wiped",
        _wiped,
    ),
    Alteration(
        "border-black",
        _ROBUSTNESS,
        "a border of 5 % of each side black",
        "the same border in the film's mean gray",
        _bordered,
    ),
    Alteration(
        "device-lines",
        _SHORTCUT,
        "two bright lines, as of a catheter and a lead",
        "the lines' ink in pieces, all over the film",
        _lined,
    ),
    Alteration(
        LUNGS,
        AlterationKind.LUNGS,
        "the lungs covered with gray: half of the film",
        "an equal area outside the lungs covered with gray",
        _covered,
    ),
    Alteration(
        "jpeg-70",
        _ROBUSTNESS,
        "JPEG compression at quality 70",
        "the compression's errors, each at a different pixel",
        _compressed,
    ),
    Alteration(
        "gamma-1.3",
        _ROBUSTNESS,
        "gray levels to the power of 1.3",
        "gray levels multiplied to the same mean",
        _gamma,
    ),
    Alteration(
        "shift-5",
        _ROBUSTNESS,
        "the film moved by 5 % of its width",
        "the strip that it loses covered, and not moved",
        _shifted,
    ),
)
"""All alterations, in the order of the result."""
