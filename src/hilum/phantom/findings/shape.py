"""Findings that change the shape of heart or lungs: cardiomegaly, emphysema, fibrosis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom.build import Build
from hilum.phantom.findings import Mask, clouds, ellipse, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

__all__ = [
    "adapt_cardiomegaly",
    "adapt_emphysema",
    "adapt_fibrosis",
    "plant_cardiomegaly",
    "plant_emphysema",
    "plant_fibrosis",
]


def adapt_cardiomegaly(build: Build, lesion: Lesion) -> Build:
    """Widen the heart to a cardiothoracic ratio of 0.53 to 0.70."""
    ratio = 0.52 + 0.17 * lesion.severity + (0.025 if build.supine else 0.0)
    wide = max(build.heart, ratio * build.chest)
    return replace(
        build, heart=wide, heart_lean=min(0.72, build.heart_lean), vessel=build.vessel * 1.08
    )


def plant_cardiomegaly(scene: Scene, _lesion: Lesion) -> Mask:
    """Draw cardiomegaly: a heart wider than half the thorax.

    The heart is drawn already; the mask is its silhouette.
    """
    return scene.heart > 0.5


def adapt_emphysema(build: Build, lesion: Lesion) -> Build:
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


def plant_emphysema(scene: Scene, lesion: Lesion) -> Mask:
    """Draw emphysema: large dark lungs on flat diaphragms, a narrow heart, few vessels.

    Some bullae in the upper zones: rounded, black, without vessels. The mask is both lungs.
    """
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


def adapt_fibrosis(build: Build, lesion: Lesion) -> Build:
    """Small lungs: high diaphragms and a narrower thorax."""
    return replace(
        build,
        dome=build.dome * (0.98 - 0.11 * lesion.severity),
        chest=build.chest * (1.0 - 0.03 * lesion.severity),
    )


def plant_fibrosis(scene: Scene, lesion: Lesion) -> Mask:
    """Draw fibrosis: a net of lines at the bases and under the pleura, in lungs that have shrunk.

    Reticular opacity that grows towards base (in some, apex) and periphery, on both sides.
    """
    rng, build = form(lesion), scene.build
    _, y = scene.canvas.grid
    lungs = np.maximum(scene.right, scene.left)
    apical = rng.random() < 0.2
    start, end = (0.45, 0.10) if apical else (0.30, 0.95)
    zone = ramp(y, start * build.dome, end * build.dome)
    under = 0.35 + 0.65 * ramp(scene.inset, 5.0, 0.5)
    total = zone * under * lungs
    net = np.maximum(
        1.0 - 2.0 * np.abs(clouds(scene, rng, (28, 56, 112))),
        1.0 - 2.0 * np.abs(clouds(scene, rng, (50, 100))),
    )
    net = np.clip(net, 0.0, 1.0)
    share = total * (0.22 + 0.6 * net) * np.float32(0.26 + 0.45 * lesion.severity)
    scene.fill(np.clip(share, 0.0, 0.85))
    return outlined(scene, total, 0.4)
