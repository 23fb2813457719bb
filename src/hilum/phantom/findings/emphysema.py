"""Emphysema: large dark lungs on flat diaphragms, a narrow heart, few vessels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom.build import Build
from hilum.phantom.findings.base import Mask, ellipse, form, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def adapt(build: Build, lesion: Lesion) -> Build:
    """Overinflate: diaphragms low and flat, heart long and narrow, vessels thin."""
    amount = lesion.severity
    return replace(
        build,
        dome=build.dome * (1.02 + 0.11 * amount),
        dome_rise=build.dome_rise * (0.92 - 0.62 * amount),
        chest=build.chest * (1.0 + 0.03 * amount),
        heart=build.heart * (0.98 - 0.16 * amount),
        depth=build.depth * (1.0 + 0.06 * amount),
        vessel=build.vessel * (0.95 - 0.35 * amount),
        lung_density=build.lung_density * (0.95 - 0.35 * amount),
    )


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Some bullae in the upper zones: rounded, black, without vessels. The mask is both lungs."""
    rng, build = form(lesion), scene.build
    for _ in range(int(rng.integers(1, 4))):
        side = int(rng.choice((-1, 1)))
        place = side * rng.uniform(0.35, 0.65) * build.chest, rng.uniform(0.1, 0.4) * build.dome
        wide = rng.uniform(1.5, 3.2)
        hole = ramp(ellipse(scene, place, (wide, wide * 1.2)), 1.1, 0.6) * scene.lung(side)
        hole *= np.float32(0.8 * lesion.severity)
        scene.density *= 1.0 - 0.7 * hole
        scene.solid *= 1.0 - hole
    return (np.maximum(scene.right, scene.left) > 0.5) & (scene.air > 1.0)
