"""Chest films as they arrive: within what is acceptable, and spoilt in ways the gate should see."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Labels",
    "collage",
    "exposed",
    "incomplete",
    "moved",
    "photographed",
    "spoilt",
    "turned",
]

Field = NDArray[np.float32]
Rng = np.random.Generator

KEPT_AT_LEAST = 0.72
"""Share of the width or height below which a film counts as incomplete."""


@dataclass(frozen=True)
class Labels:
    """What the network should say; -1 where it is not asked."""

    kind: int = 0
    turn: int = -1
    inverted: int = -1
    photographed: int = -1
    incomplete: int = -1


def turned(film: Field, turn: int) -> Field:
    """One of the eight ways of `hilum.imaging.gate.network.TURNS`."""
    out = np.rot90(film, turn % 4)
    return np.ascontiguousarray(np.fliplr(out) if turn >= 4 else out)


def exposed(film: Field, rng: Rng, hard: float = 0.12) -> Field:
    """Another exposure: gamma, window, noise, blur; now and then a hard window that clips."""
    out = film ** np.float32(np.exp(rng.normal(0, 0.35)))
    if rng.random() < hard:
        low, width = rng.uniform(0.05, 0.5), rng.uniform(0.12, 0.5)
        out = (out - np.float32(low)) / np.float32(width)
    else:
        low, high = rng.uniform(-0.15, 0.15), rng.uniform(0.8, 1.3)
        out = (out - np.float32(low)) * np.float32(high)
    if rng.random() < 0.25:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.35:
        out = out + rng.normal(0, rng.uniform(0.005, 0.06), out.shape).astype(np.float32)
    return np.clip(out, 0, 1).astype(np.float32)


def moved(film: Field, rng: Rng, degrees: float = 7.0) -> Field:
    """A patient who stands a little otherwise: turned, nearer, shifted, cut by up to 10 %."""
    rows, columns = film.shape
    turn = cv2.getRotationMatrix2D(
        (columns / 2, rows / 2), rng.uniform(-degrees, degrees), rng.uniform(0.88, 1.15)
    )
    turn[:, 2] += rng.uniform(-0.06, 0.06, 2) * (columns, rows)
    turn[0] *= rng.uniform(0.9, 1.1)
    fill = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    return cv2.warpAffine(film, turn, (columns, rows), borderMode=fill, flags=cv2.INTER_LINEAR)


def furnished(film: Field, rng: Rng) -> Field:
    """Markers, labels, blank corners and collimation, as on many films."""
    out = film.copy()
    rows, columns = out.shape
    for _ in range(rng.integers(0, 3)):
        height, width = (rng.uniform(0.02, 0.16, 2) * (rows, columns)).astype(int) + 1
        y, x = rng.integers(0, rows - height), rng.integers(0, columns - width)
        if rng.random() < 0.7:  # mostly at the sides
            x = rng.choice((rng.integers(0, columns // 6), columns - width - 1))
        out[y : y + height, x : x + width] = rng.choice((0.0, 1.0, rng.random()))
    if rng.random() < 0.2:
        text = "".join(rng.choice(list("ABCDEFGHLPRST0123456789 "), rng.integers(2, 22)))
        at = (int(rng.integers(0, columns // 2)), int(rng.choice((12, rows - 6))))
        written = np.zeros(out.shape, np.uint8)
        cv2.putText(written, text, at, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.25, 0.6), 255, 1)
        out = np.maximum(out, written / np.float32(255))
    if rng.random() < 0.12:
        mask = np.zeros_like(out)
        corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float64)
        inwards = (
            rng.uniform(0, 0.1, (4, 2)) * (columns, rows) * [(1, 1), (-1, 1), (-1, -1), (1, -1)]
        )
        cv2.fillPoly(mask, [(corners + inwards).astype(np.int32)], 1.0)
        out *= mask
    return out


def padded(film: Field, rng: Rng, most: float = 0.18) -> Field:
    """A border of one gray on some sides, as viewers and converters add."""
    rows, columns = film.shape
    sides = (
        rng.uniform(0, most, 4) * (rng.random(4) < 0.6) * (rows, rows, columns, columns)
    ).astype(int)
    value = float(rng.choice((0.0, 0.0, 1.0, rng.random())))
    return cv2.copyMakeBorder(film, *map(int, sides), cv2.BORDER_CONSTANT, value=value)


def incomplete(film: Field, rng: Rng) -> Field:
    """A third or more of the chest missing, cut off or blanked, at one side."""
    rows, columns = film.shape
    side = rng.integers(0, 4)
    gone = rng.uniform(0.30, 0.52) if side < 2 else rng.uniform(0.34, 0.55)
    out = film.copy()
    lines = round(gone * (columns if side < 2 else rows))
    where = (np.s_[:, :lines], np.s_[:, columns - lines :], np.s_[:lines], np.s_[rows - lines :])
    if rng.random() < 0.5:
        out[where[side]] = rng.choice((0.0, 0.0, 1.0, rng.random()))
        return out
    kept = (np.s_[:, lines:], np.s_[:, : columns - lines], np.s_[lines:], np.s_[: rows - lines])
    return np.ascontiguousarray(out[kept[side]])


def photographed(film: Field, rng: Rng) -> Field:
    """A photograph of the film on a light box or a screen: askew, uneven, with a glare."""
    rows, columns = film.shape
    size = int(max(rows, columns) * rng.uniform(1.1, 1.5))
    corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    angle = np.deg2rad(rng.choice((-1, 1)) * rng.uniform(3, 16))
    spin = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    scale = rng.uniform(0.85, 1.45)
    middle = size / 2 + rng.normal(0, 0.05 * size, 2)
    goal = (corners - (columns / 2, rows / 2)) @ spin.T * scale + middle
    goal += rng.normal(0, rng.uniform(0.01, 0.06) * size, (4, 2))
    warp = cv2.getPerspectiveTransform(corners, goal.astype(np.float32))
    ground = np.full((size, size), rng.uniform(0, 0.9), np.float32)
    ground += cv2.resize(rng.normal(0, 0.12, (6, 6)).astype(np.float32), (size, size))
    out = cv2.warpPerspective(film, warp, (size, size), flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.ones_like(film), warp, (size, size), flags=cv2.INTER_LINEAR)
    out = out * mask + ground * (1 - mask)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    for _ in range(rng.integers(0, 3)):
        cy, cx, width = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.25)
        glare = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
        out = out + np.float32(rng.uniform(0.1, 0.6)) * glare.astype(np.float32)
    tilt = rng.normal(0, 0.25, 2)
    out = out * (1 + tilt[0] * (y - 0.5) + tilt[1] * (x - 0.5)) * rng.uniform(0.6, 1.1)
    out = out + rng.normal(0, rng.uniform(0, 0.05), out.shape)
    return np.clip(out, 0, 1).astype(np.float32)


def collage(films: list[Field], rng: Rng) -> Field:
    """Two to six pictures beside one another, with or without gaps."""
    rows, columns = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (1, 2), (2, 2))[
        rng.integers(8)
    ]
    cell = (int(rng.integers(80, 130)), int(rng.integers(80, 130)))
    gap = int(rng.choice((0, 0, 1, 2, 4, 8)))
    value = float(rng.choice((0.0, 1.0, rng.random())))
    made: list[Field] = []
    for row in range(rows):
        line: list[Field] = []
        for column in range(columns):
            film = films[(row * columns + column) % len(films)]
            small = cv2.resize(film, cell, interpolation=cv2.INTER_AREA)
            line.append(
                cv2.copyMakeBorder(small, gap, gap, gap, gap, cv2.BORDER_CONSTANT, value=value)
            )
        made.append(np.hstack(line))
    return np.vstack(made)


def spoilt(film: Field, rng: Rng) -> tuple[Field, Labels]:
    """A film in one of the ways that the network must tell apart, and what it should say."""
    out = exposed(moved(film, rng), rng) if rng.random() < 0.85 else film
    cut = rng.random() < 0.15
    if cut:
        out = incomplete(out, rng)
    if rng.random() < 0.4:
        out = furnished(out, rng)
    turn = int(rng.choice(8, p=(0.42, 0.1, 0.1, 0.1, 0.09, 0.045, 0.1, 0.045)))
    out = turned(out, turn)
    inverted = rng.random() < 0.2
    photo = rng.random() < 0.15
    early = rng.random() < 0.5
    if not photo and early and rng.random() < 0.4:
        out = padded(out, rng)
    if inverted:
        out = 1 - out
    if photo:
        out = photographed(out, rng)
    elif not early and rng.random() < 0.4:
        out = padded(out, rng)
    return out, Labels(0, turn, int(inverted), int(photo), int(cut))
