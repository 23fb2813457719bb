"""Hernia: stomach above the diaphragm, seen behind the heart with its air-fluid level."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, clouds, ellipse, form, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """A thick-walled pouch on the diaphragm near the midline, gas above fluid in it."""
    rng, build = form(lesion), scene.build
    _, y = scene.canvas.grid
    wide = 3.0 + 2.6 * lesion.severity
    tall = wide * rng.uniform(0.8, 1.05)
    place = float(rng.uniform(0.6, 3.4)), build.dome_of(1) + 1.5 - 0.8 * tall
    off = ellipse(scene, place, (wide, tall), float(rng.normal(0.0, 0.4)))
    off += np.float32(0.06) * clouds(scene, rng, (5, 10, 20))
    pouch = ramp(off, 1.06, 0.86)
    scene.air *= 1.0 - np.float32(0.45 + 0.3 * lesion.severity) * pouch
    scene.soft += pouch * np.float32(0.8)
    level = place[1] + tall * rng.uniform(-0.3, 0.2)
    gas = np.sqrt(np.clip(1.0 - (off / 0.88) ** 2, 0.0, 1.0)) * (
        1.0 + 0.05 * clouds(scene, rng, (20, 40))
    )
    if not build.supine:
        gas = gas * ramp(y, level + 0.15, level - 0.15)
    scene.soft -= scene.canvas.blur(gas, 0.08) * np.float32(4.0 + 5.0 * lesion.severity)
    return off < 1.0
