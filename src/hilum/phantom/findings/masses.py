"""Rounded bodies: mass, nodule, hernia."""

from __future__ import annotations

import numpy as np

from hilum.phantom.findings import Mask, clouds, ellipse, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

__all__ = ["plant_hernia", "plant_mass", "plant_nodule"]


def plant_mass(scene: Scene, lesion: Lesion) -> Mask:
    """Draw mass: a rounded opacity of more than 3 cm.

    A lobulated ball of soft tissue, 3.2 to 7.5 cm across, anywhere in the lung.
    """
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


def plant_nodule(scene: Scene, lesion: Lesion) -> Mask:
    """Draw nodule: one to five small round opacities of up to 3 cm.

    Sharp small balls of soft tissue, 1 to 3 cm across, anywhere in the lung.
    """
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


def plant_hernia(scene: Scene, lesion: Lesion) -> Mask:
    """Draw hernia: stomach above the diaphragm, seen behind the heart with its air-fluid level.

    A thick-walled pouch on the diaphragm near the midline, gas above fluid in it.
    """
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
