"""Fibrosis: a net of lines at the bases and under the pleura, in lungs that have shrunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom.build import Build
from hilum.phantom.findings.base import Mask, clouds, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene


def adapt(build: Build, lesion: Lesion) -> Build:
    """Small lungs: high diaphragms and a narrower thorax."""
    return replace(
        build,
        dome=build.dome * (0.98 - 0.11 * lesion.severity),
        chest=build.chest * (1.0 - 0.03 * lesion.severity),
    )


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Reticular opacity that grows towards base (in some, apex) and periphery, on both sides."""
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
