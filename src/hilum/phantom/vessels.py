"""Lung vessels: trees that leave the hila, branch, and thin out towards the pleura."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.phantom.anatomy import hilum_of
from hilum.phantom.build import Build
from hilum.phantom.canvas import Canvas, Field, Points, bezier

__all__ = ["vessel_field"]

_NODES = 130
_FULL = 5.0  # cm of vessel at a field value of 1
_WIDTHS = (0.07, 0.10, 0.14, 0.19, 0.26, 0.36, 0.50, 0.70, 0.95)


def vessel_field(canvas: Canvas, build: Build, rng: np.random.Generator) -> Field:
    """Depth of vessels in centimetres at every pixel."""
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
    """Points all over the lung for the tree to reach, denser near the hilum and the base."""
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
    """Width in centimetres: branches share their parent's flow (Murray's law)."""
    leaves = np.ones(len(parents))
    for k in range(len(parents) - 1, 0, -1):
        leaves[parents[k]] += leaves[k]
    return 0.085 * leaves**0.45
