"""Opacities of the lung: consolidation, pneumonia, infiltration, edema, atelectasis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hilum.phantom import anatomy
from hilum.phantom.build import Build
from hilum.phantom.canvas import Field, bezier, smooth
from hilum.phantom.findings import Mask, clouds, ellipse, form, outlined, ramp, sides_of
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

__all__ = [
    "adapt_atelectasis",
    "adapt_edema",
    "plant_atelectasis",
    "plant_consolidation",
    "plant_edema",
    "plant_infiltration",
    "plant_pneumonia",
]

_LOBES = {
    -1: ((0.50, 0.24), (0.45, 0.66), (0.55, 0.86)),
    1: ((0.48, 0.25), (0.50, 0.62), (0.52, 0.90)),
}
"""Centers of upper, middle (or lingula) and lower lobe: shares of half width and dome height."""
_FISSURE = 0.47  # the minor fissure, as a share of the dome's height


def plant_consolidation(scene: Scene, lesion: Lesion) -> Mask:
    """Draw consolidation: a lobe filled with fluid or cells, its bronchi still open.

    Dense and homogeneous; sharp at the minor fissure, vague elsewhere; air bronchograms.
    """
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


def plant_pneumonia(scene: Scene, lesion: Lesion) -> Mask:
    """Draw pneumonia: patchy, segmental airspace opacity, mostly in the lower zones.

    Several cotton-wool patches that run into one another, denser towards their middle.
    """
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    for order, side in enumerate(sides_of(lesion, rng, 0.35)):
        middle = rng.uniform(0.38, 0.62), rng.uniform(0.45, 0.88)
        for _ in range(int(rng.integers(3, 6)) - order):
            out = np.clip(middle[0] + rng.normal(0.0, 0.14), 0.25, 0.85)
            down = np.clip(middle[1] + rng.normal(0.0, 0.12), 0.2, 1.02)
            wide = rng.uniform(1.5, 3.2) * (0.75 + 0.5 * lesion.severity)
            place = side * out * build.chest, down * build.dome
            patch = ellipse(scene, place, (wide, wide * rng.uniform(0.7, 1.2)))
            total = np.maximum(total, ramp(patch, 1.4, 0.2) * scene.lung(side))
    flecks = np.clip(0.8 + 0.25 * clouds(scene, rng, (10, 20, 40, 80)), 0.1, 1.5)
    scene.fill(np.clip(total * flecks * (0.14 + 0.46 * lesion.severity), 0.0, 0.9))
    return outlined(scene, total, 0.35)


def plant_infiltration(scene: Scene, lesion: Lesion) -> Mask:
    """Draw infiltration: ill-defined, streaky haze along the vessels.

    A faint veil without an edge, with coarse strands where vessels are.
    """
    rng, build = form(lesion), scene.build
    total = np.zeros_like(scene.air)
    for order, side in enumerate(sides_of(lesion, rng, 0.45)):
        place = side * rng.uniform(0.4, 0.6) * build.chest, rng.uniform(0.4, 0.85) * build.dome
        radii = rng.uniform(4.0, 6.5), rng.uniform(4.5, 7.5)
        haze = ellipse(scene, place, radii, float(rng.normal(0.0, 0.4)))
        haze += np.float32(0.15) * clouds(scene, rng, (7, 14))
        total = np.maximum(total, ramp(haze, 1.3, 0.1) * scene.lung(side) * (1.0 - 0.25 * order))
    strands = 1.0 - np.abs(clouds(scene, rng, (24, 48, 96)))
    strands = scene.canvas.blur(np.clip(strands, 0.0, 1.0) ** 2, 0.15)
    share = total * (0.45 + 0.75 * strands) * np.float32(0.08 + 0.30 * lesion.severity)
    scene.fill(np.clip(share, 0.0, 0.7))
    scene.solid *= 1.0 + total * np.float32(0.3 + 0.5 * lesion.severity)
    return outlined(scene, total, 0.4)


def adapt_edema(build: Build, lesion: Lesion) -> Build:
    """Wider vessels, as wide above as below, and a somewhat larger heart."""
    heart = min(build.heart * (1.04 + 0.06 * lesion.severity), max(build.heart, 0.6 * build.chest))
    return replace(
        build, vessel=build.vessel * (1.15 + 0.3 * lesion.severity), upper_flow=0.62, heart=heart
    )


def plant_edema(scene: Scene, lesion: Lesion) -> Mask:
    """Draw edema: bilateral perihilar haze, larger upper vessels, Kerley lines at the bases.

    A bat's wing around each hilum that spares the periphery, and short basal lines.
    """
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


def adapt_atelectasis(build: Build, lesion: Lesion) -> Build:
    """Lost volume pulls the diaphragm up on that side."""
    pulled = 0.3 + 1.9 * lesion.severity
    lift = list(build.lift)
    lift[lesion.side > 0] += pulled
    return replace(build, lift=(lift[0], lift[1]))


def plant_atelectasis(scene: Scene, lesion: Lesion) -> Mask:
    """Draw atelectasis: plates above a raised diaphragm, or a collapsed lower lobe.

    Either linear plates across the lower zone, or a triangle behind the heart.
    """
    rng = form(lesion)
    collapsed = rng.random() < 0.3
    share = _collapsed_lobe(scene, lesion) if collapsed else _plates(scene, lesion, rng)
    scene.fill(np.clip(share, 0.0, 0.92))
    return outlined(scene, scene.canvas.blur(share, 0.25), 0.3)


def _plates(scene: Scene, lesion: Lesion, rng: np.random.Generator) -> Field:
    build, total = scene.build, np.zeros_like(scene.air)
    x, _ = scene.canvas.grid
    for order, side in enumerate(sides_of(lesion, rng, 0.4)):
        strokes = []
        for number in range(int(rng.integers(1, 4))):
            height = build.dome_of(side) - rng.uniform(0.8, 2.2) - 1.8 * number
            inner, outer = rng.uniform(0.22, 0.4), rng.uniform(0.65, 0.92)
            bend, slope = rng.normal(0.0, 0.5), rng.normal(0.4, 0.8)
            line = smooth([
                (side * inner * build.chest, height),
                (side * 0.5 * (inner + outer) * build.chest, height + bend + 0.5 * slope),
                (side * outer * build.chest, height + slope),
            ])  # fmt: skip
            strokes.append(([line], rng.uniform(0.22, 0.42) * (0.7 + 0.9 * lesion.severity), 1.0))
        plate = scene.canvas.blur(scene.canvas.strokes(strokes), 0.2)
        plate *= ramp(np.abs(x), 0.20 * build.chest, 0.38 * build.chest)
        plate *= ramp(np.abs(x), 0.95 * build.chest, 0.62 * build.chest)
        total += plate * scene.lung(side) * np.float32(1.0 - 0.3 * order)
    return total * np.float32(0.32 + 0.45 * lesion.severity)


def _collapsed_lobe(scene: Scene, lesion: Lesion) -> Field:
    build, side = scene.build, lesion.side
    x, y = scene.canvas.grid
    top = 0.5 * build.dome
    wide = np.float32(0.30 + 0.28 * lesion.severity) * np.float32(build.chest)
    edge = 1.8 + wide * np.clip((y - top) / np.float32(build.dome - top), 0.0, 1.3)
    share = ramp(side * x - edge, 0.5, -0.5) * ramp(y, top, top + 2.0) * scene.lung(side)
    return share * np.float32(0.35 + 0.5 * lesion.severity)
