"""Outlines of lungs, heart, great vessels, airways, diaphragm and trunk, in centimeters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.phantom.build import Build
from hilum.phantom.canvas import Canvas, Field, Points, smooth

__all__ = [
    "airway",
    "arm",
    "body",
    "bone_field",
    "breast",
    "diaphragm",
    "heart",
    "hilum_of",
    "lung",
    "stomach",
    "vessels_of_mediastinum",
    "wall",
]

_WALL = np.array([
    (0.150, 0.150), (0.240, 0.035), (0.360, 0.000), (0.510, 0.028), (0.670, 0.110),
    (0.810, 0.250), (0.910, 0.430), (0.965, 0.630), (0.993, 0.830), (1.000, 1.000),
])  # fmt: skip
"""The inner chest wall from the medial apex down: shares of half width and of dome height."""


def wall(build: Build, side: int) -> Points:
    """Return the pleural line along the chest wall, medial apex to costophrenic angle."""
    knots = _WALL ** (1.0 + 0.12 * build.slender, 1.0) * (build.chest, build.dome)
    angle = build.angle_of(side)
    lower = [(build.chest * 0.998, 0.5 * (build.dome + angle)), (build.chest * 0.975, angle)]
    knots = np.vstack([knots, lower])
    knots[:, 0] *= build.squeeze[side > 0]
    curve = smooth(knots)
    return _sided(curve, build, side, 0.15)


def diaphragm(build: Build, side: int) -> Points:
    """Return one hemidiaphragm, from the costophrenic angle to the spine."""
    top, angle = build.dome_of(side), build.angle_of(side)
    rise = angle - top
    shares = [
        (0.975, 1.0), (0.935, 0.70), (0.86, 0.42), (0.74, 0.17), (0.60, 0.035), (0.46, 0.0),
        (0.33, 0.07), (0.22, 0.22), (0.10, 0.40),
    ]  # fmt: skip
    knots = np.array([(build.chest * x, top + rise * y) for x, y in shares])
    knots[:, 0] *= build.squeeze[side > 0]
    return _sided(smooth(knots), build, side, 0.0)


def lung(build: Build, side: int) -> Points:
    """Return a lung's outline; its medial edge lies behind heart and vessels, along the spine."""
    edge, floor = wall(build, side), diaphragm(build, side)
    inner = np.array([(1.9 * build.chest / 14.5, build.dome * 0.9), (1.7, build.dome * 0.35)])
    return np.vstack([edge, floor[1:], _sided(inner, build, side, -0.4)])


def heart(build: Build) -> Points:
    """Return the cardiac silhouette: right atrium, left ventricle, left atrial appendage."""
    left = 2.0 * build.heart * build.heart_lean
    right = 2.0 * build.heart * (1.0 - build.heart_lean)
    base, top = build.dome_of(1), 0.40 * build.dome
    tall = base - top
    floor = base + 0.10 * tall
    apex = 0.08 * build.apex
    knots = [
        (-0.55 * right, top + 0.00 * tall), (-0.72 * right, top + 0.22 * tall),
        (-0.95 * right, top + 0.45 * tall), (-1.00 * right, top + 0.64 * tall),
        (-0.90 * right, top + 0.85 * tall), (-0.68 * right, floor),
        (0.00, floor + 0.9), (0.45 * left, floor + 0.9), (0.80 * left, base + 0.04 * tall),
        (0.97 * left, base - (0.08 + apex) * tall), (1.00 * left, base - (0.20 + apex) * tall),
        (0.93 * left, base - (0.36 + 0.7 * apex) * tall), (0.77 * left, base - 0.54 * tall),
        (0.58 * left, base - 0.72 * tall), (0.46 * left, base - 0.86 * tall),
        (0.38 * left, top - 0.02 * tall), (0.0, top - 0.1 * tall), (-0.55 * right, top),
    ]  # fmt: skip
    return smooth(knots) + np.array((0.45 * build.turn, 0.0))


