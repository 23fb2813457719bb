"""Consolidation: a lobe filled with fluid or cells, its bronchi still open."""

from __future__ import annotations

import numpy as np

from hilum.phantom import anatomy
from hilum.phantom.canvas import Field, bezier
from hilum.phantom.findings.base import Mask, clouds, ellipse, form, outlined, ramp
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

_LOBES = {
    -1: ((0.50, 0.24), (0.45, 0.66), (0.55, 0.86)),
    1: ((0.48, 0.25), (0.50, 0.62), (0.52, 0.90)),
}
"""Centres of upper, middle (or lingula) and lower lobe: shares of half width and dome height."""
_FISSURE = 0.47  # the minor fissure, as a share of the dome's height


def plant(scene: Scene, lesion: Lesion) -> Mask:
    """Dense and homogeneous; sharp at the minor fissure, vague elsewhere; air bronchograms."""
    rng, build, side = form(lesion), scene.build, lesion.side
    x, y = scene.canvas.grid
    lobe = int(rng.choice(3, p=(0.3, 0.25, 0.45)))
    out, down = _LOBES[side][lobe]
    place = side * out * build.chest, down * build.dome
    grown = 0.75 + 0.45 * lesion.severity
    radii = 0.42 * build.chest * grown * rng.uniform(0.85, 1.2), 0.24 * build.dome * grown
    edge = ellipse(scene, place, radii, float(rng.normal(0.0, 0.3)))
    edge += np.float32(0.15) * clouds(scene, rng, (6, 12, 24))
    share = ramp(edge, 1.25, 0.45) * scene.lung(side)
    if side < 0 and lobe < 2:
        fissure = np.float32(_FISSURE * build.dome) + 0.06 * np.abs(x)
        off = fissure - y if lobe == 0 else y - fissure
        share *= ramp(off, -0.25, 0.25)
    share *= np.float32(0.30 + 0.50 * lesion.severity)
    share *= 1.0 - 0.42 * _bronchi(scene, place, radii[0], rng)
    share = np.clip(share, 0.0, 0.95)
    scene.fill(share)
    return outlined(scene, scene.canvas.blur(share, 0.3), 0.35)


def _bronchi(
    scene: Scene, place: tuple[float, float], reach: float, rng: np.random.Generator
) -> Field:
    """Air bronchograms: forking dark lines from the hilum into the lobe."""
    root = np.array(anatomy.hilum_of(scene.build, 1 if place[0] > 0 else -1))
    ends = np.array(place) + rng.uniform(-0.7, 0.7, (5, 2)) * reach
    forks = root + (ends - root) * rng.uniform(0.45, 0.6, (5, 1)) + rng.normal(0.0, 0.4, (5, 2))
    tips = ends + rng.normal(0.0, 0.25 * reach, (5, 2))
    trunks = bezier(np.broadcast_to(root, (5, 2)), 0.5 * (root + forks) + 0.3, forks)
    twigs = [
        bezier(forks, 0.5 * (forks + to) + rng.normal(0, 0.4, (5, 2)), to) for to in (ends, tips)
    ]
    lines = scene.canvas.strokes([(np.concatenate(twigs), 0.16, 0.7), (trunks, 0.26, 1.0)])
    return scene.canvas.blur(lines, 0.06) * ramp(ellipse(scene, place, (reach, reach)), 1.0, 0.5)
