"""Nodule: one to five small round opacities of up to 3 cm."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, ellipse, form, outlined
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Sharp small balls of soft tissue, 1 to 3 cm across, anywhere in the lung."""
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    for number in range(int(rng.choice((1, 2, 5), p=(0.5, 0.25, 0.25)))):
        side = lesion.side if number == 0 else int(rng.choice((-1, 1)))
        place = side * rng.uniform(0.32, 0.82) * build.chest, rng.uniform(0.12, 0.92) * build.dome
        radius = (0.75 + 0.72 * lesion.severity) * rng.uniform(0.7, 1.0)
        off = ellipse(scene, place, (radius, radius * rng.uniform(0.85, 1.15)))
        ball = np.sqrt(np.clip(1.0 - off * off, 0.0, 1.0)) * scene.lung(side)
        total = np.maximum(total, np.float32(2.0 * radius) * ball)
    scene.solid += scene.canvas.blur(total, 0.08) * np.float32(1.7 + 0.9 * lesion.severity)
    return outlined(scene, total, 0.1)