def vessels_of_mediastinum(build: Build) -> tuple[Points, Points]:
    """(right border: brachiocephalic and superior caval vein, left border: arch and trunk).

    Each is closed along the midline. On the left, from above: subclavian artery, aortic knob, the
    notch of the aortopulmonary window, pulmonary trunk, and the border of the heart.
    """
    half, carina = build.mediastinum, 0.30 * build.dome
    knob = half + 0.75 * build.knob
    right = smooth([
        (0.0, -4.0), (-half * 1.5, -4.0), (-half * 1.12, 0.12 * carina),
        (-half * 0.93, 0.5 * carina), (-half * 0.95, carina),
        (-half * 1.08, 1.6 * carina), (-half * 0.9, 2.2 * carina),
        (0.0, 2.4 * carina),
    ])  # fmt: skip
    left = smooth([
        (0.0, -4.0), (half * 1.6, -4.0), (half * 1.10, 0.1 * carina), (half * 0.86, 0.40 * carina),
        (half * 0.95, 0.58 * carina), (knob * 0.93, 0.70 * carina), (knob, 0.88 * carina),
        (knob * 0.94, 1.06 * carina), (half * 1.12, 1.20 * carina), (half * 1.22, 1.34 * carina),
        (half * 1.40, 1.50 * carina), (half * 1.45, 1.72 * carina), (half * 1.3, 2.2 * carina),
        (0.0, 2.4 * carina),
    ])  # fmt: skip
    moved = np.array((0.3 * build.turn, 0.0))
    return right + moved, left + moved


def airway(build: Build) -> tuple[Points, Points, Points]:
    """Center lines of trachea, right and left main bronchus."""
    carina = 0.30 * build.dome
    x = 0.35 * build.turn
    trachea = smooth([
        (x * 0.4, -8.0), (x * 0.6 - 0.05, -2.0), (x - 0.15, carina * 0.5),
        (x - 0.35, carina * 0.85), (x - 0.25, carina),
    ])  # fmt: skip
    right = smooth([(x - 0.4, carina), (x - 1.5, carina + 1.5), (x - 3.0, carina + 3.1)])
    left = smooth([(x - 0.1, carina), (x + 1.8, carina + 1.5), (x + 3.8, carina + 2.4)])
    return trachea, right, left


def hilum_of(build: Build, side: int) -> tuple[float, float]:
    """Return the middle of a hilum; the left one stands a little higher."""
    height = 0.425 * build.dome if side < 0 else 0.39 * build.dome
    out = build.mediastinum + (0.9 if side < 0 else 1.1)
    return side * out + 0.3 * build.turn, height


def stomach(build: Build) -> tuple[float, float]:
    """Return the top of the gastric bubble, under the left hemidiaphragm."""
    return 0.46 * build.chest, build.dome_of(1) + 0.9


def breast(build: Build, side: int) -> Points:
    """Return a breast's shadow: fades above, ends in a sharp fold below."""
    low = build.dome * (0.93 + 0.02 * build.breast)
    half = build.chest
    knots = [
        (0.30 * half, low - 7.5), (0.16 * half, low - 4.0), (0.20 * half, low - 1.2),
        (0.42 * half, low + 0.7), (0.66 * half, low + 1.1), (0.90 * half, low + 0.3),
        (1.08 * half, low - 2.0), (1.14 * half, low - 5.0), (1.00 * half, low - 9.0),
        (0.62 * half, low - 10.5), (0.30 * half, low - 7.5),
    ]  # fmt: skip
    return smooth([(side * x, y) for x, y in knots])


def body(build: Build) -> Points:
    """Neck, shoulders and trunk."""
    wide, unit = build.chest + build.fat, build.chest / 14.5
    neck = 5.6 * unit + 0.35 * build.fat
    shoulder = build.chest + 5.5 * unit
    knots = [
        (neck, -14.0), (neck * 0.98, -7.5), (neck * 1.12, -5.2), (neck * 1.55, -3.9),
        (shoulder * 0.72, -2.7), (shoulder * 0.97, -1.7), (shoulder * 1.12, 1.0),
        (shoulder * 1.13, 7.5), (wide * 1.17, 11.5), (wide * 1.06, 15.0), (wide * 1.0, 19.0),
        (wide * 1.0, 24.0), (wide * 0.99, 34.0), (wide * 1.04, 50.0),
    ]  # fmt: skip
    half = smooth(knots)
    return np.vstack([half, (half * (-1.0, 1.0))[::-1]])


def arm(build: Build, side: int) -> Points:
    """Return an upper arm, hanging out from the shoulder."""
    unit = build.chest / 14.5
    start = np.array((build.chest + 3.6 * unit, 0.5))
    along = np.array((np.sin(build.arms), np.cos(build.arms)))
    across = np.array((along[1], -along[0]))
    width = 3.6 * unit + 0.4 * build.fat
    knots = [
        start - along * 2.0, start + across * width, start + along * 10 + across * width,
        start + along * 30 + across * width * 0.8, start + along * 30 - across * width * 0.8,
        start + along * 10 - across * width, start - across * width, start - along * 2.0,
    ]  # fmt: skip
    return smooth(np.array(knots)) * (side, 1.0)


