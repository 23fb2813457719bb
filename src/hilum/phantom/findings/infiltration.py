"""Infiltration: ill-defined, streaky haze along the vessels."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, clouds, ellipse, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """A faint veil without an edge, with coarse strands where vessels are."""
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    for order, side in enumerate(sides_of(lesion, rng, 0.45)):
        place = side * rng.uniform(0.4, 0.6) * build.chest, rng.uniform(0.4, 0.85) * build.dome
        radii = rng.uniform(4.0, 6.5), rng.uniform(4.5, 7.5)
        haze = ellipse(scene, place, radii, float(rng.normal(0.0, 0.4)))
        haze += np.float32(0.15) * clouds(scene, rng, (7, 14))
        total = np.maximum(total, ramp(haze, 1.3, 0.1) * scene.lung(side) * (1.0 - 0.25 * order))
    strands = 1.0 - np.abs(clouds(scene, rng, (24, 48, 96)))
    strands = scene.canvas.blur(np.clip(strands, 0.0, 1.0) ** 2, 0.15)
    share = total * (0.45 + 0.75 * strands) * np.float32(0.08 + 0.30 * lesion.severity)
    scene.fill(np.clip(share, 0.0, 0.7))
    scene.solid *= 1.0 + total * np.float32(0.3 + 0.5 * lesion.severity)
    return outlined(scene, total, 0.4)
