"""Pictures that are no chest film, drawn: noise, surfaces, shapes, limbs, pages, plots, jigsaws."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MAKERS", "jigsaw", "symmetric"]

Field = NDArray[np.float32]
Rng = np.random.Generator
SIDE = 192


def _scaled(values: NDArray[np.floating]) -> Field:
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-6)).astype(np.float32)


def noise(rng: Rng) -> Field:
    """White or clouded at any scale."""
    grain = int(rng.choice((SIDE, SIDE, 96, 48, 24, 12, 6, 4)))
    small = rng.random((grain, grain)) if rng.random() < 0.5 else rng.normal(size=(grain, grain))
    way = cv2.INTER_NEAREST if rng.random() < 0.4 else cv2.INTER_CUBIC
    return _scaled(cv2.resize(small.astype(np.float32), (SIDE, SIDE), interpolation=way))


def clouds(rng: Rng) -> Field:
    """Noise whose power falls with frequency, as in nature."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    radius = np.maximum(np.hypot(y, x), 1 / SIDE)
    wave = rng.normal(size=radius.shape) + 1j * rng.normal(size=radius.shape)
    return _scaled(np.fft.irfft2(wave / radius ** rng.uniform(0.6, 2.4), (SIDE, SIDE)))


def gradient(rng: Rng) -> Field:
    """A ramp, a bowl or waves, with grain."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    kind = rng.integers(0, 4)
    a, b = rng.normal(size=2)
    if kind == 0:
        out = a * x + b * y
    elif kind == 1:
        out = (x - a / 4) ** 2 + abs(b) * (y - a / 4) ** 2
    elif kind == 2:
        out = np.sin(rng.uniform(2, 40) * x + a) + rng.uniform(0, 1.5) * np.cos(
            rng.uniform(2, 40) * y + b
        )
    else:
        out = (
            np.sin(rng.uniform(2, 12) * x + 3 * a)
            + np.cos(rng.uniform(2, 12) * y + 3 * b)
            + 2 * a * x * y
        )
    return _scaled(_scaled(out) + rng.normal(0, rng.uniform(0, 0.1), out.shape))


def checkers(rng: Rng) -> Field:
    """Checkerboards, stripes and test bars, at any angle."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 90)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if rng.random() < 0.5:
        u, v = x, y
    out = np.floor(u / period) % 2
    if rng.random() < 0.6:
        out = (out + np.floor(v / period) % 2) % 2
    return _scaled(cv2.GaussianBlur(out.astype(np.float32), (0, 0), rng.uniform(0.3, 4)))