def _sided(curve: Points, build: Build, side: int, follow: float) -> Points:
    """Put a curve of the patient's left on either side, shifted as the patient turns."""
    return curve * np.array((side, 1.0)) + np.array((follow * build.turn, 0.0))


_CAGE = (
    (0.0, 0.06, 0.14, 0.28, 0.45, 0.65, 0.85, 1.2),
    (0.36, 0.52, 0.70, 0.84, 0.92, 0.97, 1.0, 1.0),
)
"""Half width of the rib cage, as a share of the thorax's, at shares of the dome's height."""
_DROP = (3.6, 5.4, 7.0, 8.3, 9.3, 9.9, 10.3, 10.5, 10.0, 9.3, 8.5)
"""Drop of each rib's front end below its head, in centimeters."""
_FRONT_RIBS = 10
_CIRCLE = np.stack([np.cos(t := np.linspace(0.0, 2.0 * np.pi, 28)), np.sin(t)], 1)


def bone_field(canvas: Canvas, build: Build, rng: np.random.Generator) -> Field:
    """Return all bone, in water-equivalent centimeters."""
    bones = _ribs(canvas, build) + _spine(canvas, build)
    bones += _clavicles(canvas, build, rng) + _shoulders(canvas, build)
    return canvas.blur(bones * np.float32(build.bone), 0.035)


def _bands(lines: Points, widths: Points) -> tuple[Points, Points]:
    """Upper and lower edges, (n, k, 2) each, of n ribbons with center `lines` and (n, k) widths."""
    along = np.gradient(lines, axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-9)
    normal = np.stack([-along[..., 1], along[..., 0]], 2) * widths[..., None] / 2.0
    return lines - normal, lines + normal


def _ribs(canvas: Canvas, build: Build) -> Field:
    x, y = canvas.grid
    cage = build.chest * np.interp(y[:, :1] / build.dome, *_CAGE)
    lateral = np.minimum(np.abs(x) / cage.astype(np.float32), 1.04) ** 8
    back = _rib_layer(canvas, build, np.linspace(0.16, 0.5 * np.pi, 18), len(_DROP))
    front = _rib_layer(canvas, build, np.linspace(0.5 * np.pi, 0.86 * np.pi, 14), _FRONT_RIBS)
    # The front ends turn to cartilage, which is nearly water.
    front *= np.clip((np.abs(x) / np.float32(build.chest) - 0.36) / 0.22, 0.0, 1.0)
    return ((back + 0.75 * front) * (1.0 + 0.5 * lateral)).astype(np.float32, copy=False)


def _rib_layer(canvas: Canvas, build: Build, angle: NDArray[np.float64], count: int) -> Field:
    """Return the ribs' arcs between two angles; 0 is the spine, pi / 2 the side, pi the sternum."""
    unit = build.dome / 24.0
    number = np.arange(count)
    head = (0.1 + 2.33 * number - 0.012 * number**2) * unit
    drop = np.array(_DROP[:count]) * unit
    reach = build.chest * np.interp((head + 0.45 * drop) / build.dome, *_CAGE) + 0.1
    across = reach[:, None] * np.sin(angle)
    depth = 0.5 * (1.0 - np.cos(angle))
    down = head[:, None] + drop[:, None] * (depth - 0.05 * np.sin(2.0 * angle))
    shift = build.turn * (depth - 0.4)
    behind = np.cos(angle) > 0
    wide = build.chest / 14.5 * np.where(behind, 1.15 + 0.3 * np.sin(angle), 1.4)
    widths = np.broadcast_to(wide, across.shape) * np.where(number == 0, 1.15, 1.0)[:, None]
    lines = np.concatenate([np.stack([side * across + shift, down], 2) for side in (-1, 1)])
    upper, lower = _bands(lines, np.concatenate([widths, widths]))
    # Mirrored ribs run the other way, so that one side's upper edge is the other's lower one.
    upper[:count], lower[:count] = lower[:count].copy(), upper[:count].copy()
    body = canvas.fill(*np.concatenate([upper, lower[:, ::-1]], axis=1))
    cortex = canvas.strokes([(upper, 0.15, 0.6), (lower, 0.17, 1.0)])
    return (0.85 * body + 0.5 * cortex).astype(np.float32, copy=False)


