"""The chest in layers, before it is exposed: what findings change, and how layers add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.phantom import anatomy
from hilum.phantom.anatomy import bone_field, hilum_of
from hilum.phantom.build import Build
from hilum.phantom.canvas import Canvas, Field, Points, Values, bezier, fractal

__all__ = ["Scene", "staged", "vessel_field"]


@dataclass
class Scene:
    """A chest as fields in water-equivalent centimeters; findings write into it.

    The thickness that attenuates the beam is::

        soft + bone + (min(solid, air) - air) * (1 - density)

    Lung is air with a share `density` of water. Filling airspaces raises the share towards 1,
    a pneumothorax lowers it to 0, and a nodule or vessel (`solid`) shows by replacing lung. So
    opacities saturate, hide behind the heart and silhouette their neighbors as on a real film.

    Attributes:
        canvas, build: the film plane and the body on it.
        soft: trunk, arms, breasts: everything that is not lung, bone or inside the lung.
        bone: the skeleton.
        air: depth of lung along the beam, heart and vessels of the mediastinum taken out.
        density: water share of the lung, in [0, 1].
        solid: depth of soft tissue inside the lung.
        right, left: share of every pixel that each lung covers.
        inset: distance to the nearest pleura, inside the lungs.
        heart: share of every pixel that the heart covers.
    """

    canvas: Canvas
    build: Build
    soft: Field
    bone: Field
    air: Field
    density: Field
    solid: Field
    right: Field
    left: Field
    inset: Field
    heart: Field

    def lung(self, side: int) -> Field:
        """Return one lung's cover; `side` is -1 for the right, +1 for the left."""
        return self.left if side > 0 else self.right

    def fill(self, share: Values) -> None:
        """Fill a share of what is still aerated with fluid."""
        self.density += ((1.0 - self.density) * share).astype(np.float32, copy=False)

    def thickness(self) -> Field:
        """(H, W) water-equivalent centimeters along the beam."""
        inside = np.minimum(self.solid, self.air) - self.air
        total = self.soft + self.bone + inside * (1.0 - self.density)
        return total.astype(np.float32, copy=False)


def staged(canvas: Canvas, build: Build, rng: np.random.Generator) -> Scene:
    """Return the healthy chest of a build."""
    trunk = _trunk(canvas, build)
    lungs = [anatomy.lung(build, side) for side in (-1, 1)]
    right, left = (canvas.fill(outline) for outline in lungs)
    depth = np.float32(0.80 * build.depth) * canvas.blur(canvas.chord(7.0, *lungs), 0.12)
    heart, blocked = _mediastinum(canvas, build)
    air = np.maximum(depth - np.float32(0.80 * build.depth) * blocked, 0.0) * np.maximum(
        right, left
    )
    clouds = fractal(rng, canvas.size, (10, 20, 40, 80, 160), 0.75)
    density = np.float32(build.lung_density) * (1.0 + 0.10 * clouds)
    inset = canvas.inset(*lungs)
    solid = vessel_field(canvas, build, rng) * np.minimum(inset / np.float32(1.8), np.float32(1.0))
    soft = trunk + _abdomen(canvas, build, np.maximum(right, left), rng) + _airways(canvas, build)
    return Scene(
        canvas, build, soft, bone_field(canvas, build, rng), air, density, solid, right, left,
        inset, heart,
    )  # fmt: skip


def _trunk(canvas: Canvas, build: Build) -> Field:
    x, y = canvas.grid
    depth = build.depth * np.interp(y, [-8, -4, 0, 6, 14, 30], [0.50, 0.52, 0.60, 0.82, 0.95, 1.08])
    trunk = canvas.blur(canvas.chord(6.0, anatomy.body(build), fine=False), 0.15) * depth.astype(
        np.float32
    )
    arms = canvas.chord(4.0, *(anatomy.arm(build, side) for side in (-1, 1)), fine=False)
    total = np.maximum(trunk, 8.0 * canvas.blur(arms, 0.1))
    if build.breast > 0:
        outlines = [anatomy.breast(build, side) for side in (-1, 1)]
        fold = canvas.chord(3.5, *outlines)
        low = build.dome * 0.95
        fade = np.clip((y - (low - 10.0)) / 9.0, 0.0, 1.0)
        fade *= np.clip((np.abs(x) / build.chest - 0.12) / 0.4, 0.0, 1.0)
        total += fold * fade * np.float32(0.75 * build.breast)
    return total


def _mediastinum(canvas: Canvas, build: Build) -> tuple[Field, Field]:
    outline = anatomy.heart(build)
    heart = canvas.fill(outline)
    blocked = canvas.chord(3.0, outline, *anatomy.vessels_of_mediastinum(build))
    # Vessels fill the mediastinum front to back; behind the heart there is lung.
    _, y = canvas.grid
    depth = np.interp(y / build.dome, (0.35, 0.60, 0.80, 1.0), (0.85, 0.68, 0.70, 0.90))
    return heart, (depth * blocked).astype(np.float32)


def _airways(canvas: Canvas, build: Build) -> Field:
    trachea, right, left = anatomy.airway(build)
    wide = 1.75 * build.chest / 14.5
    lines = canvas.strokes([([right, left], wide * 0.62, 0.55), ([trachea], wide, 1.0)])
    return -1.45 * canvas.blur(lines, 0.18)