def leaves(rng: Rng) -> Field:
    """Shapes that hide each other, of all sizes: statistics of photographs."""
    out = np.full((SIDE, SIDE), rng.random(), np.float32)
    for _ in range(int(rng.choice((8, 30, 120)))):
        radius = min(8 / rng.random() ** 0.6, 90.0)
        at = tuple(int(v) for v in rng.integers(0, SIDE, 2))
        color = float(np.clip(rng.normal(0.5, 0.3), 0, 1))
        if rng.random() < 0.5:
            axes = (int(radius) + 1, int(radius * rng.uniform(0.3, 1)) + 1)
            cv2.ellipse(out, at, axes, rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(
                (at, (radius * 2, radius * rng.uniform(0.3, 2)), rng.uniform(0, 90))
            )
            cv2.fillPoly(out, [box.astype(np.int32)], color, cv2.LINE_AA)
    if rng.random() < 0.7:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 5))
    shade = cv2.resize(
        rng.normal(1, 0.25, (4, 4)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    return _scaled(out * shade + rng.normal(0, rng.uniform(0, 0.05), out.shape))


def _bone(
    out: Field, a: NDArray[np.floating], b: NDArray[np.floating], width: float, dense: float
) -> None:
    """A capsule, denser at its edges than inside, with thicker ends."""
    layer = np.zeros_like(out)
    ends = [tuple(int(v) for v in point) for point in (a, b)]
    cv2.line(layer, ends[0], ends[1], dense, max(1, int(width)), cv2.LINE_AA)
    for end in ends:
        cv2.circle(layer, end, max(1, int(width * 0.7)), dense, -1, cv2.LINE_AA)
    hollow = np.zeros_like(out)
    cv2.line(hollow, ends[0], ends[1], dense * 0.5, max(1, int(width * 0.5)), cv2.LINE_AA)
    out += cv2.GaussianBlur(layer - hollow, (0, 0), 0.6 + width / 14)


def limbs(rng: Rng) -> Field:
    """Radiographs of hands, legs, joints: bones within soft tissue on an empty ground."""
    out = np.zeros((SIDE, SIDE), np.float32)
    center = np.array((SIDE, SIDE)) * rng.uniform(0.35, 0.65, 2)
    way = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.45:  # a hand or a foot
        reach, width = rng.uniform(30, 75), rng.uniform(5, 16)
        palm = np.zeros_like(out)
        size = (int(reach * 0.55) + 2, int(reach * 0.6) + 2)
        cv2.ellipse(palm, tuple(center.astype(int).tolist()), size, 0, 0, 360, 0.5, -1, cv2.LINE_AA)
        out += palm
        for finger in range(int(rng.integers(3, 6))):
            angle = way + (finger - 2) * rng.uniform(0.12, 0.35)
            arm = np.array((np.cos(angle), np.sin(angle)))
            tip = center + arm * reach * rng.uniform(1.2, 1.8)
            flesh = np.zeros_like(out)
            ends = [tuple(int(v) for v in point) for point in (center + arm * reach * 0.3, tip)]
            cv2.line(flesh, ends[0], ends[1], 0.4, int(width * 1.6), cv2.LINE_AA)
            out = np.maximum(out, flesh)
            joints = [center + arm * reach * part for part in (0.35, 0.8, 1.2, 1.5)]
            for a, b in pairwise(joints):
                _bone(out, a, b, width * rng.uniform(0.5, 0.8), 0.4)
    else:  # one or two long bones through the picture, perhaps with a joint
        arm = np.array((np.cos(way), np.sin(way)))
        side = np.array((-arm[1], arm[0]))
        flesh = np.zeros_like(out)
        ends = [tuple(int(v) for v in center + arm * reach) for reach in (-SIDE, SIDE)]
        cv2.line(
            flesh, ends[0], ends[1], rng.uniform(0.2, 0.6), int(rng.uniform(30, 130)), cv2.LINE_AA
        )
        out += cv2.GaussianBlur(flesh, (0, 0), rng.uniform(1, 9))
        for _ in range(int(rng.integers(1, 3))):
            offset = side * rng.normal(0, 12)
            joint = center + arm * rng.uniform(-40, 40)
            width = rng.uniform(8, 32)
            _bone(
                out,
                center - arm * SIDE + offset,
                joint - arm * width * 0.6 + offset,
                width,
                rng.uniform(0.2, 0.6),
            )
            _bone(
                out,
                joint + arm * width * 0.6 + offset,
                center + arm * SIDE + offset,
                width,
                rng.uniform(0.2, 0.6),
            )
    out = _finished(out, rng)
    if rng.random() < 0.3:  # collimated, the rest of the film white or black
        gray = float(rng.choice((0.0, 1.0, 1.0)))
        for _ in range(int(rng.integers(1, 3))):
            edge = int(rng.uniform(0.05, 0.3) * SIDE)
            side = rng.integers(0, 4)
            strip = (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:])[side]
            out[strip] = gray
    return out


def heads(rng: Rng) -> Field:
    """Skulls, pelves, sections of the body: bright rings, and shapes within them."""
    out = np.zeros((SIDE, SIDE), np.float32)
    center = tuple(int(v) for v in np.array((SIDE, SIDE)) * rng.uniform(0.4, 0.6, 2))
    axes = tuple(int(v) for v in rng.uniform(35, 90, 2))
    tilt = rng.uniform(0, 180)
    cv2.ellipse(out, center, axes, tilt, 0, 360, rng.uniform(0.2, 0.6), -1, cv2.LINE_AA)
    if rng.random() < 0.7:
        cv2.ellipse(out, center, axes, tilt, 0, 360, 1.0, int(rng.uniform(2, 12)), cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 14))):
        layer = np.zeros_like(out)
        at = tuple(int(c + v) for c, v in zip(center, rng.normal(0, 0.45, 2) * axes, strict=True))
        size = tuple(int(v) for v in rng.uniform(3, 28, 2))
        wide = int(rng.choice((-1, 2, 4)))
        cv2.ellipse(
            layer, at, size, rng.uniform(0, 180), 0, 360, rng.normal(0, 0.4), wide, cv2.LINE_AA
        )
        out += cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.5, 5))
    return _finished(np.maximum(out, 0), rng)


