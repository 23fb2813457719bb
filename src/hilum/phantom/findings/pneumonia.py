"""Pneumonia: patchy, segmental airspace opacity, mostly in the lower zones."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, clouds, ellipse, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Several cotton-wool patches that run into one another, denser towards their middle."""
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    for order, side in enumerate(sides_of(lesion, rng, 0.35)):
        middle = rng.uniform(0.38, 0.62), rng.uniform(0.45, 0.88)
        for _ in range(int(rng.integers(3, 6)) - order):
            out = np.clip(middle[0] + rng.normal(0.0, 0.14), 0.25, 0.85)
            down = np.clip(middle[1] + rng.normal(0.0, 0.12), 0.2, 1.02)
            wide = rng.uniform(1.5, 3.2) * (0.75 + 0.5 * lesion.severity)
            place = side * out * build.chest, down * build.dome
            patch = ellipse(scene, place, (wide, wide * rng.uniform(0.7, 1.2)))
            total = np.maximum(total, ramp(patch, 1.4, 0.2) * scene.lung(side))
    flecks = np.clip(0.8 + 0.25 * clouds(scene, rng, (10, 20, 40, 80)), 0.1, 1.5)
    scene.fill(np.clip(total * flecks * (0.14 + 0.46 * lesion.severity), 0.0, 0.9))
    return outlined(scene, total, 0.35)
