"""Pleural thickening: a dense rind along the chest wall or over the apex."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, clouds, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """A band under the pleura, lumpy, over the apex or along a stretch of the lateral wall."""
    rng, build, side = form(lesion), scene.build, lesion.side
    x, y = scene.canvas.grid
    lateral = ramp(side * x, 0.25 * build.chest, 0.45 * build.chest)
    if rng.random() < 0.45:
        stretch = ramp(y, 0.26 * build.dome, 0.10 * build.dome)
        width = 0.8 + 1.8 * lesion.severity
        lateral = 1.0
    else:
        start = rng.uniform(0.15, 0.4) * build.dome
        end = start + rng.uniform(0.45, 0.75) * build.dome
        stretch = ramp(y, start, start + 4.0) * ramp(y, end, end - 4.0)
        width = 0.6 + 1.5 * lesion.severity
    lumps = 1.0 + 0.12 * clouds(scene, rng, (6, 12))
    band = ramp(scene.inset - np.float32(width) * lumps * stretch, 0.25, -0.25)
    share = band * stretch * lateral * scene.lung(side)
    scene.fill(np.clip(share, 0.0, 1.0) * np.float32(0.75))
    scene.soft += share * np.float32(0.4 + 1.6 * lesion.severity)
    return outlined(scene, share, 0.3)