def _spine(canvas: Canvas, build: Build) -> Field:
    unit = build.dome / 24.0
    number = np.arange(-4, 16)
    middle = (number * 2.02 + 0.035 * number**2) * unit
    tall = (2.0 + 0.06 * number) * unit * 0.43
    half = (1.45 + 0.045 * np.maximum(number, 0)) * unit * np.where(number < 0, 0.85, 1.0)
    x = build.bend * np.sin(middle / 11.0) - 0.35 * build.turn
    waist = np.array([(-1, -1), (-0.92, 0), (-1, 1), (1, 1), (0.92, 0), (1, -1)])
    size = np.stack([half, tall], 1)[:, None]
    place = np.stack([x, middle], 1)[:, None]
    bodies = place + waist * size
    plates = np.concatenate([bodies[:, [0, 5]], bodies[:, [2, 3]]])
    eyes = np.array((0.3, 0.42)) * unit * _CIRCLE[::3]
    pedicles = [place + np.array((side * 0.6, -0.55)) * size + eyes for side in (-1, 1)]
    spikes = place + np.array([(0.0, 0.3), (0.05, 1.5)]) * size
    field = 1.2 * canvas.fill(*bodies)
    field += 0.8 * canvas.strokes([(plates, 0.16, 0.9), (np.concatenate(pedicles), 0.14, 0.6)])
    field += 0.7 * canvas.strokes([(spikes, 0.4, 1.0)])
    return canvas.blur(field, 0.09)


def _clavicles(canvas: Canvas, build: Build, rng: np.random.Generator) -> Field:
    unit = build.chest / 14.5
    raised = -1.6 if build.supine else rng.normal(-0.2, 0.5)
    lines: list[Points] = []
    for side in (-1, 1):
        tilt = rng.normal(0.0, 0.3)
        knots = np.array([
            (1.3, 4.9), (2.8, 4.7), (5.2, 3.8), (8.0, 2.5), (11.0, 1.5), (14.5, 1.0 + tilt),
            (18.3, 0.6 + 1.5 * tilt),
        ])  # fmt: skip
        knots = knots * unit + (0.0, raised)
        lines.append(smooth(knots) * (side, 1.0) + (0.5 * build.turn, 0.0))
    share = np.linspace(0.0, 1.0, len(lines[0]))
    widths = np.broadcast_to(unit * (1.9 - 2.2 * share + 1.7 * share**2), (2, len(share)))
    upper, lower = _bands(np.stack(lines), widths)
    body = canvas.fill(*np.concatenate([upper, lower[:, ::-1]], axis=1))
    edges = canvas.strokes([(np.concatenate([upper, lower]), 0.2, 1.0)])
    return (1.4 * body + 0.8 * edges).astype(np.float32, copy=False)


def _shoulders(canvas: Canvas, build: Build) -> Field:
    unit = build.chest / 14.5
    slide = -3.4 * build.scapula
    joint = np.array((17.9 + 0.25 * slide, 3.0))
    medial = smooth(
        [(11.8 + slide, 1.6), (11.9 + slide, 5.0), (12.9 + slide, 9.5), (14.2 + slide, 13.4)]
    )
    lateral = smooth([(14.2 + slide, 13.4), (15.4 + 0.8 * slide, 8.5), (16.2 + 0.5 * slide, 4.6)])
    ridge = smooth(
        [(11.7 + slide, 4.2), (14.0 + 0.6 * slide, 2.0), (17.0 + 0.2 * slide, 0.2), (19.0, 0.4)]
    )
    plate = np.vstack([medial, lateral, [(16.0 + 0.5 * slide, 1.6)]])
    along = np.array((np.sin(build.arms), np.cos(build.arms)))
    across = np.array((along[1], -along[0])) * 1.15
    start = joint + along * 0.5
    shaft = np.array([
        start + across * 1.5, joint + along * 5 + across, joint + along * 30 + across,
        joint + along * 30 - across, joint + along * 5 - across, start - across * 1.5,
    ])  # fmt: skip
    head = joint + _CIRCLE * (2.25, 2.35)
    coracoid = np.array((15.3 + 0.5 * slide, 2.6)) + _CIRCLE * (0.75, 0.95)
    mirrors = [np.array((side * unit, unit)) for side in (-1, 1)]
    field = 0.55 * canvas.fill(*(plate * m for m in mirrors))
    field += 2.6 * canvas.chord(1.6, *(shape * m for m in mirrors for shape in (head, shaft)))
    edges = [line * m for m in mirrors for line in (lateral, ridge)]
    thin = [line * m for m in mirrors for line in (medial, coracoid, shaft[1:3], shaft[3:5])]
    field += 1.3 * canvas.strokes([(thin, 0.2, 0.55), (edges, 0.4, 0.8)])
    return field
