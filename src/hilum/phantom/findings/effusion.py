"""Effusion: fluid in the pleural space, from a blunted angle to half a hemithorax."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Upright, fluid rises along the chest wall as a meniscus; lying, it veils the lung's base."""
    rng, build = form(lesion), scene.build
    x, y = scene.canvas.grid
    total = np.zeros_like(x)
    for order, side in enumerate(sides_of(lesion, rng, 0.35)):
        amount = lesion.severity * (1.0 if order == 0 else rng.uniform(0.35, 0.9))
        rise = build.dome_rise * 0.45 + 13.5 * amount**1.4
        out = np.clip(side * x / np.float32(build.chest), 0.0, 1.0)
        lean = np.float32(rng.uniform(3.0, 5.0))
        sag = 1.0 - 0.85 * out**lean - 0.18 * np.clip(0.4 - out, 0.0, 0.4) / 0.4
        surface = np.float32(build.angle_of(side) - rise) + np.float32(0.62 * rise) * sag
        share = 0.97 * ramp(y - surface, -0.5, 1.1)
        if build.supine:
            veil = 0.30 * amount * ramp(y, build.dome * 0.15, build.dome * 0.95)
            share = np.maximum(0.85 * share, veil)
        total += share * scene.lung(side)
    scene.fill(np.minimum(total, 0.97))
    return outlined(scene, total, 0.45)