def shapes(rng: Rng) -> Field:
    """A few flat shapes on a plain ground, as in icons, silhouettes and phantoms of tests."""
    ground = float(rng.choice((0.04, 0.0, 1.0, rng.random())))
    out = np.full((SIDE, SIDE), ground, np.float32)
    for _ in range(int(rng.integers(1, 5))):
        gray = float(np.clip(ground + rng.choice((-1, 1)) * rng.uniform(0.25, 1), 0, 1))
        center, size = rng.uniform(30, SIDE - 30, 2), rng.uniform(6, 70, 2)
        kind, tilt = rng.integers(0, 4), float(rng.choice((0, 90, rng.uniform(0, 180))))
        if kind == 0:
            axes = tuple(int(v) for v in size)
            cv2.ellipse(
                out, tuple(int(v) for v in center), axes, tilt, 0, 360, gray, -1, cv2.LINE_AA
            )
        elif kind == 1:
            box = cv2.boxPoints((tuple(center), tuple(size * 2), tilt))
            cv2.fillPoly(out, [box.astype(np.int32)], gray, cv2.LINE_AA)
        else:  # a row of bars with round ends: fingers, fences, ribs without a chest
            count, width = int(rng.integers(2, 8)), rng.uniform(5, 24)
            gap, reach = width * rng.uniform(1.15, 2.2), rng.uniform(20, 130)
            first = (SIDE - gap * (count - 1)) / 2
            top = rng.uniform(10, SIDE - 40)
            for bar in range(count):
                x = int(first + gap * bar)
                y = int(top + rng.uniform(0, 0.25) * abs(bar - count // 2) * reach)
                cv2.line(out, (x, y), (x, int(y + reach)), gray, int(width), cv2.LINE_AA)
    if rng.random() < 0.5:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 4))
    return np.clip(out + rng.normal(0, rng.uniform(0, 0.04), out.shape), 0, 1).astype(np.float32)


