"""Edema: bilateral perihilar haze, larger upper vessels, Kerley lines at the bases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom import anatomy
from hilum.phantom.build import Build
from hilum.phantom.findings.base import Mask, clouds, ellipse, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def adapt(build: Build, lesion: Lesion) -> Build:
    """Wider vessels, as wide above as below, and a somewhat larger heart."""
    heart = min(build.heart * (1.04 + 0.06 * lesion.severity), max(build.heart, 0.6 * build.chest))
    return replace(
        build, vessel=build.vessel * (1.15 + 0.3 * lesion.severity), upper_flow=0.62, heart=heart
    )


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """A bat's wing around each hilum that spares the periphery, and short basal lines."""
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    lines: list[np.ndarray] = []
    for side in (-1, 1):
        x, y = anatomy.hilum_of(build, side)
        wing = ellipse(
            scene, (x + side * 2.2, y + 2.5), (0.62 * build.chest, 0.46 * build.dome), side * -0.15
        )
        total += ramp(wing, 1.25, 0.15) * scene.lung(side)
        for height in rng.uniform(0.74, 1.05, 9) * build.dome:
            out = side * rng.uniform(0.84, 0.97) * build.chest
            lines.append(np.array([(out, height), (out - side * 1.5, height - 0.15)]))
    patchy = 0.8 + 0.17 * clouds(scene, rng, (10, 20, 40, 80))
    share = np.clip(total * patchy * (0.10 + 0.50 * lesion.severity), 0.0, 0.85)
    scene.fill(share)
    kerley = scene.canvas.strokes([(lines, 0.12, 1.0)]) * np.maximum(scene.right, scene.left)
    scene.solid += np.float32(0.8 * lesion.severity) * kerley
    return outlined(scene, total, 0.35)
