"""The findings that can be drawn, a file for each family: opacities, pleura, masses, shape.

The contract of a finding is here, with shapes that several findings share. Unlike in the extension
folders, members are listed: findings of a family share their shapes, and the set of findings is
NIH's. A new one adds its functions to its family's file and a line to `PLANTERS` of
`hilum.phantom.film`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.phantom.build import Build
from hilum.phantom.canvas import Field, Values, fractal
from hilum.phantom.plan import Lesion
from hilum.phantom.scene import Scene

__all__ = [
    "Mask",
    "Planter",
    "clouds",
    "ellipse",
    "form",
    "outlined",
    "ramp",
    "sides_of",
    "unchanged",
]

Mask = NDArray[np.bool_]
"""(H, W): where a reader would point."""


@dataclass(frozen=True)
class Planter:
    """The two things a finding does.

    Attributes:
        adapt: changes the body before it is drawn, such as a larger heart or a raised diaphragm.
        plant: writes the finding into the layers of the chest, and says where it is.
    """

    adapt: Callable[[Build, Lesion], Build]
    plant: Callable[[Scene, Lesion], Mask]


def unchanged(build: Build, _lesion: Lesion) -> Build:
    """Return the `adapt` of a finding that leaves the body's shape alone."""
    return build


def form(lesion: Lesion) -> np.random.Generator:
    """Return the generator of a lesion's site and form: the same at every follow-up."""
    return np.random.default_rng(np.random.SeedSequence(lesion.seed))


def sides_of(lesion: Lesion, rng: np.random.Generator, both: float) -> tuple[int, ...]:
    """Return the lesion's side, or both sides with a probability; its own side comes first."""
    return (lesion.side, -lesion.side) if rng.random() < both else (lesion.side,)


def ramp(values: Values, start: float, end: float) -> Field:
    """Return a smooth step from 0 at `start` to 1 at `end`; `start` may be the larger.

    >>> ramp(np.array([[0.0, 1.0, 2.0]], np.float32), 0.0, 2.0).tolist()
    [[0.0, 0.5, 1.0]]
    """
    t = (values.astype(np.float32, copy=False) - np.float32(start)) * np.float32(
        1.0 / (end - start)
    )
    t = np.clip(t, 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32, copy=False)


def ellipse(
    scene: Scene, center: tuple[float, float], radii: tuple[float, float], tilt_rad: float = 0.0
) -> Field:
    """Distance from a center in units of an ellipse's radii: 1 on the ellipse."""
    x, y = scene.canvas.grid
    cos, sin = np.cos(tilt_rad), np.sin(tilt_rad)
    x, y = x - np.float32(center[0]), y - np.float32(center[1])
    across = x * np.float32(cos / radii[0]) + y * np.float32(sin / radii[0])
    down = y * np.float32(cos / radii[1]) - x * np.float32(sin / radii[1])
    return np.sqrt(across * across + down * down).astype(np.float32, copy=False)


def clouds(scene: Scene, rng: np.random.Generator, cells: tuple[int, ...]) -> Field:
    """Cloud noise of about unit spread, for the uneven edge and substance of airspace disease."""
    return fractal(rng, scene.canvas.size, cells, 0.7)


def outlined(scene: Scene, field: Values, level: float = 0.3) -> Mask:
    """Return a mask where a field, inside the lungs, exceeds a share of its own peak there."""
    inside = field * np.maximum(scene.right, scene.left)
    return inside > level * max(float(inside.max()), 1e-6)
