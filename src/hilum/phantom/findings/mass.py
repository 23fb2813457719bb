"""Mass: a rounded opacity of more than 3 cm."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings.base import Mask, clouds, ellipse, form, outlined
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """A lobulated ball of soft tissue, 3.2 to 7.5 cm across, anywhere in the lung."""
    rng, build, side = form(lesion), scene.build, lesion.side
    radius = (1.6 + 2.1 * lesion.severity) * min(1.0, build.chest / 12.0)
    place = side * rng.uniform(0.38, 0.74) * build.chest, rng.uniform(0.18, 0.9) * build.dome
    oval = rng.uniform(0.85, 1.15)
    edge = ellipse(scene, place, (radius * oval, radius / oval), float(rng.uniform(0.0, np.pi)))
    edge += np.float32(0.08) * clouds(scene, rng, (8, 16, 32))
    inside = np.sqrt(np.clip(1.0 - edge * edge, 0.0, 1.0))
    depth = np.float32(radius * (1.0 + 0.8 * lesion.severity)) * inside * scene.lung(side)
    scene.solid += scene.canvas.blur(depth, 0.12)
    return outlined(scene, inside * scene.lung(side), 0.15)
