"""Pneumothorax: air between lung and chest wall, over the apex when upright."""

from __future__ import annotations

import numpy as np

from hilum.phantom import anatomy
from hilum.phantom.findings.base import Mask, form
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Shrink the lung to its hilum: no vessels outside it, a fine line around it, denser inside."""
    rng, build, canvas, side = form(lesion), scene.build, scene.canvas, lesion.side
    hilum = np.array(anatomy.hilum_of(build, side))
    outline = anatomy.lung(build, side)
    off = outline - hilum
    upper = np.clip(-off[:, 1] / hilum[1], 0.0, 1.0)
    gap = 0.05 + 0.45 * lesion.severity**1.4
    reach = float(rng.uniform(0.15, 0.5)) * lesion.severity
    shrink_x = 1.0 - gap * (0.55 * upper + reach)
    shrink_y = np.where(off[:, 1] < 0, 1.0 - gap * (0.75 + 0.25 * upper), 1.0)
    lung = hilum + off * np.stack([shrink_x, shrink_y], 1)
    kept = canvas.fill(lung)
    free = np.clip(scene.lung(side) - kept, 0.0, 1.0)
    scene.density *= 1.0 - 0.96 * free
    scene.density *= 1.0 + (0.25 + 0.9 * gap) * kept * scene.lung(side)
    np.minimum(scene.density, 0.95, out=scene.density)
    scene.solid *= 1.0 - free
    count = len(anatomy.wall(build, side))
    line = canvas.strokes([([lung[: int(count * 0.85)]], 0.13, 1.0)]) * scene.lung(side)
    scene.soft += np.float32(0.9) * line * canvas.blur(free, 0.25)
    return (free > 0.5) & (canvas.blur(free, 0.3) > 0.3) if free.max() > 0.6 else free > 0.2
