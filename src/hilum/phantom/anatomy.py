"""Outlines of lungs, heart, great vessels, airways, diaphragm and trunk, in centimetres."""

from __future__ import annotations

import numpy as np

from hilum.phantom.build import Build
from hilum.phantom.canvas import Points, smooth

__all__ = [
    "airway", "arm", "body", "breast", "diaphragm", "heart", "hilum_of", "lung", "stomach",
    "vessels_of_mediastinum", "wall",
]  # fmt: skip

_WALL = np.array([
    (0.150, 0.150), (0.240, 0.035), (0.360, 0.000), (0.510, 0.028), (0.670, 0.110),
    (0.810, 0.250), (0.910, 0.430), (0.965, 0.630), (0.993, 0.830), (1.000, 1.000),
])  # fmt: skip
"""The inner chest wall from the medial apex down: shares of half width and of dome height."""


def wall(build: Build, side: int) -> Points:
    """The pleural line along the chest wall, from the medial apex to the costophrenic angle."""
    knots = _WALL ** (1.0 + 0.12 * build.slender, 1.0) * (build.chest, build.dome)
    angle = build.angle_of(side)
    lower = [(build.chest * 0.998, 0.5 * (build.dome + angle)), (build.chest * 0.975, angle)]
    knots = np.vstack([knots, lower])
    knots[:, 0] *= build.squeeze[side > 0]
    curve = smooth(knots)
    return _sided(curve, build, side, 0.15)


def diaphragm(build: Build, side: int) -> Points:
    """One hemidiaphragm, from the costophrenic angle to the spine."""
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
    """A lung's outline; its medial edge lies behind heart and vessels, along the spine."""
    edge, floor = wall(build, side), diaphragm(build, side)
    inner = np.array([(1.9 * build.chest / 14.5, build.dome * 0.9), (1.7, build.dome * 0.35)])
    return np.vstack([edge, floor[1:], _sided(inner, build, side, -0.4)])


def heart(build: Build) -> Points:
    """The cardiac silhouette: right atrium, left ventricle with its apex, left atrial appendage."""
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
    """Centre lines of trachea, right and left main bronchus."""
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
    """The middle of a hilum; the left one stands a little higher."""
    height = 0.425 * build.dome if side < 0 else 0.39 * build.dome
    out = build.mediastinum + (0.9 if side < 0 else 1.1)
    return side * out + 0.3 * build.turn, height


def stomach(build: Build) -> tuple[float, float]:
    """Where the gastric bubble rises to, under the left hemidiaphragm."""
    return 0.46 * build.chest, build.dome_of(1) + 0.9


def breast(build: Build, side: int) -> Points:
    """A breast's shadow: fades above, ends in a sharp fold below."""
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
    """An upper arm, hanging out from the shoulder."""
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
