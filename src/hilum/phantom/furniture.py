"""Objects on a film besides the patient: side marker, text, leads, lines, collimation."""

from __future__ import annotations

import cv2
import numpy as np

from hilum.domain.radiograph import ViewPosition
from hilum.phantom.canvas import Field, Points, smooth
from hilum.phantom.scene import Scene

__all__ = ["furnished", "lookalikes", "wired"]


def wired(scene: Scene, rng: np.random.Generator) -> None:
    """Draw leads, lines and tubes of a patient in bed: never a finding here."""
    if not scene.build.supine:
        return
    if rng.random() < 0.6:
        _lead(scene, rng)
    canvas, unit = scene.canvas, scene.build.dome / 24.0
    if rng.random() < 0.35:
        start = (rng.choice((-1.0, 1.0)) * rng.uniform(4.0, 8.0), -1.0)
        catheter = smooth([start, (-1.5, 2.0), (-2.3, 7.2), (-2.2, 13.7)]) * unit
        scene.bone += 0.9 * canvas.strokes([([catheter], 0.18, 1.0)])
    if rng.random() < 0.2:
        tube = smooth([(0.1, -8.0), (-0.1, 0.0), (-0.2, 5.3)]) * unit
        stripe = tube + np.array((0.35, 0.0))
        scene.bone += 0.7 * canvas.strokes([([tube], 0.7, 0.5), ([stripe], 0.12, 1.0)])


def _lead(scene: Scene, rng: np.random.Generator) -> None:
    """Two to four electrodes with their wires."""
    canvas, build = scene.canvas, scene.build
    wires: list[Points] = []
    pads: list[Points] = []
    turn = np.linspace(0, 2 * np.pi, 16)
    places = ((-1, 0.13), (1, 0.15), (1, 0.83), (-1, 0.88))
    for side, height in places[: int(rng.integers(2, 5))]:
        x = side * rng.uniform(0.5, 0.95) * build.chest
        y = height * build.dome + rng.normal(0.0, 1.5)
        pads.append(np.stack([x + 0.55 * np.cos(turn), y + 0.55 * np.sin(turn)], 1))
        far = (side * rng.uniform(0.9, 1.4) * build.chest, y + rng.uniform(8.0, 22.0))
        bend = (x + rng.normal(0.0, 3.0), y + rng.uniform(2.0, 6.0))
        wires.append(smooth([(x, y), bend, far]))
    scene.bone += 2.0 * canvas.strokes([(wires, 0.13, 1.0)])
    scene.bone += 1.6 * canvas.strokes([(pads, 0.28, 1.0)])


def lookalikes(scene: Scene, rng: np.random.Generator) -> None:
    """Draw shadows that mimic findings: nipples, vessels seen end-on, skin folds."""
    build = scene.build
    x, y = scene.canvas.grid
    if rng.random() < 0.12:
        out, down = rng.uniform(0.55, 0.68) * build.chest, rng.uniform(0.8, 0.88) * build.dome
        for side in (-1, 1):
            scene.soft += _ball(x, y, (side * out, down), 0.5) * np.float32(0.7)
    if rng.random() < 0.35:
        side = int(rng.choice((-1, 1)))
        spot = side * rng.uniform(0.28, 0.45) * build.chest, rng.uniform(0.3, 0.6) * build.dome
        scene.solid += _ball(x, y, spot, float(rng.uniform(0.2, 0.4))) * np.float32(1.4)
    if build.supine and rng.random() < 0.15:
        _skin_fold(scene, int(rng.choice((-1, 1))), float(rng.uniform(0.6, 0.8)))


def _skin_fold(scene: Scene, side: int, reach: float) -> None:
    """Draw a fold of the back's skin: like a pleural line, but with vessels beyond it."""
    canvas, build = scene.canvas, scene.build
    low = build.dome * 1.05
    edge = smooth([
        (side * build.chest * 1.05, build.dome * 0.25),
        (side * build.chest * 0.82, build.dome * 0.60),
        (side * build.chest * reach, low),
    ])  # fmt: skip
    beyond = np.array([(side * 30.0, low), (side * 30.0, build.dome * 0.25)])
    fold = canvas.fill(np.vstack([edge, beyond]))
    scene.soft += np.float32(0.8) * fold * canvas.blur(1.0 - fold, 1.5)


def _ball(x: Field, y: Field, center: tuple[float, float], radius: float) -> Field:
    off = ((x - center[0]) ** 2 + (y - center[1]) ** 2) / np.float32(radius**2)
    return np.float32(2.0 * radius) * np.sqrt(np.maximum(1.0 - off, 0.0))


def furnished(film: Field, view: ViewPosition, rng: np.random.Generator) -> Field:
    """Marker, text and collimation borders, written onto the finished film."""
    ink = float(rng.uniform(0.85, 1.0))
    right = rng.random() < 0.1
    across = rng.uniform(0.05, 0.12) if right else rng.uniform(0.86, 0.95)
    down = rng.uniform(0.05, 0.16)
    film = film.copy()
    ring = rng.random() < 0.3
    _stamp(film, "R" if right else "L", (across, down), ink, float(rng.normal(0.0, 12.0)), ring)
    if view is ViewPosition.AP and rng.random() < 0.7:
        _stamp(film, "PORTABLE", (rng.uniform(0.1, 0.3), 0.035), ink * 0.9)
        _stamp(film, "AP", (across - 0.04, down + 0.07), ink * 0.9)
    return _collimated(film, rng) if rng.random() < 0.45 else film


def _stamp(
    film: Field,
    text: str,
    place: tuple[float, float],
    ink: float,
    tilt: float = 0.0,
    ring: bool = False,
) -> None:
    """Write a word of about a hundredth of the film's height, centered at a place."""
    size = film.shape[0]
    scale, weight = (1.35, 5) if len(text) == 1 else (0.7, 2)
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    half = max(wide, tall) // 2 + 24
    patch = np.zeros((2 * half, 2 * half), np.uint8)
    corner = (half - wide // 2, half + tall // 2)
    cv2.putText(patch, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, weight, cv2.LINE_AA)
    if ring:
        cv2.circle(patch, (half, half), 34, 255, 3, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((half, half), tilt, 1.0)
    patch = cv2.warpAffine(patch, turn, (2 * half, 2 * half))
    side = max(3, round(2 * half * size / 1024))
    stamp = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    top = int(np.clip(place[1] * size - side / 2, 0, size - side))
    left = int(np.clip(place[0] * size - side / 2, 0, size - side))
    under = film[top : top + side, left : left + side]
    under += (np.float32(ink) - under) * stamp


def _collimated(film: Field, rng: np.random.Generator) -> Field:
    size = film.shape[0]
    ramp = (np.arange(size) + 0.5) / size
    cover = np.ones_like(film)
    for axis in (0, 1):
        for line in (ramp, 1.0 - ramp):
            if rng.random() < 0.4:
                edge = np.clip((line - rng.uniform(0.0, 0.05)) * 90.0, 0.0, 1.0)
                cover = cover * (edge[:, None] if axis == 0 else edge[None, :])
    shade = 0.03 if rng.random() < 0.8 else 0.97
    return (film * cover + np.float32(shade) * (1 - cover)).astype(np.float32)