def _abdomen(canvas: Canvas, build: Build, lungs: Field, rng: np.random.Generator) -> Field:
    x, y = canvas.grid
    clouds = fractal(rng, canvas.size, (3, 6, 12, 24, 48), 0.6)
    field = np.float32(0.35 * build.tissue_noise) * clouds
    if rng.random() < 0.6:
        gas_x, gas_y = anatomy.stomach(build)
        wide, tall = rng.uniform(1.4, 3.8), rng.uniform(0.7, 2.4)
        gas_x += rng.normal(0.0, 1.2)
        off = np.hypot((x - gas_x) / wide, (y - gas_y - 0.9 * tall) / tall) + 0.12 * clouds
        bubble = np.sqrt(np.clip(1.0 - off, 0.0, 1.0))
        if not build.supine:
            bubble *= np.clip((gas_y + rng.uniform(0.8, 1.6) * tall - y) / 0.2, 0.0, 1.0)
        field -= (bubble * (1.0 - lungs) * rng.uniform(2.0, 6.5)).astype(np.float32)
    below = np.clip((y - build.dome_of(1) - 4.0) / 3.0, 0.0, 1.0) * (1.0 - lungs)
    gas = np.clip(fractal(rng, canvas.size, (9, 18), 0.5) - 1.3, 0.0, 1.0)
    field -= (2.5 * gas * below * np.clip(x / 4.0 + 0.7, 0.0, 1.0)).astype(np.float32)
    return canvas.blur(field, 0.08)


_NODES = 130
_FULL = 5.0  # cm of vessel at a field value of 1
_WIDTHS = (0.07, 0.10, 0.14, 0.19, 0.26, 0.36, 0.50, 0.70, 0.95)


def vessel_field(canvas: Canvas, build: Build, rng: np.random.Generator) -> Field:
    """Depth of vessels in centimeters at every pixel."""
    total = np.zeros((canvas.size, canvas.size), np.float32)
    x, y = canvas.grid
    for side in (-1, 1):
        across, down = hilum_of(build, side)
        off = ((x - across) / 1.5) ** 2 + ((y - down - 0.9) / 2.7) ** 2
        total += np.float32(2.3 * build.vessel) * np.exp(-1.2 * off).astype(np.float32)
        for veins in (False, True):
            total += _tree_field(canvas, build, side, veins, rng)
    return total


def _tree_field(
    canvas: Canvas, build: Build, side: int, veins: bool, rng: np.random.Generator
) -> Field:
    root = np.array(hilum_of(build, side))
    if veins:
        root += (-side * 0.8, 2.4)
    nodes = np.vstack([root, _targets(build, side, root, rng)])
    parents = _parents(nodes)
    widths = _calibres(parents) * build.vessel * (0.85 if veins else 1.0)
    upper = nodes[:, 1] < root[1]
    widths[upper] *= np.sqrt(build.upper_flow / 0.5)
    start, end = nodes[parents[1:]], nodes[1:]
    came = nodes[parents[parents[1:]]]
    ahead = start - came
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
    control = start + 0.3 * length * ahead + 0.25 * (end - start)
    curves = bezier(start, control, end)
    bins = np.digitize(widths[1:], _WIDTHS[1:])
    strokes = [
        (curves[bins == k], width * 1.15, min(1.0, (0.15 + 4.6 * width) / _FULL))
        for k, width in enumerate(_WIDTHS)
        if np.any(bins == k)
    ]
    return canvas.strokes(strokes) * np.float32(_FULL)


def _targets(build: Build, side: int, root: Points, rng: np.random.Generator) -> Points:
    """Return points all over the lung for the tree to reach, denser near the hilum and the base."""
    share = rng.random((_NODES, 2))
    height = build.angle_of(side) - 0.5
    y = height * share[:, 1] ** 0.85
    edge = build.chest * np.interp(
        y / build.dome, [0, 0.1, 0.3, 0.6, 0.9, 1.3], [0.35, 0.62, 0.8, 0.94, 0.99, 0.97]
    )
    inner = 1.6 + 0.4 * y / build.dome
    x = inner + (edge - inner) * share[:, 0] ** 1.25
    points = np.stack([side * x, y], 1)
    order = np.argsort(np.linalg.norm(points - root, axis=1))
    return points[order]


def _parents(nodes: Points) -> NDArray[np.intp]:
    """Join every node to the tree where wire length and path length together are least.

    The balance of the two is what makes dendrites and vessels look alike (Cuntz et al. 2010).
    """
    parents = np.zeros(len(nodes), np.intp)
    path = np.zeros(len(nodes))
    apart = np.linalg.norm(nodes[:, None] - nodes[None, :], axis=2)
    for k in range(1, len(nodes)):
        cost = apart[k, :k] + 0.75 * path[:k]
        parents[k] = parent = int(np.argmin(cost))
        path[k] = path[parent] + apart[k, parent]
    return parents


def _calibres(parents: NDArray[np.intp]) -> NDArray[np.float64]:
    """Width in centimeters: branches share their parent's flow (Murray's law)."""
    leaves = np.ones(len(parents))
    for k in range(len(parents) - 1, 0, -1):
        leaves[parents[k]] += leaves[k]
    return 0.085 * leaves**0.45