def sections(rng: Rng) -> Field:
    """Axial sections of the body, as of CT and MR: an oval with organs, air, spine and a table."""
    out = np.zeros((SIDE, SIDE), np.float32)
    y, x = (np.mgrid[:SIDE, :SIDE] / (SIDE / 2) - 1).astype(np.float32)
    wide, tall = rng.uniform(0.6, 0.98), rng.uniform(0.4, 0.85)
    dy = rng.uniform(-0.15, 0.15)
    inside = (x / wide) ** 2 + ((y - dy) / tall) ** 2
    tissue = rng.uniform(0.3, 0.7)
    out[inside < 1] = tissue * rng.uniform(0.4, 1)
    out[inside < rng.uniform(0.7, 0.95)] = tissue
    organs = [
        (rng.uniform(-0.5, 0.5), rng.uniform(-0.4, 0.4), rng.normal(0, 0.25))
        for _ in range(int(rng.integers(2, 9)))
    ]
    if rng.random() < 0.6:  # lungs from below
        air = rng.uniform(-0.6, -0.3)
        organs += [
            (-wide * 0.5, rng.uniform(-0.15, 0.15), air),
            (wide * 0.5, rng.uniform(-0.15, 0.15), air),
        ]
    for at, down, dense in organs:
        layer = np.zeros_like(out)
        center = (int((at + 1) * SIDE / 2), int((down + dy + 1) * SIDE / 2))
        axes = tuple(int(v) for v in rng.uniform(6, 42, 2))
        cv2.ellipse(layer, center, axes, rng.uniform(0, 180), 0, 360, float(dense), -1, cv2.LINE_AA)
        out += cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.5, 4)) * (inside < 0.9)
    spine = (int(SIDE / 2), int((dy + tall * 0.65 + 1) * SIDE / 2))
    cv2.circle(out, spine, int(rng.uniform(5, 16)), 1.0, int(rng.choice((-1, 3))), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 14))):
        angle = rng.uniform(0, 2 * np.pi)
        rib = (
            int((np.cos(angle) * wide * 0.88 + 1) * SIDE / 2),
            int((np.sin(angle) * tall * 0.88 + dy + 1) * SIDE / 2),
        )
        cv2.circle(out, rib, int(rng.uniform(2, 6)), 1.0, -1, cv2.LINE_AA)
    if rng.random() < 0.4:
        bed = int((dy + tall + 1.06) * SIDE / 2)
        cv2.ellipse(out, (SIDE // 2, bed - 30), (SIDE // 2, 34), 0, 20, 160, 0.5, 2, cv2.LINE_AA)
    return _finished(np.clip(out, 0, 1.2), rng)


def symmetric(picture: Field, rng: Rng) -> Field:
    """A picture and its mirror image in one: two sides alike make no chest."""
    other = np.fliplr(picture)
    if picture.shape[1] != other.shape[1] or rng.random() < 0.4:
        half = picture.shape[1] // 2
        out = picture.copy()
        out[:, picture.shape[1] - half :] = np.fliplr(picture[:, :half])
        return out
    blend = (np.maximum, np.minimum, lambda a, b: (a + b) / 2)[rng.integers(3)]
    return np.ascontiguousarray(blend(picture, other)).astype(np.float32)


def _finished(out: Field, rng: Rng) -> Field:
    grain = cv2.resize(
        rng.normal(0, 1, (48, 48)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    out = _scaled(out * (1 + rng.uniform(0, 0.2) * grain)) + rng.normal(
        0, rng.uniform(0, 0.04), out.shape
    )
    ground = rng.uniform(0, 0.2) if rng.random() < 0.8 else 0.9
    out = _scaled(out) * (1 - ground) + ground
    return (1 - out if rng.random() < 0.25 else out).astype(np.float32)


def pages(rng: Rng) -> Field:
    """Lines of text on paper or on a screen."""
    dark = rng.random() < 0.2
    sheet = np.full((SIDE * 2, SIDE * 2), 255, np.uint8)
    size, y = rng.uniform(0.3, 0.9), 0.0
    while y < SIDE * 2:
        y += 22 * size * rng.uniform(1.1, 1.6) + (20 if rng.random() < 0.15 else 0)
        text = "".join(
            rng.choice(list("abcdefghijklmnopqrstuvwxyz ABCDE 0123456789,.  "), rng.integers(5, 60))
        )
        at = (int(rng.uniform(2, 30)), int(y))
        cv2.putText(sheet, text, at, int(rng.integers(0, 4)), size, 0, 1, cv2.LINE_AA)
    out = cv2.resize(sheet, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / np.float32(255)
    return 1 - out if dark else out


def plots(rng: Rng) -> Field:
    """Curves, bars and axes on a plain ground."""
    out = np.full((SIDE, SIDE), 1.0, np.float32)
    x = np.arange(12, SIDE - 6)
    for _ in range(int(rng.integers(1, 5))):
        walk = np.cumsum(rng.normal(0, 1, x.size)) * rng.uniform(0.3, 3) + rng.uniform(
            20, SIDE - 20
        )
        points = np.stack((x, np.clip(walk, 4, SIDE - 12)), 1).astype(np.int32)
        cv2.polylines(
            out, [points], False, float(rng.uniform(0, 0.7)), int(rng.integers(1, 4)), cv2.LINE_AA
        )
    if rng.random() < 0.5:
        for left in range(16, SIDE - 16, int(rng.integers(8, 40))):
            top = int(rng.integers(20, SIDE - 14))
            cv2.rectangle(out, (left, top), (left + 6, SIDE - 12), float(rng.uniform(0, 0.8)), -1)
    cv2.line(out, (12, 4), (12, SIDE - 12), 0.0, 1)
    cv2.line(out, (12, SIDE - 12), (SIDE - 4, SIDE - 12), 0.0, 1)
    return 1 - out if rng.random() < 0.2 else out


def jigsaw(film: Field, rng: Rng) -> Field:
    """A chest film that is none any more: shuffled, rolled, swirled, or a close view of a part."""
    way = rng.random()
    if way < 0.35:
        tiles = int(rng.integers(2, 7))
        square = cv2.resize(film, (tiles * 32, tiles * 32), interpolation=cv2.INTER_AREA)
        parts = [
            square[r * 32 : r * 32 + 32, c * 32 : c * 32 + 32]
            for r in range(tiles)
            for c in range(tiles)
        ]
        order = rng.permutation(len(parts))
        if tiles == 2:  # two by two may fall back into place
            order = np.array([(i + 1 + rng.integers(0, 2)) % 4 for i in range(4)])
        rows = [
            np.hstack([parts[order[r * tiles + c]] for c in range(tiles)]) for r in range(tiles)
        ]
        return np.ascontiguousarray(np.vstack(rows))
    rows, columns = film.shape
    if way < 0.55:
        shift = (
            rng.uniform(0.3, 0.7, 2) * (rows, columns) * ((1, 1), (1, 0), (0, 1))[rng.integers(3)]
        )
        return np.roll(film, shift.astype(int), axis=(0, 1))
    if way < 0.7:
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        waves = [
            cv2.resize(
                rng.normal(0, 1, (4, 4)).astype(np.float32),
                (columns, rows),
                interpolation=cv2.INTER_CUBIC,
            )
            for _ in range(2)
        ]
        reach = rng.uniform(0.18, 0.4) * min(rows, columns)
        return cv2.remap(
            film,
            x + waves[0] * reach,
            y + waves[1] * reach,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
    side = int(min(film.shape) * rng.uniform(0.12, 0.33))
    y, x = rng.integers(0, rows - side), rng.integers(0, columns - side)
    return np.ascontiguousarray(film[y : y + side, x : x + side])


MAKERS: dict[str, Callable[[Rng], Field]] = {
    "noise": noise,
    "clouds": clouds,
    "gradient": gradient,
    "checkers": checkers,
    "leaves": leaves,
    "limbs": limbs,
    "heads": heads,
    "shapes": shapes,
    "sections": sections,
    "pages": pages,
    "plots": plots,
}
"""Kinds of drawn pictures by name."""
