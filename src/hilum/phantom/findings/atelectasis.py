"""Atelectasis: plates above a raised diaphragm, or a collapsed lower lobe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom.build import Build
from hilum.phantom.canvas import Field, smooth
from hilum.phantom.findings.base import Mask, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def adapt(build: Build, lesion: Lesion) -> Build:
    """Lost volume pulls the diaphragm up on that side."""
    pulled = 0.3 + 1.9 * lesion.severity
    lift = list(build.lift)
    lift[lesion.side > 0] += pulled
    return replace(build, lift=(lift[0], lift[1]))


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Either linear plates across the lower zone, or a triangle behind the heart."""
    rng = form(lesion)
    collapsed = rng.random() < 0.3
    share = _collapsed_lobe(scene, lesion) if collapsed else _plates(scene, lesion, rng)
    scene.fill(np.clip(share, 0.0, 0.92))
    return outlined(scene, scene.canvas.blur(share, 0.25), 0.3)


def _plates(scene: Scene, lesion: Lesion, rng: np.random.Generator) -> Field:
    build, total = scene.build, np.zeros_like(scene.air)
    x, _ = scene.canvas.grid
    for order, side in enumerate(sides_of(lesion, rng, 0.4)):
        strokes = []
        for number in range(int(rng.integers(1, 4))):
            height = build.dome_of(side) - rng.uniform(0.8, 2.2) - 1.8 * number
            inner, outer = rng.uniform(0.22, 0.4), rng.uniform(0.65, 0.92)
            bend, slope = rng.normal(0.0, 0.5), rng.normal(0.4, 0.8)
            line = smooth([
                (side * inner * build.chest, height),
                (side * 0.5 * (inner + outer) * build.chest, height + bend + 0.5 * slope),
                (side * outer * build.chest, height + slope),
            ])  # fmt: skip
            strokes.append(([line], rng.uniform(0.22, 0.42) * (0.7 + 0.9 * lesion.severity), 1.0))
        plate = scene.canvas.blur(scene.canvas.strokes(strokes), 0.2)
        plate *= ramp(np.abs(x), 0.20 * build.chest, 0.38 * build.chest)
        plate *= ramp(np.abs(x), 0.95 * build.chest, 0.62 * build.chest)
        total += plate * scene.lung(side) * np.float32(1.0 - 0.3 * order)
    return total * np.float32(0.32 + 0.45 * lesion.severity)


def _collapsed_lobe(scene: Scene, lesion: Lesion) -> Field:
    build, side = scene.build, lesion.side
    x, y = scene.canvas.grid
    top = 0.5 * build.dome
    wide = np.float32(0.30 + 0.28 * lesion.severity) * np.float32(build.chest)
    edge = 1.8 + wide * np.clip((y - top) / np.float32(build.dome - top), 0.0, 1.3)
    share = ramp(side * x - edge, 0.5, -0.5) * ramp(y, top, top + 2.0) * scene.lung(side)
    return share * np.float32(0.35 + 0.5 * lesion.severity)
