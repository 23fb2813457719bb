"""Findings of the pleura: effusion, pleural thickening, pneumothorax."""

from __future__ import annotations

import numpy as np

from hilum.phantom import anatomy
from hilum.phantom.findings import Mask, clouds, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

__all__ = ["plant_effusion", "plant_pleural_thickening", "plant_pneumothorax"]


def plant_effusion(scene: Scene, lesion: Lesion) -> Mask:
    """Draw effusion: fluid in the pleural space, from a blunted angle to half a hemithorax.

    Upright, fluid rises along the chest wall as a meniscus; lying, it veils the lung's base.
    """
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


def plant_pleural_thickening(scene: Scene, lesion: Lesion) -> Mask:
    """Draw pleural thickening: a dense rind along the chest wall or over the apex.

    A band under the pleura, lumpy, over the apex or along a stretch of the lateral wall.
    """
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


def plant_pneumothorax(scene: Scene, lesion: Lesion) -> Mask:
    """Draw pneumothorax: air between lung and chest wall, over the apex when upright.

    Shrink the lung to its hilum: no vessels outside it, a fine line around it, denser inside.
    """
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
